#!/bin/sh
# The whole database in one file, as it is at one moment; searches may run meanwhile.
#
#   export PGHOST=db.lab PGUSER=fre PGDATABASE=fre PGPASSFILE=~/.pgpass
#   deploy/postgresql/backup.sh fre-2026-11-23.dump
#
# The home folder belongs to it: copy that afterwards.
set -eu
file=${1:?usage: backup.sh FILE}
pg_dump --format=custom --no-owner --no-privileges --file="$file.part"
mv -- "$file.part" "$file"
