-- cdc.security_report(): each way around is made, reported, closed by the statements
-- of the report, and gone. cdc.redaction_report() likewise.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS cdc_regress_consumer, cdc_regress_group, cdc_regress_owner, cdc_regress_granter, cdc_regress_other;
DROP SCHEMA IF EXISTS rep CASCADE;
CREATE ROLE cdc_regress_consumer LOGIN;
CREATE ROLE cdc_regress_group;
CREATE ROLE cdc_regress_owner;
CREATE ROLE cdc_regress_granter;
CREATE ROLE cdc_regress_other;
RESET client_min_messages;
CREATE SCHEMA rep;
CREATE TABLE rep.t (id int PRIMARY KEY, v text, "W w" text, open text);
CREATE TABLE rep.plain (id int PRIMARY KEY, v text);
ALTER TABLE rep.t OWNER TO cdc_regress_owner;
GRANT USAGE ON SCHEMA rep TO cdc_regress_owner, cdc_regress_granter, cdc_regress_consumer;
SELECT cdc.redact('rep.t', 'v', 'hash') IS NOT NULL AS v, cdc.redact('rep.t', 'W w', 'mask') IS NOT NULL AS w;

-- (which plugins the server allows, and its configuration, are tested elsewhere)
CREATE VIEW rep.open AS
SELECT role, way, regexp_replace(detail, '[0-9]{4,}', 'N') AS detail FROM cdc.security_report()
WHERE role ~ '^cdc_regress' AND way NOT IN ('other output plugins', 'cdc.check_privileges is off');
-- runs what the report says; returns how many statements
CREATE FUNCTION rep.close(only_way text DEFAULT '') RETURNS int LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
  s text;
  n int := 0;
BEGIN
  FOR s IN SELECT unnest(statements) FROM cdc.security_report() WHERE role ~ '^cdc_regress' AND way <> 'other output plugins' AND way ~ only_way LOOP
    EXECUTE s;
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;

-- nobody is a consumer
GRANT SELECT ON rep.t TO PUBLIC;
TABLE rep.open;
-- by a grant; by a slot; members, if they can log in
SELECT cdc.grant_read('rep.t', 'cdc_regress_group');
TABLE rep.open;
GRANT cdc_regress_group TO cdc_regress_consumer, cdc_regress_other;
TABLE rep.open;
REVOKE cdc_regress_group FROM cdc_regress_other;
SELECT statements FROM cdc.security_report() WHERE role = 'cdc_regress_consumer' AND way ~ 'SELECT';
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
SELECT slot_name FROM cdc.create_slot('cdc_regress_report', reader => 'cdc_regress_other');
GRANT SELECT ON rep.t TO cdc_regress_other;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
SELECT cdc.alter_slot('cdc_regress_report', reader => 'none');
GRANT SELECT ON rep.t TO cdc_regress_other;
TABLE rep.open;
ALTER ROLE cdc_regress_other REPLICATION;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;

-- what is redacted alone: columns, and what is without rules
GRANT SELECT (id, open) ON rep.t TO cdc_regress_consumer;
GRANT SELECT ON rep.plain TO cdc_regress_consumer;
TABLE rep.open;
GRANT SELECT (id, v, "W w") ON rep.t TO cdc_regress_consumer;
TABLE rep.open;
SELECT statements FROM cdc.security_report() WHERE role = 'cdc_regress_consumer' AND way ~ 'SELECT';
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
-- columns that remain
SELECT has_column_privilege('cdc_regress_consumer', 'rep.t', 'open', 'SELECT') AS open, has_column_privilege('cdc_regress_consumer', 'rep.t', 'v', 'SELECT') AS v;

-- granted by another one than the owner, and passed on
GRANT SELECT ON rep.t TO cdc_regress_granter WITH GRANT OPTION;
SET ROLE cdc_regress_granter;
GRANT SELECT ON rep.t TO cdc_regress_consumer WITH GRANT OPTION;
SET ROLE cdc_regress_consumer;
GRANT SELECT ON rep.t TO cdc_regress_other;
RESET ROLE;
TABLE rep.open;
SELECT statements FROM cdc.security_report() WHERE role = 'cdc_regress_consumer' AND way ~ 'SELECT';
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
REVOKE SELECT ON rep.t FROM cdc_regress_granter;

-- by inheritance: a partition's rows are those of what it is of
CREATE TABLE rep.root (id int, v text) PARTITION BY LIST (id);
CREATE TABLE rep.leaf PARTITION OF rep.root FOR VALUES IN (1);
SELECT cdc.redact('rep.leaf', 'v', 'mask') IS NOT NULL AS leaf;
GRANT SELECT ON rep.root TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
DROP TABLE rep.root;

-- triggers, ownership
GRANT TRIGGER ON rep.t TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
GRANT cdc_regress_owner TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
-- what it owns is not taken over: code of the owner's would run as the next one
ALTER TABLE rep.t OWNER TO cdc_regress_consumer;
GRANT CREATE ON SCHEMA rep TO cdc_regress_consumer;
SET ROLE cdc_regress_consumer;
CREATE FUNCTION rep.grab() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE cdc_regress_consumer SUPERUSER'; END IF;
END $$;
CREATE FUNCTION rep.trap(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  PERFORM rep.grab();
  RETURN t;
EXCEPTION WHEN OTHERS THEN RETURN t;
END $$;
CREATE INDEX trap ON rep.t (rep.trap(open));
INSERT INTO rep.t (id, open) SELECT g, 'x' FROM generate_series(1, 100) g;
RESET ROLE;
TABLE rep.open;
SELECT statements FROM cdc.security_report() WHERE role = 'cdc_regress_consumer' AND way ~ 'owner';
SELECT rep.close() AS statements;
ANALYZE rep.t;
REINDEX TABLE rep.t;
SELECT rolsuper FROM pg_roles WHERE rolname = 'cdc_regress_consumer';
SELECT count(*) FROM cdc.security_report() WHERE array_to_string(statements, ';') ~* 'owner to';
DROP INDEX rep.trap;
DROP FUNCTION rep.trap, rep.grab;
DELETE FROM rep.t;
REVOKE CREATE ON SCHEMA rep FROM cdc_regress_consumer;
ALTER TABLE rep.t OWNER TO cdc_regress_owner;
TABLE rep.open;
-- nor the database, whose owner is a member of the owner of schema public
BEGIN;
ALTER TABLE rep.t OWNER TO pg_database_owner;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO cdc_regress_consumer', current_database()); END $$;
SELECT role, way, detail, statements FROM cdc.security_report() WHERE role = 'cdc_regress_consumer';
ROLLBACK;

-- a chain of memberships: cut where it does not take what the group was granted
GRANT cdc_regress_granter TO cdc_regress_group WITH ADMIN OPTION;
GRANT pg_read_all_data TO cdc_regress_granter;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
SELECT pg_has_role('cdc_regress_consumer', 'cdc_regress_group', 'MEMBER') AS "group", pg_has_role('cdc_regress_consumer', 'cdc_regress_granter', 'MEMBER') AS granter;
REVOKE pg_read_all_data FROM cdc_regress_granter;

-- predefined roles, also where they are not inherited
ALTER ROLE cdc_regress_consumer NOINHERIT;
GRANT pg_read_all_data, pg_write_all_data, pg_read_server_files, pg_write_server_files, pg_execute_server_program, pg_monitor TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;

-- attributes, one's own and another role's
SELECT cdc.alter_slot('cdc_regress_report', reader => 'cdc_regress_consumer');
ALTER ROLE cdc_regress_consumer SUPERUSER REPLICATION;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
ALTER ROLE cdc_regress_other REPLICATION;
ALTER ROLE cdc_regress_granter SUPERUSER;
GRANT cdc_regress_other, cdc_regress_granter TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
ALTER ROLE cdc_regress_granter NOSUPERUSER;
REVOKE cdc_regress_other FROM cdc_regress_consumer;
-- (before PostgreSQL 16)
ALTER ROLE cdc_regress_consumer CREATEROLE;
SELECT count(*) = (current_setting('server_version_num')::int < 160000)::int AS reported FROM rep.open;
SELECT rep.close() IS NOT NULL AS closed;
TABLE rep.open;
ALTER ROLE cdc_regress_consumer NOCREATEROLE;

-- functions and tables of cdc: what a consumer needs is no way around
GRANT USAGE ON SCHEMA cdc TO cdc_regress_consumer;
GRANT EXECUTE ON FUNCTION cdc.fetch, cdc.snapshot, cdc.snapshot_chunks, cdc.fingerprint, cdc.table_schema, cdc.proto, cdc.decode, cdc.decode_json, cdc.set_metadata TO cdc_regress_consumer;
GRANT SELECT ON ALL TABLES IN SCHEMA cdc TO cdc_regress_consumer;
TABLE rep.open;
GRANT EXECUTE ON FUNCTION cdc.unredact, cdc.alter_slot, cdc.audit_rule, cdc.security_report TO cdc_regress_consumer;
GRANT EXECUTE ON FUNCTION cdc.redact TO PUBLIC;
GRANT INSERT, DELETE ON cdc.redaction_rule TO cdc_regress_consumer;
GRANT UPDATE (value) ON cdc.slot_option TO cdc_regress_consumer;
GRANT USAGE ON SEQUENCE cdc.read_grant_id_seq TO cdc_regress_consumer;
GRANT CREATE ON SCHEMA cdc TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
SELECT has_function_privilege('cdc_regress_consumer', p.oid, 'EXECUTE') AS may FROM pg_proc p WHERE p.oid = 'cdc.fetch'::regproc;
ALTER TABLE cdc.slot_option OWNER TO cdc_regress_owner;
GRANT cdc_regress_owner TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
ALTER TABLE cdc.slot_option OWNER TO CURRENT_USER;
GRANT EXECUTE ON FUNCTION pg_read_binary_file(text), lo_import(text) TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;

-- the secret: a large object
SELECT large_object AS secret FROM cdc.redaction_secret ORDER BY number DESC LIMIT 1 \gset
GRANT SELECT ON LARGE OBJECT :secret TO PUBLIC;
SELECT DISTINCT role, way, regexp_replace(detail, '[0-9]+', 'N') AS detail FROM rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;
ALTER LARGE OBJECT :secret OWNER TO cdc_regress_consumer;
SELECT role, way, regexp_replace(detail, '[0-9]+', 'N') AS detail FROM rep.open;
SELECT rep.close() AS statements;
ALTER LARGE OBJECT :secret OWNER TO CURRENT_USER;
TABLE rep.open;
ALTER ROLE cdc_regress_consumer SET lo_compat_privileges = on;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;

-- settings: the most special one counts
CREATE VIEW rep.unchecked AS
SELECT role, detail, statements FROM cdc.security_report() WHERE role ~ '^cdc_regress' AND way = 'cdc.check_privileges is off';
ALTER ROLE cdc_regress_consumer SET cdc.check_privileges = off;
-- (without REPLICATION privileges are always checked)
TABLE rep.unchecked;
ALTER ROLE cdc_regress_consumer REPLICATION;
ALTER ROLE cdc_regress_group REPLICATION;
TABLE rep.unchecked;
SELECT rep.close('cdc.check') > 0 AS closed;
TABLE rep.unchecked;
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET cdc.check_privileges = off;
ALTER ROLE cdc_regress_consumer IN DATABASE :"db" SET cdc.check_privileges = on;
SELECT role, replace(detail, current_database(), 'db') AS detail FROM rep.unchecked;
ALTER ROLE cdc_regress_consumer IN DATABASE :"db" RESET cdc.check_privileges;
SELECT role, replace(detail, current_database(), 'db') AS detail FROM rep.unchecked;
SELECT rep.close('cdc.check') > 0 AS closed;
TABLE rep.unchecked;
ALTER ROLE cdc_regress_consumer IN DATABASE :"db" SET cdc.check_privileges = 'no';
SELECT role, replace(detail, current_database(), 'db') AS detail FROM rep.unchecked;
SELECT rep.close('cdc.check') > 0 AS closed;
ALTER ROLE ALL SET cdc.check_privileges = 'F';
TABLE rep.unchecked;
SELECT rep.close('cdc.check') > 0 AS closed;
TABLE rep.unchecked;
-- what this session has set does not count
SET cdc.check_privileges = off;
TABLE rep.unchecked;
RESET cdc.check_privileges;
ALTER ROLE cdc_regress_consumer NOREPLICATION;
ALTER ROLE cdc_regress_group NOREPLICATION;
GRANT SET ON PARAMETER cdc.check_privileges TO cdc_regress_consumer;
TABLE rep.open;
SELECT rep.close() > 0 AS closed;
TABLE rep.open;

-- redaction: what rules leave
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
CREATE VIEW rep.leaks AS
SELECT relation, column_name, (SELECT r.method FROM cdc.redaction_rules r WHERE r.id = rule_id) AS method, finding, detail, advice
FROM cdc.redaction_report() WHERE relation IS NULL OR relation::text ~ '^rep\.';
TABLE rep.leaks;
CREATE TABLE rep.people (id int PRIMARY KEY, email text, domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED,
  "Password" text, n int, m int GENERATED ALWAYS AS (n + 1) STORED, born date, mood smallint, sex "char");
TABLE rep.leaks;
SELECT cdc.redact('rep.people', 'email', 'hash') AS rule \gset
SELECT cdc.redact_matching('password', 'drop') AS password \gset
TABLE rep.leaks;
SELECT cdc.redact('rep.people', 'domain', 'drop') IS NOT NULL AS domain;
TABLE rep.leaks;
BEGIN;
SELECT lo_unlink(large_object) AS gone FROM cdc.redaction_secret ORDER BY number DESC LIMIT 1;
TABLE rep.leaks;
ROLLBACK;
CREATE PUBLICATION cdc_regress_filter FOR TABLE rep.people WHERE (email LIKE 'a%' AND n > 1);
TABLE rep.leaks;
DROP PUBLICATION cdc_regress_filter;
-- foreign keys, both ways
CREATE TABLE rep.account (email text PRIMARY KEY);
ALTER TABLE rep.people ADD CONSTRAINT account FOREIGN KEY (email) REFERENCES rep.account;
SELECT cdc.unredact(:rule);
SELECT cdc.redact('rep.account', 'email', 'hash') IS NOT NULL AS account;
TABLE rep.leaks;
SELECT cdc.redact('rep.people', 'email', 'email') IS NOT NULL AS people;
TABLE rep.leaks;
SELECT cdc.redact('rep.people', 'email', 'hash') IS NOT NULL AS people;
TABLE rep.leaks;
-- hashes that can be guessed
SELECT cdc.redact('rep.people', c, 'hash') IS NOT NULL AS guessed FROM unnest('{born,mood,sex,n,m}'::name[]) c;
TABLE rep.leaks;
INSERT INTO rep.people (id, n) SELECT g, g % 7 FROM generate_series(1, 1000) g;
ANALYZE rep.people;
SELECT column_name, detail FROM rep.leaks WHERE column_name IN ('n', 'm');
TRUNCATE rep.people;
-- keys
SELECT cdc.redact('rep.people', 'id', 'mask', force => true) AS rule \gset
SELECT column_name, finding, detail, advice FROM rep.leaks WHERE column_name = 'id';
SELECT cdc.unredact(:rule), cdc.redact('rep.people', 'id', 'hash') IS NOT NULL AS hash;
SELECT column_name, finding, detail, advice FROM rep.leaks WHERE column_name = 'id';
-- rules that contradict one another, and rules of nothing
SELECT cdc.redact('rep.t', 'v', 'mask', length => 3) AS one, cdc.redact('rep.t', 'v', 'mask', length => 4) AS two \gset
SELECT finding, replace(replace(detail, :'one', 'one'), :'two', 'two') AS detail, advice FROM rep.leaks WHERE relation = 'rep.t'::regclass;
SELECT cdc.unredact(:two);
ALTER TABLE rep.t DROP COLUMN v;
SELECT cdc.redact_matching('cdc\_regress%', 'drop') IS NOT NULL AS pattern;
SELECT relation, column_name, method, finding, detail, advice FROM rep.leaks WHERE finding = 'covers nothing';
DROP TABLE rep.people, rep.account, rep.t;
SELECT relation, column_name, method, finding FROM rep.leaks;
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
-- partitions, children
CREATE TABLE rep.root (id int, v text) PARTITION BY LIST (v);
CREATE TABLE rep.leaf PARTITION OF rep.root FOR VALUES IN ('x');
CREATE TABLE rep.parent (id int, v text);
CREATE TABLE rep.child () INHERITS (rep.parent);
SELECT cdc.redact(t, 'v', 'mask') IS NOT NULL AS redacted FROM unnest('{rep.root,rep.parent}'::regclass[]) t;
SELECT cdc.redact('rep.parent', 'id', 'partial', prefix => 1, suffix => 0, filler => '''') IS NOT NULL AS id;
TABLE rep.leaks;
-- the advice can be run
DO $$ DECLARE s text; BEGIN
  FOR s IN SELECT advice FROM rep.leaks WHERE finding = 'child table' LOOP EXECUTE s; END LOOP;
END $$;
-- triggers
ALTER TABLE cdc.redaction_rule DISABLE TRIGGER table_written;
ALTER EVENT TRIGGER cdc_follow_rules ENABLE;
SELECT column_name, finding, detail, advice FROM cdc.redaction_report() WHERE finding ~ 'trigger';
ALTER TABLE cdc.redaction_rule ENABLE ALWAYS TRIGGER table_written;
ALTER EVENT TRIGGER cdc_follow_rules ENABLE ALWAYS;
TABLE rep.leaks;

SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
SET client_min_messages = warning;
SELECT cdc.drop_slot('cdc_regress_report');
DROP SCHEMA rep CASCADE;
DROP OWNED BY cdc_regress_consumer, cdc_regress_group, cdc_regress_owner, cdc_regress_granter, cdc_regress_other;
DROP ROLE cdc_regress_consumer, cdc_regress_group, cdc_regress_owner, cdc_regress_granter, cdc_regress_other;
