-- The SQL surface of cdc. Everything runs with the caller's privileges and is
-- granted to nobody: an administrator grants what a role needs.
\echo Use "CREATE EXTENSION cdc" to load this file. \quit

COMMENT ON SCHEMA cdc IS
  'Change data capture: slots, reading and describing streams of Protobuf ChangeEvents';

-- Slots

CREATE TABLE slot_option (
  slot_name name NOT NULL,
  option text NOT NULL,
  value text NOT NULL,
  set_at timestamptz NOT NULL,
  set_by name NOT NULL,
  CONSTRAINT slot_option_pkey PRIMARY KEY (slot_name, option)
);
REVOKE ALL ON slot_option FROM PUBLIC;
COMMENT ON TABLE slot_option IS
  'Options that are stored for slots and count for whoever reads from them, unless the client gives others. Written by cdc.create_slot(), cdc.alter_slot(), cdc.copy_slot() and cdc.drop_slot(); read when a slot is started.';

CREATE FUNCTION create_slot(INOUT slot_name name, temporary boolean DEFAULT false,
  two_phase boolean DEFAULT false, failover boolean DEFAULT false,
  options text[] DEFAULT '{}', OUT lsn pg_lsn)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_create_slot';
REVOKE ALL ON FUNCTION create_slot(name, boolean, boolean, boolean, text[]) FROM PUBLIC;
COMMENT ON FUNCTION create_slot(name, boolean, boolean, boolean, text[]) IS
  'Creates a logical replication slot of this database with the output plugin cdc; lsn is where its changes begin. A temporary slot is dropped when the session ends. With two_phase prepared transactions are sent when they are prepared. With failover the slot is synchronized to standbys (PostgreSQL 17; together with two_phase 18; ERROR 0A000 before). options: names and values in turn, stored for the slot (not for a temporary one), see cdc.alter_slot(). NULL arguments give NULL. Needs REPLICATION. Must come before any write of the transaction; the slot survives its ROLLBACK, the options do not. ERROR 42501 with the statement to run where output_plugin_libraries does not allow the plugin, 22023 for a wrong option, before the slot is made.';

CREATE FUNCTION alter_slot(slot_name name, options text[])
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_alter_slot';
REVOKE ALL ON FUNCTION alter_slot(name, text[]) FROM PUBLIC;
COMMENT ON FUNCTION alter_slot(name, text[]) IS
  'Stores options for a cdc slot of this database, names and values in turn; a NULL value takes one out, what is not named stays. They count from the next start of the slot on, unless the client gives others. NULL arguments do nothing. Needs REPLICATION. ERROR 22023 for a wrong option, of which nothing is stored.';

CREATE FUNCTION copy_slot(INOUT slot_name name, new_name name, temporary boolean DEFAULT false,
  OUT lsn pg_lsn)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_copy_slot';
REVOKE ALL ON FUNCTION copy_slot(name, name, boolean) FROM PUBLIC;
COMMENT ON FUNCTION copy_slot(name, name, boolean) IS
  'Creates a slot that stands where another one stands, with its stored options: a checkpoint to read from again. Returns the new name, and lsn, from where it is confirmed. two_phase and failover are not copied. NULL arguments give NULL. Needs REPLICATION. Must come before any write of the transaction; the slot survives its ROLLBACK.';

CREATE FUNCTION advance_slot(INOUT slot_name name, upto_lsn pg_lsn, OUT lsn pg_lsn)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_advance_slot';
REVOKE ALL ON FUNCTION advance_slot(name, pg_lsn) FROM PUBLIC;
COMMENT ON FUNCTION advance_slot(name, pg_lsn) IS
  'Confirms a cdc slot of this database up to a position, or the end of the WAL if that comes first: what was not read before it is lost. Does not load the plugin, so that it passes a change at which reading fails again and again. Returns where the slot is then. NULL arguments give NULL. Needs REPLICATION. ERROR 55000 where the position lies before the slot''s, 55006 while the slot is in use.';

CREATE FUNCTION drop_slot(slot_name name, force boolean DEFAULT false)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_drop_slot';
REVOKE ALL ON FUNCTION drop_slot(name, boolean) FROM PUBLIC;
COMMENT ON FUNCTION drop_slot(name, boolean) IS
  'Drops a cdc slot of this database and its stored options; what was not read from it is lost. force ends the connection that uses it (waiting up to 10 seconds), which needs the right to do so; without it a slot in use is an ERROR (55006). NULL arguments do nothing. Needs REPLICATION.';

CREATE VIEW slots AS
SELECT s.slot_name, s.active, s.active_pid, s.temporary,
       j->>'wal_status' AS wal_status,
       coalesce(j->>'invalidation_reason',
                CASE WHEN s.wal_status = 'lost' THEN 'wal_removed'
                     WHEN (j->>'conflicting')::boolean THEN 'conflicting' END) AS invalidation,
       s.restart_lsn, s.confirmed_flush_lsn,
       pg_catalog.pg_wal_lsn_diff(now.lsn, s.confirmed_flush_lsn)::bigint AS lag_bytes,
       pg_catalog.pg_wal_lsn_diff(now.lsn, s.restart_lsn)::bigint AS retained_bytes,
       s.safe_wal_size, s.two_phase,
       coalesce((j->>'failover')::boolean, false) AS failover,
       coalesce((j->>'synced')::boolean, false) AS synced,
       (SELECT pg_catalog.jsonb_object_agg(o.option, o.value)
        FROM cdc.slot_option o WHERE o.slot_name = s.slot_name) AS options,
       t.total_txns, t.total_bytes, t.spill_txns, t.spill_count, t.spill_bytes,
       t.stream_txns, t.stream_count, t.stream_bytes
FROM pg_catalog.pg_replication_slots s
CROSS JOIN LATERAL pg_catalog.to_jsonb(s) j
CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                        THEN pg_catalog.pg_last_wal_replay_lsn()
                        ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) now
LEFT JOIN pg_catalog.pg_stat_replication_slots t ON t.slot_name = s.slot_name
WHERE s.plugin = 'cdc' AND s.database = pg_catalog.current_database();
REVOKE ALL ON slots FROM PUBLIC;
COMMENT ON VIEW slots IS
  'The cdc slots of this database. lag_bytes: WAL that is not confirmed; retained_bytes: WAL that the server keeps for the slot; safe_wal_size: WAL that may still be written before the slot is lost, NULL = no limit; invalidation: why the slot is of no use any more, NULL = it is. failover, synced: synchronized to standbys, from a primary (PostgreSQL 17). options: what is stored for it, NULL = nothing. The rest as in pg_replication_slots and pg_stat_replication_slots.';

-- Reading

CREATE FUNCTION decode_json(data bytea)
RETURNS SETOF json LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_decode_json';
REVOKE ALL ON FUNCTION decode_json(bytea) FROM PUBLIC;
COMMENT ON FUNCTION decode_json(bytea) IS
  'The JSON form of a stream, one line for each event and each outcome, exactly as format = ''json'' gives it. data: delimited batches, a file of pg_recvlogical, or a serialized cdc.v1.Stream. NULL gives no rows. ERROR XX001 where the bytes are damaged or a schema is missing, which is named.';

CREATE FUNCTION decode(data bytea, OUT "position" text, OUT xid xid, OUT commit_time timestamptz,
  OUT op text, OUT relation text, OUT fingerprint text, OUT key jsonb, OUT new_key jsonb,
  OUT old jsonb, OUT new jsonb, OUT metadata jsonb, OUT event jsonb)
RETURNS SETOF record LANGUAGE c STRICT IMMUTABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_decode';
REVOKE ALL ON FUNCTION decode(bytea) FROM PUBLIC;
COMMENT ON FUNCTION decode(bytea) IS
  'The events of a stream, one row each. data as for cdc.decode_json(), which also gives the errors. key, new_key, old, new: columns by name; NULL where the event has none. event: all of it. What jsonb can not hold: \u0000 and halves of surrogate pairs are U+FFFD, other things a string of the JSON text; cdc.decode_json() is exact. NULL gives no rows.';

CREATE FUNCTION peek(slot_name name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL,
  options text[] DEFAULT '{}', OUT "position" text, OUT xid xid, OUT commit_time timestamptz,
  OUT op text, OUT relation text, OUT fingerprint text, OUT key jsonb, OUT new_key jsonb,
  OUT old jsonb, OUT new jsonb, OUT metadata jsonb, OUT event jsonb)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF 'format' = ANY (options) OR 'schemas' = ANY (options) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'options "format" and "schemas" can not be given here',
      HINT = 'pg_logical_slot_peek_changes(slot, NULL, NULL, ''format'', ''json'') gives JSON lines.';
  END IF;
  RETURN QUERY
  SELECT d.* FROM pg_logical_slot_peek_binary_changes(slot_name, upto_lsn, upto_nchanges,
    VARIADIC ARRAY['format', 'protobuf', 'schemas', 'batch'] || options) c, cdc.decode(c.data) d;
END $$;
REVOKE ALL ON FUNCTION peek(name, pg_lsn, integer, text[]) FROM PUBLIC;
COMMENT ON FUNCTION peek(name, pg_lsn, integer, text[]) IS
  'The events that wait in a slot, without consuming them; columns as of cdc.decode(). upto_lsn, upto_nchanges: stop after the transaction that reaches them (batches, not events, are counted); NULL = no limit. options: names and values in turn, but format and schemas. Needs REPLICATION, and EXECUTE on decode.';

CREATE FUNCTION read(slot_name name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL,
  options text[] DEFAULT '{}', OUT "position" text, OUT xid xid, OUT commit_time timestamptz,
  OUT op text, OUT relation text, OUT fingerprint text, OUT key jsonb, OUT new_key jsonb,
  OUT old jsonb, OUT new jsonb, OUT metadata jsonb, OUT event jsonb)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- both calls below end at the same place
  upto pg_lsn := least(upto_lsn, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                      ELSE pg_current_wal_flush_lsn() END);
BEGIN
  RETURN QUERY SELECT p.* FROM cdc.peek(slot_name, upto, upto_nchanges, options) p;
  -- only now, with all of it in hand: what failed before can be read again
  PERFORM FROM pg_logical_slot_get_binary_changes(slot_name, upto, upto_nchanges,
    VARIADIC ARRAY['format', 'protobuf', 'schemas', 'batch'] || options);
END $$;
REVOKE ALL ON FUNCTION read(name, pg_lsn, integer, text[]) FROM PUBLIC;
COMMENT ON FUNCTION read(name, pg_lsn, integer, text[]) IS
  'As cdc.peek(), and consumes what it returns: the slot moves on once all of it is decoded, also if the transaction is rolled back later. An ERROR leaves the slot where it was. Decodes twice: for looks, not for volumes. Needs what peek() needs.';

-- Reading tables as they are

CREATE FUNCTION snapshot(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL,
  from_block bigint DEFAULT NULL, to_block bigint DEFAULT NULL,
  options text[] DEFAULT '{}', slot_name name DEFAULT NULL)
RETURNS SETOF bytea LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot';
REVOKE ALL ON FUNCTION snapshot(regclass, text[], text[], bigint, bigint, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION snapshot(regclass, text[], text[], bigint, bigint, text[], name) IS
  'The rows of a table as READ events, in delimited batches like those of the stream, each with the snapshot under which it was read; at least one batch, also where there are no rows. from_key (inclusive), to_key (exclusive): values of the key columns in the order of the key''s index, as text; NULL = open; both the same = the row with that key. from_block, to_block: the same for blocks of the table, in a REPEATABLE READ transaction only. cdc.snapshot_chunks() gives ranges. options: names and values in turn, as of the stream; those stored for slot_name count where they are not given. Columns, rows and names are those that the options select; a table that they leave out is an ERROR (22023). Reads with the caller''s privileges; a row security policy that would hide rows is an ERROR (42501), a table that was created, truncated or rewritten after the snapshot was taken 55000. NULL for relation gives no rows. For COPY (SELECT cdc.snapshot(...)) TO STDOUT (FORMAT binary).';

CREATE FUNCTION snapshot_chunks(relation regclass, max_rows bigint DEFAULT 100000,
  OUT from_key text[], OUT to_key text[], OUT from_block bigint, OUT to_block bigint,
  OUT key_columns text[])
RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot_chunks';
REVOKE ALL ON FUNCTION snapshot_chunks(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION snapshot_chunks(regclass, bigint) IS
  'Ranges to give to cdc.snapshot(), which together are the whole table whatever is inserted later: by key, each with max_rows rows at the moment, or for a table without a key by block, with about as many. key_columns: the columns whose values from_key and to_key are; NULL where the table has no key. Reads the key of every row, with the caller''s privileges. NULL arguments give no rows.';

-- Schemas

CREATE FUNCTION fingerprint(relation regclass)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_fingerprint_sql';
REVOKE ALL ON FUNCTION fingerprint(regclass) FROM PUBLIC;
COMMENT ON FUNCTION fingerprint(regclass) IS
  'Address of the table''s schema as it is now, 16 hexadecimal digits: the first 8 bytes of the SHA-256 of its serialized cdc.v1.Table. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION table_schema(relation regclass)
RETURNS jsonb LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_table_schema';
REVOKE ALL ON FUNCTION table_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION table_schema(regclass) IS
  'The table''s cdc.v1.Table as it is now. missing: the value of rows older than the column. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION proto(relation regclass)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_proto';
REVOKE ALL ON FUNCTION proto(regclass) FROM PUBLIC;
COMMENT ON FUNCTION proto(regclass) IS
  'A .proto file with a message for the table''s rows as they are now: field number = attnum, dropped ones reserved. Names that are no identifiers, or that protoc could not tell apart, get their attnum. NULL gives NULL. ERROR 42809 for what is no table.';

-- Metadata of transactions

CREATE FUNCTION set_metadata(key text, value text)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_set_metadata';
REVOKE ALL ON FUNCTION set_metadata(text, text) FROM PUBLIC;
COMMENT ON FUNCTION set_metadata(text, text) IS
  'Attaches an entry to the current transaction, which consumers get with its changes; setting a key again replaces its value, ROLLBACK TO SAVEPOINT takes it back. At most 64 entries and 4096 bytes (keys and values, UTF-8) for a transaction: a single larger one is ERROR 54000, the rest beyond is left out. ERROR 22004 for NULL, 22023 for an empty key. A transaction without changes sends none.';

CREATE FUNCTION set_traceparent(traceparent text)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_set_traceparent';
REVOKE ALL ON FUNCTION set_traceparent(text) FROM PUBLIC;
COMMENT ON FUNCTION set_traceparent(text) IS
  'cdc.set_metadata(''traceparent'', ...) for a W3C Trace Context value, whose form is checked (ERROR 22023; 22004 for NULL).';
