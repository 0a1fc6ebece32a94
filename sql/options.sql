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
