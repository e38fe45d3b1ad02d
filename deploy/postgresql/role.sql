-- A role that owns one database and may do nothing else. Run by an administrator of the server, once or again:
--
--   read -rs POSTGRES_PASSWORD && export POSTGRES_PASSWORD     (the role's new password; it is on no command line)
--   psql -h db.lab -U postgres -d postgres -f deploy/postgresql/role.sql
--
-- Several groups on one server: -v role=NAME -v database=NAME.
\set ON_ERROR_STOP on
\if :{?role} \else \set role fre \endif
\if :{?database} \else \set database fre \endif
\getenv password POSTGRES_PASSWORD
\if :{?password} \else DO $$ BEGIN RAISE 'POSTGRES_PASSWORD, the password for the role, is not set'; END $$; \endif

-- The password must not get into the server's log, whatever that keeps.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

SELECT format('CREATE ROLE %I', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';

SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;

-- Before PostgreSQL 15 everybody may create tables in a new database.
\connect :"database"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO :"role";
