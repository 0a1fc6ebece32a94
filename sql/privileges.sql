-- What a role is sent: what it may SELECT, or was given by cdc.grant_read(); as of now.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS cdc_regress_owner, cdc_regress_consumer, cdc_regress_group, cdc_regress_other;
RESET client_min_messages;
CREATE ROLE cdc_regress_owner;
CREATE ROLE cdc_regress_group;
CREATE ROLE cdc_regress_consumer REPLICATION IN ROLE cdc_regress_group;
CREATE ROLE cdc_regress_other REPLICATION;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_owner, cdc_regress_consumer, cdc_regress_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_owner, cdc_regress_consumer, cdc_regress_other;
CREATE SCHEMA p AUTHORIZATION cdc_regress_owner;
GRANT USAGE ON SCHEMA p TO cdc_regress_consumer, cdc_regress_other;
SET ROLE cdc_regress_owner;
CREATE TABLE p.t (id int PRIMARY KEY, v text, w text);
CREATE TABLE p.hidden (id int PRIMARY KEY, v text);
RESET ROLE;
SELECT slot_name FROM cdc.create_slot('cdc_regress_privileges');
-- as the consumer, what it would be sent of the whole backlog, again and again
CREATE FUNCTION seen(role text DEFAULT 'cdc_regress_consumer') RETURNS TABLE (op text, relation text, key jsonb, new jsonb, redacted jsonb) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', role);
  RETURN QUERY SELECT p.op, p.relation, p.key, p.new, p.event->'redacted' FROM cdc.peek('cdc_regress_privileges') p;
  RESET ROLE;
END $$;
GRANT EXECUTE ON FUNCTION seen TO PUBLIC;
INSERT INTO p.t VALUES (1, 'v1', 'w1');
INSERT INTO p.hidden VALUES (1, 'h1');

-- nothing, and one warning
SELECT * FROM seen();
-- columns: the rest is withheld, which the schema says
GRANT SELECT (id, v) ON p.t TO cdc_regress_consumer;
SELECT * FROM seen();
SELECT c->>'name' AS name, c->>'redaction' AS redaction FROM (SELECT set_config('role', 'cdc_regress_consumer', true)) r, cdc.table_schema('p.t') s, jsonb_array_elements(s->'columns') c;
RESET ROLE;
-- a key that is not sent whole is none
REVOKE SELECT (id) ON p.t FROM cdc_regress_consumer;
SELECT * FROM seen();
-- the table, by a group; revoked, also for what was before
GRANT SELECT ON p.t TO cdc_regress_group;
SELECT * FROM seen();
REVOKE SELECT ON p.t FROM cdc_regress_group;
REVOKE SELECT (v) ON p.t FROM cdc_regress_consumer;
SELECT * FROM seen();
GRANT SELECT ON p.t TO PUBLIC;
SELECT * FROM seen();
REVOKE SELECT ON p.t FROM PUBLIC;
GRANT pg_read_all_data TO cdc_regress_consumer;
SELECT relation, new FROM seen();
REVOKE pg_read_all_data FROM cdc_regress_consumer;
GRANT cdc_regress_owner TO cdc_regress_consumer;
SELECT relation, new FROM seen();
REVOKE cdc_regress_owner FROM cdc_regress_consumer;
-- without the setting, as with other plugins
SET cdc.check_privileges = off;
SELECT relation, new FROM seen();
-- which have REPLICATION
ALTER ROLE cdc_regress_consumer NOREPLICATION;
SELECT set_config('role', 'cdc_regress_consumer', false);
SELECT count(*) FROM cdc.snapshot('p.t');
RESET ROLE;
ALTER ROLE cdc_regress_consumer REPLICATION;
RESET cdc.check_privileges;
SET ROLE cdc_regress_consumer;
SET cdc.check_privileges = off;
RESET ROLE;

-- cdc.grant_read(): sent, redacted, and still not to be SELECTed
SET ROLE cdc_regress_owner;
SELECT cdc.grant_read('p.t', 'cdc_regress_group', columns => '{id,v}', reason => 'billing');
RESET ROLE;
SELECT * FROM seen();
SELECT cdc.redact('p.t', 'v', 'constant', value => 'x') AS rule \gset
SELECT * FROM seen();
SET ROLE cdc_regress_consumer;
SELECT * FROM p.t;
SELECT op, key, event->'redacted' AS redacted FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('p.t') b));
SELECT op, key FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('p.t', from_key => '{1}') b));
-- (its cursor reads with the owner's privileges: nobody finds it)
BEGIN;
DECLARE c CURSOR FOR SELECT length(cdc.snapshot('p.t')) > 0 AS sent;
FETCH c;
SELECT name FROM pg_cursors;
FETCH "<unnamed portal 1>";
ROLLBACK;
SELECT count(*) FROM cdc.snapshot('p.hidden');
SELECT count(*) FROM cdc.snapshot_chunks('p.hidden');
SELECT cdc.fingerprint('p.hidden');
SELECT from_key, to_key, key_columns FROM cdc.snapshot_chunks('p.t', 1);
RESET ROLE;
SELECT cdc.drop_row(r) FROM cdc.redaction_rule r; -- as if it had never been
-- a key that is redacted: no ranges, whoever asks
SELECT cdc.redact('p.t', 'id', 'hash') AS rule \gset
SELECT count(*) FROM cdc.snapshot('p.t', from_key => '{1}');
SELECT * FROM cdc.snapshot_chunks('p.t', 1);
SELECT cdc.drop_row(r) FROM cdc.redaction_rule r; -- as if it had never been
-- all columns, later ones too
SELECT cdc.revoke_read('p.t', 'cdc_regress_group', reason => 'asked for more');
SELECT * FROM seen();
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer');
ALTER TABLE p.t ADD x int DEFAULT 7;
INSERT INTO p.t VALUES (2, 'v2', 'w2', 2);
SELECT * FROM seen();
-- columns are known by number, whatever they are called
SELECT cdc.revoke_read('p.t', 'cdc_regress_consumer');
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer', columns => '{id,v}');
ALTER TABLE p.t RENAME v TO former;
SELECT key, new, redacted FROM seen();
ALTER TABLE p.t RENAME former TO v;
-- row security stands in the way of SELECT, not of what was given
ALTER TABLE p.t ENABLE ROW LEVEL SECURITY;
SELECT key, new FROM seen();
SELECT cdc.revoke_read('p.t', 'cdc_regress_consumer');
GRANT SELECT ON p.t TO cdc_regress_consumer;
SELECT * FROM seen();
ALTER ROLE cdc_regress_consumer BYPASSRLS;
SELECT key, new FROM seen();
ALTER ROLE cdc_regress_consumer NOBYPASSRLS;
ALTER TABLE p.t DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON p.t FROM cdc_regress_consumer;
-- grants go with the table
SELECT cdc.grant_read('p.hidden', 'cdc_regress_consumer');
SELECT 'p.hidden'::regclass::oid AS hidden \gset
DROP TABLE p.hidden;
SELECT count(*) FROM cdc.read_grants;
-- but what waits of one is not lost
SELECT * FROM seen();
SELECT relation, new FROM seen(current_user) WHERE relation = 'p.hidden';
-- nor is it seen by who was given nothing, or only could SELECT
SELECT * FROM seen('cdc_regress_other');
-- an administrator takes it back, too
SET ROLE cdc_regress_owner;
\set VERBOSITY sqlstate
SELECT cdc.revoke_read(:'hidden', 'cdc_regress_consumer');
\set VERBOSITY default
RESET ROLE;
SELECT cdc.revoke_read(:'hidden', 'cdc_regress_consumer');
SELECT * FROM seen();

-- partitions are seen by whoever sees what they are of
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());
CREATE TABLE p.part (v text, id int, w text) PARTITION BY LIST (id);
CREATE TABLE p.part1 (id int, w text, v text);
ALTER TABLE p.part ATTACH PARTITION p.part1 FOR VALUES IN (1);
SELECT cdc.grant_read('p.part', 'cdc_regress_consumer', columns => '{v}');
INSERT INTO p.part VALUES ('v1', 1, 'w1');
SELECT * FROM seen();
-- what waits of one that is detached or dropped is not lost, but what is written then is not theirs
ALTER TABLE p.part DETACH PARTITION p.part1;
INSERT INTO p.part1 (id, v) VALUES (2, 'detached');
SELECT * FROM seen();
CREATE TABLE p.part2 PARTITION OF p.part FOR VALUES IN (2);
INSERT INTO p.part VALUES ('v2', 2, 'w2');
DROP TABLE p.part2;
SELECT relation, new FROM seen();
-- nor if it is given now, since it was not then
SELECT cdc.revoke_read('p.part', 'cdc_regress_consumer');
SELECT cdc.grant_read('p.part', 'cdc_regress_consumer');
SELECT relation, new FROM seen();
-- the root, too
DROP TABLE p.part;
SELECT relation, new FROM seen();
DROP TABLE p.part1;
-- what no slot needs is forgotten
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());

-- TRUNCATE, messages, metadata
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());
CREATE TABLE p.truncated (id int PRIMARY KEY);
GRANT SELECT ON p.truncated TO cdc_regress_consumer;
TRUNCATE p.t, p.truncated;
SELECT op, relation FROM seen();
BEGIN;
SELECT pg_logical_emit_message(true, 'given', 'content') IS NOT NULL AS m, pg_logical_emit_message(true, 'kept', 'content') IS NOT NULL AS n, cdc.set_metadata('k', 'v');
INSERT INTO p.truncated VALUES (1);
COMMIT;
SELECT pg_logical_emit_message(false, 'given', 'alone') IS NOT NULL AS m;
CREATE FUNCTION messages() RETURNS TABLE (op text, prefix text, metadata jsonb) LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL ROLE cdc_regress_consumer;
  RETURN QUERY SELECT p.op, p.event->>'prefix', p.metadata FROM cdc.peek('cdc_regress_privileges', options => '{messages,*}') p WHERE p.op <> 'TRUNCATE';
  RESET ROLE;
END $$;
SELECT * FROM messages();
SELECT cdc.grant_read(prefix => 'given', role => 'cdc_regress_consumer');
SELECT cdc.grant_read(prefix => 'cdc.metadata', role => 'cdc_regress_consumer');
SELECT * FROM messages();
SELECT cdc.revoke_read(prefix => 'given', role => 'cdc_regress_consumer');
SELECT * FROM messages();

-- who may give
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.t', 'cdc_regress_other');
SELECT cdc.grant_read('p.t', 'cdc_regress_other', columns => '{id}');
\set VERBOSITY terse
SELECT cdc.grant_read(prefix => 'x', role => 'cdc_regress_other');
\set VERBOSITY default
SELECT cdc.revoke_read('p.t', 'cdc_regress_consumer');
RESET ROLE;
GRANT SELECT (id) ON p.t TO cdc_regress_other WITH GRANT OPTION;
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.t', 'cdc_regress_other', columns => '{id,v}');
SELECT cdc.grant_read('p.t', 'cdc_regress_other', columns => '{id}');
RESET ROLE;
ALTER TABLE p.t ENABLE ROW LEVEL SECURITY;
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer', columns => '{id}');
RESET ROLE;
-- whoever gives cannot have functions of his own run with the extension's rights
CREATE FUNCTION p.trap(regclass, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'the trap was called'; END $$;
CREATE OPERATOR p.= (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = p.trap);
CREATE FUNCTION p.concat_ws(text, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'the trap was called'; END $$;
SET search_path = p, pg_catalog;
SELECT 't'::regclass IS NOT DISTINCT FROM 't'::regclass;
SELECT cdc.grant_read('t', 'cdc_regress_other', columns => '{w}');
SELECT cdc.revoke_read('t', 'cdc_regress_other', columns => '{w}', reason => 'not needed');
RESET search_path;
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer', columns => '{nonsense}');
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer', columns => '{}');
SELECT cdc.grant_read('p.t', 'cdc_regress_consumer', prefix => 'x');
SELECT cdc.grant_read(role => 'cdc_regress_consumer');
SELECT cdc.grant_read('p.t');
SELECT cdc.grant_read('pg_stat_activity', 'cdc_regress_consumer');
SELECT cdc.revoke_read('p.t', 'cdc_regress_consumer', columns => '{w}');
TRUNCATE cdc.read_grant;
DELETE FROM cdc.read_grant;
UPDATE cdc.read_grant SET reason = 'x';
-- what there was
SELECT action, rule->>'role' AS role, CASE WHEN rule->>'relation' ~ '^p' THEN rule->>'relation' END AS relation, rule->>'column_name' AS column, rule->>'prefix' AS prefix, rule->>'reason' AS reason
FROM cdc.redaction_audit WHERE about = 'read_grant' ORDER BY at;

-- who has SELECT WITH GRANT OPTION gives while that is so, and takes back his own alone
ALTER TABLE p.t DISABLE ROW LEVEL SECURITY;
SELECT cdc.revoke_read('p.t', 'cdc_regress_other', columns => '{id}');
SELECT cdc.revoke_read('p.t', 'cdc_regress_consumer');
CREATE TABLE p.mine (id int PRIMARY KEY, v text);
ALTER TABLE p.mine OWNER TO cdc_regress_owner;
GRANT SELECT ON p.mine TO cdc_regress_other WITH GRANT OPTION;
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());
INSERT INTO p.mine VALUES (1, 'v');
SELECT cdc.grant_read('p.mine', 'cdc_regress_group', reason => 'of a superuser, who acts for the owner');
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.mine', 'cdc_regress_consumer');
SELECT cdc.revoke_read('p.mine', 'cdc_regress_group');
SELECT cdc.revoke_read('p.mine', 'cdc_regress_consumer');
SELECT cdc.revoke_read('p.mine', 'cdc_regress_consumer');
SELECT cdc.grant_read('p.mine', 'cdc_regress_consumer');
SET ROLE cdc_regress_owner;
SELECT cdc.revoke_read('p.mine', 'cdc_regress_group');
RESET ROLE;
CREATE VIEW grants AS SELECT role, table_name, column_name, giver, counts, bound FROM cdc.read_grants WHERE role ~ '^cdc_regress' AND prefix IS NULL ORDER BY id;
TABLE grants;
SELECT relation, new FROM seen();
REVOKE GRANT OPTION FOR SELECT ON p.mine FROM cdc_regress_other;
TABLE grants;
SELECT relation, new FROM seen();
GRANT SELECT ON p.mine TO cdc_regress_other WITH GRANT OPTION;
ALTER TABLE p.mine ENABLE ROW LEVEL SECURITY;
TABLE grants;
SELECT relation, new FROM seen();
-- (an owner's counts)
GRANT cdc_regress_owner TO cdc_regress_other;
TABLE grants;
SELECT relation, new FROM seen();
REVOKE cdc_regress_owner FROM cdc_regress_other;
ALTER TABLE p.mine DISABLE ROW LEVEL SECURITY;
SELECT relation, new FROM seen();
-- columns, by who may give those
REVOKE SELECT ON p.mine FROM cdc_regress_other CASCADE;
GRANT SELECT (v) ON p.mine TO cdc_regress_other WITH GRANT OPTION;
TABLE grants;
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.mine', 'cdc_regress_consumer', columns => '{v}');
RESET ROLE;
TABLE grants;
SELECT relation, new FROM seen();
REVOKE SELECT (v) ON p.mine FROM cdc_regress_other;
SELECT relation, new FROM seen();
-- SELECT alone gives nothing
GRANT SELECT ON p.mine TO cdc_regress_other;
SET ROLE cdc_regress_other;
SELECT cdc.grant_read('p.mine', 'cdc_regress_consumer');
RESET ROLE;
-- the owner's are the next owner's
SELECT cdc.grant_read('p.mine', 'cdc_regress_group');
ALTER TABLE p.mine OWNER TO cdc_regress_other;
TABLE grants;
SELECT relation, new FROM seen();
SET ROLE cdc_regress_owner;
SELECT cdc.revoke_read('p.mine', 'cdc_regress_group');
SET ROLE cdc_regress_other;
SELECT cdc.revoke_read('p.mine', 'cdc_regress_group');
RESET ROLE;
SELECT relation, new FROM seen();

-- a role that is dropped takes along what it was given; one of its name has nothing
CREATE ROLE cdc_regress_gone REPLICATION;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_gone;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_gone;
SELECT cdc.grant_read('p.mine', 'cdc_regress_gone');
SELECT relation, new FROM seen('cdc_regress_gone');
DROP OWNED BY cdc_regress_gone;
DROP ROLE cdc_regress_gone;
TABLE grants;
SELECT role FROM cdc.security_report() WHERE role ~ 'gone|unknown';
CREATE ROLE cdc_regress_gone REPLICATION;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_gone;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_gone;
TABLE grants;
SELECT relation, new FROM seen('cdc_regress_gone');
SELECT cdc.revoke_read('p.mine', 'cdc_regress_gone');
-- (the next one who writes removes the row)
SELECT count(*) FROM cdc.read_grant WHERE role_name = 'cdc_regress_gone';
SELECT cdc.grant_read(prefix => 'x', role => 'cdc_regress_other');
SELECT count(*) FROM cdc.read_grant WHERE role_name = 'cdc_regress_gone';
SELECT cdc.revoke_read(prefix => 'x', role => 'cdc_regress_other');
-- renamed roles and tables keep them
SELECT cdc.grant_read('p.mine', 'cdc_regress_gone', columns => '{v}');
ALTER ROLE cdc_regress_gone RENAME TO cdc_regress_there;
ALTER TABLE p.mine RENAME TO ours;
ALTER TABLE p.ours RENAME v TO w;
TABLE grants;
SELECT relation, new FROM seen('cdc_regress_there');
DROP OWNED BY cdc_regress_there;
DROP ROLE cdc_regress_there;
DROP TABLE p.ours;
-- row security: forced on its owner, who may have revoked SELECT from himself; columns
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());
CREATE TABLE p.own (id int PRIMARY KEY, v text);
ALTER TABLE p.own OWNER TO cdc_regress_consumer;
INSERT INTO p.own VALUES (1, 'v');
SELECT relation, new FROM seen();
REVOKE SELECT ON p.own FROM cdc_regress_consumer;
SELECT relation, new FROM seen();
GRANT SELECT (v) ON p.own TO cdc_regress_consumer;
SELECT relation, new FROM seen();
ALTER TABLE p.own ENABLE ROW LEVEL SECURITY;
SELECT relation, new FROM seen();
ALTER TABLE p.own FORCE ROW LEVEL SECURITY;
SELECT relation, new FROM seen();
GRANT SELECT ON p.own TO cdc_regress_consumer;
SELECT relation, new FROM seen();
ALTER TABLE p.own NO FORCE ROW LEVEL SECURITY;
SELECT relation, new FROM seen();
ALTER TABLE p.own OWNER TO cdc_regress_owner;
GRANT SELECT (v) ON p.own TO cdc_regress_consumer;
SELECT relation, new FROM seen();
DROP TABLE p.own;
-- a child by INHERITS is no partition
CREATE TABLE p.parent (id int PRIMARY KEY);
CREATE TABLE p.child () INHERITS (p.parent);
GRANT SELECT ON p.parent TO cdc_regress_consumer;
SELECT cdc.grant_read('p.parent', 'cdc_regress_consumer');
INSERT INTO p.child VALUES (1);
INSERT INTO p.parent VALUES (2);
SELECT relation, key FROM seen();
DROP TABLE p.child;
SELECT relation, key FROM seen();
DROP TABLE p.parent;
SELECT relation, key FROM seen();
SELECT lsn IS NOT NULL AS lsn FROM cdc.advance_slot('cdc_regress_privileges', pg_current_wal_lsn());

-- a giver that a restore names, and who is not there, gives nothing
CREATE TABLE p.reused (id int PRIMARY KEY);
INSERT INTO p.reused VALUES (1);
INSERT INTO cdc.read_grant (role_name, schema_name, table_name, giver_name, granted_at, granted_by)
VALUES ('cdc_regress_consumer', 'p', 'reused', 'cdc_regress_nonsense', now(), 'x');
SELECT relation, key FROM seen();
SELECT cdc.drop_row(g) FROM cdc.read_grant g WHERE giver_name = 'cdc_regress_nonsense';
-- a grant on a table that was dropped is none on another one that has got its number
SELECT cdc.grant_read('p.reused', 'cdc_regress_consumer');
SELECT relation, key FROM seen();
SELECT cdc.put_row(ROW(max(id), pg_current_wal_lsn())::cdc.read_grant_dropped) FROM cdc.read_grant;
SELECT relation, key FROM seen();
DROP TABLE p.reused;

-- a slot that is bound to a role
SELECT cdc.drop_slot('cdc_regress_privileges');
SELECT slot_name FROM cdc.create_slot('cdc_regress_bound', options => '{old,full}', reader => 'cdc_regress_consumer');
SELECT options, reader FROM cdc.slots;
INSERT INTO p.truncated VALUES (2);
SET ROLE cdc_regress_other;
SELECT count(*) FROM cdc.peek('cdc_regress_bound');
SELECT count(*) FROM cdc.fetch('cdc_regress_bound');
-- (nor confirm anything)
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => pg_current_wal_flush_lsn());
SET ROLE cdc_regress_consumer;
SELECT op, key FROM cdc.peek('cdc_regress_bound');
SELECT op, key FROM cdc.peek('cdc_regress_bound', options => '{old,changed}');
SELECT op, key FROM cdc.peek('cdc_regress_bound', options => '{batch_bytes,1}');
RESET ROLE;
SELECT cdc.alter_slot('cdc_regress_bound', reader => 'none');
SELECT options, reader FROM cdc.slots;
SELECT cdc.alter_slot('cdc_regress_bound', reader => 'cdc_regress_nonsense');
SELECT cdc.create_slot('cdc_regress_wrong', reader => 'cdc_regress_nonsense');
SELECT cdc.create_slot('cdc_regress_wrong', temporary => true, reader => 'cdc_regress_consumer');
SELECT cdc.create_slot(NULL) IS NULL AS nothing;

-- cdc.fetch(), without REPLICATION
ALTER ROLE cdc_regress_consumer NOREPLICATION;
SET ROLE cdc_regress_consumer;
SELECT count(*) FROM cdc.fetch('cdc_regress_bound');
RESET ROLE;
SELECT cdc.alter_slot('cdc_regress_bound', reader => 'cdc_regress_consumer');
SET ROLE cdc_regress_consumer;
\set VERBOSITY sqlstate
SELECT count(*) FROM cdc.peek('cdc_regress_bound');
\set VERBOSITY default
SELECT count(data) AS batches, count(*) - count(data) AS ends, max(lsn) FILTER (WHERE data IS NULL) >= max(lsn) AS last FROM cdc.fetch('cdc_regress_bound');
SELECT op, key FROM cdc.decode((SELECT string_agg(data, '') FROM cdc.fetch('cdc_regress_bound')));
RESET ROLE;
INSERT INTO p.truncated VALUES (3);
INSERT INTO p.truncated VALUES (4);
SET ROLE cdc_regress_consumer;
-- one transaction after the other
SELECT max(lsn) FILTER (WHERE data IS NULL) AS first, cdc.decode(string_agg(data, '')) IS NOT NULL AS data FROM cdc.fetch('cdc_regress_bound', max_bytes => 1) \gset
SELECT op, key FROM cdc.decode((SELECT string_agg(data, '') FROM cdc.fetch('cdc_regress_bound', start_lsn => :'first', max_bytes => 1)));
SELECT op, key FROM cdc.decode((SELECT string_agg(data, '') FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => :'first')));
SELECT max(lsn) AS second FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => :'first') \gset
SELECT count(data) AS batches FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => :'second', timeout => '0.01 s');
\set VERBOSITY sqlstate
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => :'first');
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', start_lsn => :'first');
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => 'FFFFFFFF/0');
\set VERBOSITY default
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', max_bytes => 0);
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', timeout => '61 s');
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', timeout => '-1 s');
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', options => '{streaming,on}');
\set VERBOSITY terse
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', options => '{tables,p.*}');
\set VERBOSITY default
SELECT count(*) FROM cdc.fetch('cdc_regress_bound', options => '{batch_bytes,nonsense}');
SELECT count(*) FROM cdc.fetch('cdc_regress_none');
SELECT count(*) FROM cdc.fetch(NULL);
-- an error leaves the slot to be read again
SELECT count(data) AS batches FROM cdc.fetch('cdc_regress_bound', confirmed_lsn => :'second');
RESET ROLE;
SELECT count(*) FROM cdc.fetch('cdc_regress_none');
SELECT pg_create_logical_replication_slot('cdc_regress_foreign', 'pgoutput') IS NOT NULL AS made;
SELECT count(*) FROM cdc.fetch('cdc_regress_foreign');
SELECT pg_drop_replication_slot('cdc_regress_foreign');
-- options of a slot that was dropped otherwise do not count for one of its name
SELECT pg_create_logical_replication_slot('cdc_regress_again', 'cdc') IS NOT NULL AS made;
SELECT cdc.alter_slot('cdc_regress_again', '{tables,nothing.*}', reader => 'cdc_regress_consumer');
SELECT pg_drop_replication_slot('cdc_regress_again');
\set VERBOSITY default
SELECT pg_create_logical_replication_slot('cdc_regress_again', 'cdc');
SELECT cdc.create_slot('cdc_regress_again') IS NOT NULL AS made;
SELECT slot_name, options, reader FROM cdc.slots WHERE slot_name = 'cdc_regress_again';
SELECT cdc.alter_slot('cdc_regress_again', '{tables,nothing.*}');
SELECT pg_drop_replication_slot('cdc_regress_again');
SELECT cdc.copy_slot('cdc_regress_bound', 'cdc_regress_again', temporary => true) IS NOT NULL AS copied;
SELECT slot_name, options, reader FROM cdc.slots WHERE slot_name = 'cdc_regress_again';
-- nothing is stored for a temporary one
SELECT cdc.alter_slot('cdc_regress_again', '{tables,nothing.*}');
-- a copy is bound, too
SELECT cdc.alter_slot('cdc_regress_bound', reader => 'cdc_regress_owner');
SELECT cdc.copy_slot('cdc_regress_bound', 'cdc_regress_copy') IS NOT NULL AS copied;
SELECT slot_name, options, reader FROM cdc.slots ORDER BY 1;
SELECT cdc.drop_slot('cdc_regress_copy');
SELECT cdc.drop_slot('cdc_regress_bound');
DROP SCHEMA p CASCADE;
DROP FUNCTION seen, messages;
DROP VIEW grants;
DROP OWNED BY cdc_regress_owner, cdc_regress_consumer, cdc_regress_group, cdc_regress_other;
DROP ROLE cdc_regress_owner, cdc_regress_consumer, cdc_regress_group, cdc_regress_other;
