-- The two roles of the database, for psql as its superuser: one owns the tables and migrates them, the other is the
-- one that Brilliance works as. It reads and writes rows, makes temporary tables for imports, and changes no schema.
-- The postgres image runs this when it makes the database; by hand:
--
--   MIGRATION_PASSWORD=… DATABASE_PASSWORD=… psql -v ON_ERROR_STOP=1 -d brilliance -f deploy/roles.sql
--
-- It may run again, to change the passwords.

\getenv migration_password MIGRATION_PASSWORD
\getenv database_password DATABASE_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
  FROM unnest(ARRAY['brilliance', 'brilliance_migration']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE brilliance_migration NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'migration_password';
ALTER ROLE brilliance NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'database_password';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO brilliance, brilliance_migration;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO brilliance_migration;
GRANT USAGE ON SCHEMA public TO brilliance;

-- What the one makes the other may use, without anybody remembering it.
ALTER DEFAULT PRIVILEGES FOR ROLE brilliance_migration IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO brilliance;
ALTER DEFAULT PRIVILEGES FOR ROLE brilliance_migration IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO brilliance;
