-- For a server that serves fre-hpo alone (Compose, Kubernetes), after role.sql: no other database can be entered, and
-- the administrator gets in from the server's own machine only, where no password is asked for.
\set ON_ERROR_STOP on
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
ALTER ROLE postgres PASSWORD NULL;
