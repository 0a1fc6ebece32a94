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
SELECT count(*) FROM cdc.peek('cdc_regress_slots');
\set VERBOSITY terse
SELECT count(*) FROM cdc.slots WHERE slot_name = 'cdc_regress_slots';
SET ROLE cdc_regress_reader;
SELECT slot_name FROM cdc.create_slot('cdc_regress_readers');
SELECT cdc.drop_slot('cdc_regress_readers');
SELECT count(*) FROM cdc.peek('cdc_regress_slots');
SELECT count(*) FROM cdc.slots;
RESET ROLE;
DROP OWNED BY cdc_regress_nobody, cdc_regress_reader;
DROP ROLE cdc_regress_nobody, cdc_regress_reader;

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
