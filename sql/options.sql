-- Options: what is wrong is said at once, with what is allowed.
SELECT slot_name FROM cdc.create_slot('cdc_regress_options');
\set VERBOSITY default
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'nonsense', '1');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'format', 'xml');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'format', 'json', 'format', 'json');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'proto_version', '2');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'batch_bytes', '0');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'batch_bytes', '17MB');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'batch_bytes', 'many');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'schemas', 'always');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'old', '');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'messages', 'a,,b');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'rewrites', 'true');
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'on_error', 'ignore');
-- binary output needs the binary functions
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL);
-- all is well after that
SELECT * FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL, 'proto_version', '1', 'format', 'json',
  'batch_bytes', '1MB', 'schemas', 'batch', 'old', 'full', 'messages', '*', 'rewrites', 'on', 'on_error', 'stop');

-- schemas: once in a connection, or in every batch that needs them
CREATE TABLE t (a int PRIMARY KEY);
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (2);
SELECT position('public'::bytea in data) > 0 AS has_schema
FROM pg_logical_slot_peek_binary_changes('cdc_regress_options', NULL, NULL);
SELECT position('public'::bytea in data) > 0 AS has_schema
FROM pg_logical_slot_peek_binary_changes('cdc_regress_options', NULL, NULL, 'schemas', 'batch');

SELECT cdc.drop_slot('cdc_regress_options');
DROP TABLE t;

-- tables that are asked for and would never be sent are told at once, when the option is
-- stored and at each start; patterns with an asterisk are for what there may be one day
CREATE SCHEMA there;
CREATE TABLE there.t (id int PRIMARY KEY);
CREATE UNLOGGED TABLE there.unlogged (id int PRIMARY KEY);
CREATE VIEW there.v AS SELECT 1;
CREATE TABLE there.parted (id int) PARTITION BY LIST (id);
SELECT slot_name FROM cdc.create_slot('cdc_regress_tables',
  options => '{tables,"there.t, there.parted, there.tt, there.unlogged, there.v, away.t, away.*, *.away, There.T, \"There\".t"}');
INSERT INTO there.t VALUES (1);
SELECT op, relation FROM cdc.peek('cdc_regress_tables');
\set VERBOSITY terse
SELECT cdc.alter_slot('cdc_regress_tables', '{tables,there.x}');
SELECT count(*) FROM cdc.peek('cdc_regress_tables');
SELECT count(*) FROM cdc.peek('cdc_regress_tables', options => '{tables,there.t}');
SELECT cdc.drop_slot('cdc_regress_tables');
DROP TABLE there.t, there.unlogged, there.parted;
DROP VIEW there.v;
DROP SCHEMA there;
