-- CREATE and DROP EXTENSION, and what is refused while the extension is there, in a database of its own.
\set VERBOSITY terse
\set home :DBNAME
SET client_min_messages = warning;
DROP DATABASE IF EXISTS cdc_regress_install;
DROP ROLE IF EXISTS cdc_regress_owner;
RESET client_min_messages;
CREATE DATABASE cdc_regress_install;
CREATE ROLE cdc_regress_owner;
GRANT CREATE ON DATABASE cdc_regress_install TO cdc_regress_owner;
\c cdc_regress_install
\pset format unaligned
\t on

-- a schema that is there beforehand, whoever has made it
SET ROLE cdc_regress_owner;
CREATE SCHEMA cdc;
CREATE FUNCTION cdc.num_nonnulls(regclass, text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
RESET ROLE;
CREATE EXTENSION cdc;
DROP SCHEMA cdc CASCADE;
CREATE SCHEMA cdc;
CREATE EXTENSION cdc;
CREATE EXTENSION cdc SCHEMA cdc;
DROP SCHEMA cdc;
-- others who could create objects in it
ALTER DEFAULT PRIVILEGES GRANT CREATE, USAGE ON SCHEMAS TO cdc_regress_owner;
CREATE EXTENSION cdc;
ALTER DEFAULT PRIVILEGES REVOKE CREATE ON SCHEMAS FROM cdc_regress_owner;
CREATE EXTENSION cdc;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM cdc_regress_owner;
-- the schema goes with the extension, and not without it
DROP SCHEMA cdc CASCADE;
DROP EXTENSION cdc;
SELECT count(*) FROM pg_namespace WHERE nspname = 'cdc';

-- publications that would have its tables
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION "And more" FOR ALL TABLES;
\set VERBOSITY default
CREATE EXTENSION cdc;
\set VERBOSITY terse
DROP PUBLICATION everything, "And more";
DROP EXTENSION cdc;
CREATE EXTENSION cdc;

-- a table that the database's owner makes a catalog, by every statement that can
CREATE SCHEMA mine AUTHORIZATION cdc_regress_owner;
SET ROLE cdc_regress_owner;
SET search_path = mine;
CREATE TABLE t (v int) WITH (user_catalog_table = true);
CREATE TABLE t (v int) WITH (fillfactor = 50, user_catalog_table);
CREATE TABLE t WITH (user_catalog_table = on) AS SELECT 1 AS v;
PREPARE one AS SELECT 1 AS v;
CREATE TABLE t WITH (user_catalog_table = on) AS EXECUTE one;
CREATE MATERIALIZED VIEW t WITH (user_catalog_table = 1) AS SELECT 1 AS v;
CREATE SCHEMA AUTHORIZATION cdc_regress_owner CREATE TABLE t (v int) WITH (user_catalog_table = true);
DO $$ BEGIN CREATE TABLE t (v int) WITH (user_catalog_table = true); END $$;
CREATE TABLE t (v int) WITH (user_catalog_table = false);
CREATE MATERIALIZED VIEW m AS SELECT 1 AS v;
ALTER TABLE t SET (user_catalog_table = true);
ALTER TABLE t ADD w int, SET (fillfactor = 50, USER_CATALOG_TABLE = TRUE);
ALTER TABLE IF EXISTS ONLY t SET ("user_catalog_table" = 'on');
ALTER MATERIALIZED VIEW m SET (user_catalog_table = true);
ALTER TABLE m SET (user_catalog_table = true);
ALTER TABLE t SET (user_catalog_table = nonsense);
ALTER TABLE t RESET (user_catalog_table);
ALTER TABLE t SET (fillfactor = 60);
CREATE TABLE part (v int) PARTITION BY LIST (v);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1) WITH (user_catalog_table = true);
SET cdc.allow_user_catalog_tables = on;
RESET ROLE;
SELECT count(*) FROM pg_class WHERE relnamespace = 'mine'::regnamespace AND reloptions::text LIKE '%user_catalog_table=%n%';
-- a superuser may, or may let
CREATE TABLE mine.ours (v int) WITH (user_catalog_table = true);
SET cdc.allow_user_catalog_tables = on;
SET ROLE cdc_regress_owner;
CREATE TABLE allowed (v int) WITH (user_catalog_table = true);
RESET ROLE;
RESET cdc.allow_user_catalog_tables;
SELECT cdc.refuse_catalog_tables();

-- DROP EXTENSION: slots that wait are named, the secrets go
SELECT cdc.rotate_redaction_secret(), cdc.rotate_redaction_secret();
SELECT lo_create(4711);
SELECT count(*) FROM pg_largeobject_metadata;
-- not those of others, and not when it is not dropped
INSERT INTO cdc.redaction_secret SELECT 9, 4711, now(), 'x';
ALTER LARGE OBJECT 4711 OWNER TO cdc_regress_owner;
SELECT slot_name FROM cdc.create_slot('cdc_regress_waits');
SET ROLE cdc_regress_owner;
DROP EXTENSION cdc;
RESET ROLE;
SELECT count(*) FROM pg_largeobject_metadata;
\set VERBOSITY default
BEGIN;
DROP EXTENSION IF EXISTS plpgsql_is_not_it, cdc CASCADE;
SELECT count(*) FROM pg_largeobject_metadata;
ROLLBACK;
SELECT count(*) FROM pg_largeobject_metadata;
DROP EXTENSION cdc;
SELECT oid FROM pg_largeobject_metadata;
SELECT extname FROM pg_extension WHERE extname = 'cdc';
-- and it can be read again
CREATE EXTENSION cdc;
CREATE TABLE read_on (id int PRIMARY KEY);
INSERT INTO read_on VALUES (1);
SELECT op, relation FROM cdc.peek('cdc_regress_waits');
SELECT cdc.drop_slot('cdc_regress_waits');
DROP EXTENSION cdc;
\c :home
DROP DATABASE cdc_regress_install;
DROP ROLE cdc_regress_owner;
