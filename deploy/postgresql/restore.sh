#!/bin/sh
# A backup into an empty database: all of it or nothing. No search may run on the database.
#
#   export PGHOST=db.lab PGUSER=fre PGDATABASE=fre PGPASSFILE=~/.pgpass
#   psql -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'    (empties the database, where something is in it)
#   deploy/postgresql/restore.sh fre-2026-11-23.dump
set -eu
file=${1:?usage: restore.sh FILE}
pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname="${PGDATABASE:?}" "$file"
