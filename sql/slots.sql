-- Slots: create, drop, the view; and metadata of transactions.
SELECT slot_name, lsn > '0/0' AS lsn FROM cdc.create_slot('cdc_regress_slots');
SELECT plugin, slot_type, database = current_database() AS here, temporary FROM pg_replication_slots WHERE slot_name = 'cdc_regress_slots';
SELECT slot_name, active, active_pid, temporary, wal_status, invalidation, restart_lsn < confirmed_flush_lsn AS restart,
       lag_bytes >= 0 AS lag, retained_bytes >= lag_bytes AS retained, safe_wal_size, two_phase, coalesce(total_txns, 0) AS total_txns
FROM cdc.slots WHERE slot_name = 'cdc_regress_slots';

-- errors
\set SHOW_CONTEXT never
\set VERBOSITY terse
SELECT cdc.create_slot('cdc_regress_slots');
SELECT cdc.create_slot('Not a slot name');
SELECT cdc.create_slot('');
SELECT cdc.create_slot(NULL) IS NULL AS nothing;
SELECT cdc.create_slot('x', NULL) IS NULL AS nothing;
SELECT cdc.drop_slot(NULL) IS NULL AS nothing;
SELECT cdc.drop_slot('cdc_regress_no_such_slot');
SELECT cdc.drop_slot('cdc_regress_no_such_slot', force => true);
-- those of other plugins are not ours
SELECT 'init' FROM pg_create_logical_replication_slot('cdc_regress_other', 'pgoutput');
SELECT 'init' FROM pg_create_physical_replication_slot('cdc_regress_physical');
SELECT cdc.drop_slot('cdc_regress_other');
SELECT cdc.drop_slot('cdc_regress_physical', true);
SELECT slot_name FROM cdc.slots WHERE slot_name LIKE 'cdc_regress%' ORDER BY 1;
SELECT pg_drop_replication_slot('cdc_regress_other'), pg_drop_replication_slot('cdc_regress_physical');
-- a slot is made before anything is written, and is there after ROLLBACK
CREATE TABLE t (id int PRIMARY KEY, v text);
BEGIN;
INSERT INTO t VALUES (0);
SELECT cdc.create_slot('cdc_regress_late');
ROLLBACK;
BEGIN;
SELECT slot_name FROM cdc.create_slot('cdc_regress_kept');
ROLLBACK;
SELECT slot_name FROM cdc.slots WHERE slot_name IN ('cdc_regress_late', 'cdc_regress_kept');
SELECT cdc.drop_slot('cdc_regress_kept');
\set VERBOSITY default
SELECT cdc.drop_slot('cdc_regress_kept');
\set VERBOSITY terse
-- a name that has to be quoted in SQL, and the server's other database
SELECT current_database() AS here \gset
CREATE DATABASE cdc_regress_elsewhere TEMPLATE template0;
\c cdc_regress_elsewhere
SELECT 'init' FROM pg_create_logical_replication_slot('cdc_regress_elsewhere', 'cdc');
\c :"here"
\set VERBOSITY default
SELECT cdc.drop_slot('cdc_regress_elsewhere');
\set VERBOSITY terse
SELECT count(*) FROM cdc.slots WHERE slot_name = 'cdc_regress_elsewhere';
SELECT pg_drop_replication_slot('cdc_regress_elsewhere');
DROP DATABASE cdc_regress_elsewhere;

-- temporary ones end with their session
SELECT slot_name FROM cdc.create_slot('cdc_regress_temporary', temporary => true);
SELECT active_pid = pg_backend_pid() AS mine, temporary FROM cdc.slots WHERE slot_name = 'cdc_regress_temporary';
INSERT INTO t VALUES (1, 'seen by both');
SELECT op FROM cdc.peek('cdc_regress_temporary');
\c
\set VERBOSITY terse
DO $$ BEGIN  -- the other session may take a moment
  FOR i IN 1..600 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM cdc.slots WHERE slot_name = 'cdc_regress_temporary');
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT count(*) FROM cdc.slots WHERE slot_name = 'cdc_regress_temporary';
SELECT changes('cdc_regress_slots');

-- who may: the rights of the caller count, and REPLICATION
CREATE ROLE cdc_regress_nobody;
CREATE ROLE cdc_regress_reader REPLICATION;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_nobody, cdc_regress_reader;
SET ROLE cdc_regress_reader;
SELECT cdc.create_slot('x');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_nobody, cdc_regress_reader;
GRANT SELECT ON cdc.slots TO cdc_regress_nobody;
SET ROLE cdc_regress_nobody;
\set VERBOSITY sqlstate
SELECT cdc.create_slot('x');
SELECT cdc.drop_slot('cdc_regress_slots');
SELECT cdc.alter_slot('cdc_regress_slots', '{old,full}');
SELECT cdc.copy_slot('cdc_regress_slots', 'x');
SELECT cdc.advance_slot('cdc_regress_slots', 'FFFFFFFF/0');
SELECT count(*) FROM cdc.peek('cdc_regress_slots');
\set VERBOSITY terse
SELECT count(*) FROM cdc.slots WHERE slot_name = 'cdc_regress_slots';
SET ROLE cdc_regress_reader;
SELECT slot_name FROM cdc.create_slot('cdc_regress_readers');
SELECT cdc.alter_slot('cdc_regress_readers', '{old,full}');
SELECT slot_name FROM cdc.copy_slot('cdc_regress_readers', 'cdc_regress_readers2');
SELECT slot_name FROM cdc.advance_slot('cdc_regress_readers2', 'FFFFFFFF/0');
SELECT cdc.drop_slot('cdc_regress_readers2');
SELECT cdc.drop_slot('cdc_regress_readers');
SELECT count(*) FROM cdc.slot_option;
SELECT count(*) FROM cdc.peek('cdc_regress_slots');
SELECT count(*) FROM cdc.slots;
RESET ROLE;
DROP OWNED BY cdc_regress_nobody, cdc_regress_reader;
DROP ROLE cdc_regress_nobody, cdc_regress_reader;

-- options that are stored for a slot
SELECT slot_name FROM cdc.create_slot('cdc_regress_options', options => '{old,full,batch_bytes,1kB}');
SELECT options FROM cdc.slots WHERE slot_name = 'cdc_regress_options';
SELECT option, value, set_by = session_user AS mine FROM cdc.slot_option ORDER BY 1;
ALTER TABLE t REPLICA IDENTITY FULL;
UPDATE t SET id = id;
SELECT old FROM cdc.peek('cdc_regress_options');
-- the client's win
SELECT old FROM cdc.peek('cdc_regress_options', options => '{old,changed}');
-- some change, others stay; NULL takes one out
SELECT cdc.alter_slot('cdc_regress_options', ARRAY['batch_bytes', NULL, 'messages', '*', 'rewrites', NULL]);
SELECT options FROM cdc.slots WHERE slot_name = 'cdc_regress_options';
SELECT cdc.alter_slot('cdc_regress_options', '{{old,changed},{messages,a}}');
SELECT options FROM cdc.slots WHERE slot_name = 'cdc_regress_options';
SELECT cdc.alter_slot('cdc_regress_options', '{}');
-- of what is wrong nothing is stored
\set VERBOSITY terse
SELECT cdc.alter_slot('cdc_regress_options', '{old,full,nonsense,on}');
SELECT cdc.alter_slot('cdc_regress_options', ARRAY['nonsense', NULL]);
\set VERBOSITY default
SELECT cdc.alter_slot('cdc_regress_options', '{old}');
SELECT cdc.alter_slot('cdc_regress_options', '{old,full,old,changed}');
SELECT cdc.alter_slot('cdc_regress_options', ARRAY[NULL, 'on']);
SELECT cdc.alter_slot('cdc_regress_options', '{format,json,streaming,on}');
SELECT cdc.create_slot('cdc_regress_wrong', options => '{old,maybe}');
SELECT cdc.create_slot('cdc_regress_wrong', options => ARRAY['old', NULL]);
SELECT cdc.create_slot('cdc_regress_wrong', temporary => true, options => '{old,full}');
\set VERBOSITY terse
SELECT cdc.alter_slot('cdc_regress_options', NULL) IS NULL AS nothing;
SELECT cdc.alter_slot('cdc_regress_none', '{old,full}');
SELECT slot_name, options FROM cdc.slots WHERE slot_name IN ('cdc_regress_options', 'cdc_regress_wrong');
-- what does not go together: the client's wins
SELECT cdc.alter_slot('cdc_regress_options', '{streaming,on}');
SELECT count(*) FROM changes('cdc_regress_options');
SELECT cdc.alter_slot('cdc_regress_options', ARRAY['streaming', NULL, 'format', 'json']);
UPDATE t SET id = id;
SELECT count(*) FROM cdc.peek('cdc_regress_options', options => '{streaming,on}');
SELECT count(*) FILTER (WHERE data LIKE '{"position%') FROM pg_logical_slot_peek_changes('cdc_regress_options', NULL, NULL);
-- a value that a later version does not know, say: an error until it is replaced
SELECT cdc.put_row(ROW(slot_name, option, 'xml', set_at, set_by)::cdc.slot_option) FROM cdc.slot_option WHERE option = 'format';
\set VERBOSITY default
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('cdc_regress_options', NULL, NULL);
\set VERBOSITY terse
SELECT count(*) FROM cdc.peek('cdc_regress_options');
SELECT cdc.alter_slot('cdc_regress_options', ARRAY['format', NULL]);
-- the table is no part of a stream
SELECT DISTINCT relation FROM cdc.peek('cdc_regress_options');

-- copies stand where the other one stands, and have its options
SELECT slot_name FROM cdc.copy_slot('cdc_regress_options', 'cdc_regress_copy');
SELECT a.confirmed_flush_lsn = b.confirmed_flush_lsn AS same, b.options
FROM cdc.slots a, cdc.slots b WHERE a.slot_name = 'cdc_regress_options' AND b.slot_name = 'cdc_regress_copy';
SELECT count(*) AS in_the_copy FROM changes('cdc_regress_copy');
SELECT count(*) AS in_the_original FROM cdc.peek('cdc_regress_options');
SELECT slot_name FROM cdc.copy_slot('cdc_regress_options', 'cdc_regress_temporary', true);
SELECT cdc.copy_slot('cdc_regress_options', 'cdc_regress_copy');
SELECT cdc.copy_slot('cdc_regress_none', 'cdc_regress_copy2');
SELECT cdc.copy_slot(NULL, 'x') IS NULL AS nothing;

-- advancing loses what lies before, without looking at it
SELECT pg_current_wal_lsn() AS upto \gset
SELECT slot_name, lsn = :'upto' AS there FROM cdc.advance_slot('cdc_regress_options', :'upto');
SELECT count(*) FROM cdc.peek('cdc_regress_options');
SELECT cdc.advance_slot('cdc_regress_options', NULL) IS NULL AS nothing;
\set VERBOSITY sqlstate
SELECT cdc.advance_slot('cdc_regress_options', '0/1');
SELECT cdc.advance_slot('cdc_regress_none', '0/1');
\set VERBOSITY terse
SELECT lsn < 'FFFFFFFF/0' AS at_the_end FROM cdc.advance_slot('cdc_regress_options', 'FFFFFFFF/0');

-- options go with their slot, whoever drops it
SELECT pg_drop_replication_slot('cdc_regress_copy');
SELECT DISTINCT slot_name FROM cdc.slot_option ORDER BY 1;
SELECT cdc.drop_slot('cdc_regress_options');
SELECT count(*) FROM cdc.slot_option;
-- what is stored is rolled back, the slot is not; one of the same name is a new one
BEGIN;
SELECT slot_name FROM cdc.create_slot('cdc_regress_options', options => '{old,full}');
ROLLBACK;
SELECT options FROM cdc.slots WHERE slot_name = 'cdc_regress_options';
SELECT cdc.alter_slot('cdc_regress_options', '{old,full}');
SELECT pg_drop_replication_slot('cdc_regress_options');
SELECT slot_name FROM cdc.create_slot('cdc_regress_options');
SELECT options FROM cdc.slots WHERE slot_name = 'cdc_regress_options';
SELECT cdc.drop_slot('cdc_regress_options');

-- metadata
SELECT cdc.set_metadata(NULL, 'v');
SELECT cdc.set_metadata('k', NULL);
SELECT cdc.set_metadata('', 'v');
SELECT cdc.set_metadata('k', repeat('x', 4096));
SELECT cdc.set_metadata(repeat('é', 2040), repeat('x', 17));
BEGIN;
SELECT cdc.set_metadata('b', 'second'), cdc.set_metadata('a', 'first'), cdc.set_metadata('k', '');
INSERT INTO t VALUES (2);
SELECT cdc.set_metadata('b', 'replaced'), cdc.set_metadata('quote"', E'line\n');
SAVEPOINT s;
SELECT cdc.set_metadata('b', 'taken back'), cdc.set_metadata('gone', 'x');
ROLLBACK TO s;
COMMIT;
-- alone it sends nothing; it is of its own transaction
SELECT cdc.set_metadata('alone', 'x');
INSERT INTO t VALUES (3);
SELECT changes('cdc_regress_slots');
-- at most 64 entries, and 4096 bytes: what is beyond is left out
BEGIN;
SELECT count(cdc.set_metadata(format('k%s', n), 'v')::text) FROM generate_series(1, 70) n;
INSERT INTO t VALUES (4);
COMMIT;
BEGIN;
SELECT cdc.set_metadata('long', repeat('x', 4000)), cdc.set_metadata('longer', repeat('y', 90)), cdc.set_metadata('fits', 'z');
INSERT INTO t VALUES (5);
COMMIT;
SELECT new, (SELECT count(*) FROM jsonb_object_keys(metadata)) AS entries, metadata ? 'long' AS long, metadata ? 'longer' AS longer, metadata ? 'fits' AS fits
FROM cdc.read('cdc_regress_slots');
-- nor can it be forged into something else
BEGIN;
SELECT 'message' FROM pg_logical_emit_message(true, 'cdc.metadata', 'nonsense');
SELECT 'message' FROM pg_logical_emit_message(true, 'cdc.metadata', '\xff'::bytea);
SELECT 'message' FROM pg_logical_emit_message(true, 'cdc.metadata', '\x08011202ffff'::bytea);
INSERT INTO t VALUES (6);
COMMIT;
SELECT changes('cdc_regress_slots', 'messages', '*');

-- traceparent: the W3C form
SELECT cdc.set_traceparent(NULL);
SELECT cdc.set_traceparent('');
SELECT cdc.set_traceparent('00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01');
SELECT cdc.set_traceparent('ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
SELECT cdc.set_traceparent('00-00000000000000000000000000000000-00f067aa0ba902b7-01');
SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01');
SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-');
SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0');
BEGIN;
SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
INSERT INTO t VALUES (7);
COMMIT;
SELECT changes('cdc_regress_slots');

SELECT cdc.drop_slot('cdc_regress_slots');
SELECT count(*) FROM cdc.slots WHERE slot_name LIKE 'cdc_regress%';
DROP TABLE t;

-- looking at what is no slot of cdc, or would be another one afterwards
\set VERBOSITY default
SELECT 'init' FROM pg_create_logical_replication_slot('cdc_regress_other', 'pgoutput');
SELECT 'init' FROM pg_create_physical_replication_slot('cdc_regress_physical');
SELECT * FROM cdc.peek('cdc_regress_other');
SELECT * FROM cdc.read('cdc_regress_physical');
SELECT * FROM cdc.fetch('cdc_regress_other');
\set VERBOSITY terse
SELECT * FROM cdc.peek('cdc_regress_none');
SELECT slot_name FROM cdc.create_slot('cdc_regress_look');
SELECT * FROM cdc.peek('cdc_regress_look', options => '{two_phase,on}');
SELECT * FROM cdc.read('cdc_regress_look', options => '{old,full,format,json}');
-- a value is no name
SELECT count(*) FROM cdc.peek('cdc_regress_look', options => '{messages,format}');
SELECT two_phase FROM cdc.slots WHERE slot_name = 'cdc_regress_look';
SELECT cdc.drop_slot('cdc_regress_look'), pg_drop_replication_slot('cdc_regress_other'), pg_drop_replication_slot('cdc_regress_physical');
