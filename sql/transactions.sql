-- Shapes of transactions, messages, metadata.
SELECT slot_name FROM cdc.create_slot('cdc_regress_transactions');
CREATE TABLE t (a int PRIMARY KEY, b text);

-- subtransactions and aborts
BEGIN;
INSERT INTO t VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO t VALUES (2, 'gone');
SAVEPOINT b;
INSERT INTO t VALUES (3, 'gone');
RELEASE b;
ROLLBACK TO a;
INSERT INTO t VALUES (4, 'kept');
SAVEPOINT c;
INSERT INTO t VALUES (5, 'kept');
COMMIT;
BEGIN;
INSERT INTO t VALUES (6, 'gone');
ROLLBACK;
SELECT changes('cdc_regress_transactions');

-- many rows of one WAL record have an index
COPY t FROM stdin;
10	ten
11	eleven
12	twelve
\.
SELECT split_part(data::json->>'position', '/', 5) AS index, data::json->>'key' AS key
FROM pg_logical_slot_get_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json');

INSERT INTO t VALUES (1, 'conflict'), (20, 'new') ON CONFLICT (a) DO UPDATE SET b = excluded.b;
INSERT INTO t VALUES (1, 'conflict') ON CONFLICT DO NOTHING;
SELECT changes('cdc_regress_transactions');

CREATE TABLE u (a int REFERENCES t, s serial);
INSERT INTO u VALUES (1);
TRUNCATE t CASCADE;
TRUNCATE u RESTART IDENTITY;
SELECT changes('cdc_regress_transactions');

-- logical messages, only those that are asked for
SELECT 1 FROM pg_logical_emit_message(false, 'one', 'alone');
BEGIN;
SELECT 1 FROM pg_logical_emit_message(true, 'one', 'inside');
SELECT 1 FROM pg_logical_emit_message(true, 'two', '\x00ff'::bytea);
SELECT 1 FROM pg_logical_emit_message(true, '', '');
COMMIT;
SELECT count(*) FROM pg_logical_slot_peek_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json');
SELECT count(*) FROM pg_logical_slot_peek_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json', 'messages', 'none,other');
SELECT changes('cdc_regress_transactions', 'messages', 'two,one');

-- metadata
BEGIN;
SELECT cdc.set_metadata('user', 'böb "x"');
INSERT INTO t VALUES (100, 'x');
SELECT cdc.set_metadata('app', 'shop');
SAVEPOINT a;
SELECT cdc.set_metadata('gone', 'x');
ROLLBACK TO a;
SELECT cdc.set_metadata('user', 'eve');
COMMIT;
-- of others: malformed, too large, too many; they are dropped
BEGIN;
SELECT 1 FROM pg_logical_emit_message(true, 'cdc.metadata', '\x');
SELECT 1 FROM pg_logical_emit_message(true, 'cdc.metadata', '\x0a');
SELECT 1 FROM pg_logical_emit_message(true, 'cdc.metadata', '\x1201ff1a0161'::bytea);
SELECT 1 FROM pg_logical_emit_message(true, 'cdc.metadata', '\x1201001a0161'::bytea);
SELECT 1 FROM pg_logical_emit_message(true, 'cdc.metadata', '\x12016b1a8120'::bytea || convert_to(repeat('v', 4097), 'UTF8'));
SELECT count(*) FROM generate_series(1, 70) g, pg_logical_emit_message(true, 'cdc.metadata', '\x1204'::bytea || convert_to(to_char(g, 'FM0000'), 'UTF8'));
INSERT INTO t VALUES (101, 'x');
COMMIT;
SELECT data::jsonb->'op' AS op, (SELECT count(*) FROM jsonb_object_keys(data::jsonb->'metadata')) AS entries,
  left(data::jsonb->>'metadata', 30) AS metadata
FROM pg_logical_slot_get_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json', 'messages', '*');

-- a large transaction comes in parts; where it is cut changes nothing
SELECT slot_name FROM cdc.create_slot('cdc_regress_parts');
INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1000, 1999) g;
SELECT count(*) > 1 AS parts FROM pg_logical_slot_peek_binary_changes('cdc_regress_parts', NULL, NULL);
SELECT count(*) > 5 AS parts FROM pg_logical_slot_peek_binary_changes('cdc_regress_parts', NULL, NULL, 'batch_bytes', '10kB');
SELECT count(*) AS parts FROM pg_logical_slot_peek_binary_changes('cdc_regress_parts', NULL, NULL, 'batch_bytes', '1');
SELECT count(*) AS different FROM (
  (SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_parts', NULL, NULL, 'format', 'json', 'batch_bytes', '16MB')
   EXCEPT
   SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_parts', NULL, NULL, 'format', 'json', 'batch_bytes', '100'))
  UNION ALL
  (SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_parts', NULL, NULL, 'format', 'json', 'batch_bytes', '100')
   EXCEPT
   SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_parts', NULL, NULL, 'format', 'json', 'batch_bytes', '16MB'))) x;
-- the same from another slot
SELECT count(*) AS different FROM (
  SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_parts', NULL, NULL, 'format', 'json')
  EXCEPT
  SELECT data FROM pg_logical_slot_peek_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json')) x;

-- a replication origin
SELECT cdc.drop_slot('cdc_regress_parts');
SELECT 1 FROM pg_replication_origin_create('cdc_regress_origin');
SELECT pg_replication_origin_session_setup('cdc_regress_origin');
INSERT INTO t VALUES (200, 'from elsewhere');
SELECT pg_replication_origin_session_reset();
SELECT data::jsonb->>'origin' AS origin FROM pg_logical_slot_get_changes('cdc_regress_transactions', NULL, NULL, 'format', 'json')
WHERE data::jsonb ? 'origin';
SELECT pg_replication_origin_drop('cdc_regress_origin');

SELECT cdc.drop_slot('cdc_regress_transactions');
DROP TABLE t, u;
