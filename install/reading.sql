-- Reading

CREATE FUNCTION cdc.decode_json(data bytea)
RETURNS SETOF json LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_decode_json';
REVOKE ALL ON FUNCTION cdc.decode_json(bytea) FROM PUBLIC;
COMMENT ON FUNCTION cdc.decode_json(bytea) IS
  'The JSON form of a stream, one line for each event and each outcome, exactly as format = ''json'' gives it. data: delimited batches, a file of pg_recvlogical, or a serialized cdc.v1.Stream. NULL gives no rows. ERROR XX001 where the bytes are damaged or a schema is missing, which is named.';

CREATE FUNCTION cdc.decode(data bytea, OUT "position" text, OUT xid xid, OUT commit_time timestamptz,
  OUT op text, OUT relation text, OUT fingerprint text, OUT key jsonb, OUT new_key jsonb,
  OUT old jsonb, OUT new jsonb, OUT metadata jsonb, OUT event jsonb)
RETURNS SETOF record LANGUAGE c STRICT IMMUTABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_decode';
REVOKE ALL ON FUNCTION cdc.decode(bytea) FROM PUBLIC;
COMMENT ON FUNCTION cdc.decode(bytea) IS
  'The events of a stream, one row each. data as for cdc.decode_json(), which also gives the errors. key, new_key, old, new: columns by name; NULL where the event has none. event: all of it. What jsonb cannot hold is replaced, see docs/reference.md; cdc.decode_json() is exact. NULL gives no rows.';

CREATE FUNCTION cdc.peek(slot_name name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL,
  options text[] DEFAULT '{}', OUT "position" text, OUT xid xid, OUT commit_time timestamptz,
  OUT op text, OUT relation text, OUT fingerprint text, OUT key jsonb, OUT new_key jsonb,
  OUT old jsonb, OUT new jsonb, OUT metadata jsonb, OUT event jsonb)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  slot record;
BEGIN
  IF EXISTS (SELECT FROM unnest(options) WITH ORDINALITY o(word, n) WHERE n % 2 = 1 AND word IN ('format', 'schemas', 'two_phase')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'options "format", "schemas" and "two_phase" cannot be given here',
      DETAIL = 'The first two are always the same here; two_phase would change the slot for ever.',
      HINT = 'pg_logical_slot_peek_changes(slot, NULL, NULL, ''format'', ''json'') gives JSON lines.';
  END IF;
  SELECT s.plugin, s.database, s.wal_status INTO slot FROM pg_replication_slots s WHERE s.slot_name = peek.slot_name;
  IF FOUND AND (slot.plugin IS DISTINCT FROM 'cdc' OR slot.database <> current_database()) THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('replication slot "%s" is not a cdc slot of this database', slot_name),
      HINT = 'The view cdc.slots lists those that are.';
  ELSIF slot.wal_status = 'lost' THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('replication slot "%s" is lost: the server has removed what it would need', slot_name),
      DETAIL = 'The column invalidation of cdc.slots says why.',
      HINT = 'Drop it, make it anew, and load the tables anew.';
  END IF;
  RETURN QUERY
  SELECT d.* FROM pg_logical_slot_peek_binary_changes(slot_name, upto_lsn, upto_nchanges,
    VARIADIC ARRAY['format', 'protobuf', 'schemas', 'batch'] || options) c, cdc.decode(c.data) d;
END $$;
REVOKE ALL ON FUNCTION cdc.peek(name, pg_lsn, integer, text[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.peek(name, pg_lsn, integer, text[]) IS
  'The events that wait in a slot, without consuming them; columns as of cdc.decode(). upto_lsn, upto_nchanges: stop after the transaction that reaches them (batches, not events, are counted); NULL = no limit. options: names and values in turn, but format, schemas and two_phase. Needs REPLICATION, and EXECUTE on decode. ERROR 42809 for a slot of another plugin or database, 55000 for one that is lost.';

CREATE FUNCTION cdc.read(slot_name name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL,
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
REVOKE ALL ON FUNCTION cdc.read(name, pg_lsn, integer, text[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.read(name, pg_lsn, integer, text[]) IS
  'As cdc.peek(), and consumes what it returns: the slot moves on once all of it is decoded, also if the transaction is rolled back later. An ERROR leaves the slot where it was. Decodes twice: for looks, not for volumes. Needs what peek() needs.';

CREATE FUNCTION cdc."fetch"(slot_name name, confirmed_lsn pg_lsn DEFAULT NULL, start_lsn pg_lsn DEFAULT NULL,
  max_bytes bigint DEFAULT 16777216, timeout interval DEFAULT '0', options text[] DEFAULT '{}',
  OUT lsn pg_lsn, OUT data bytea)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_fetch';
REVOKE ALL ON FUNCTION cdc."fetch"(name, pg_lsn, pg_lsn, bigint, interval, text[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc."fetch"(name, pg_lsn, pg_lsn, bigint, interval, text[]) IS
  'The stream by ordinary SQL, for the reader of a slot without REPLICATION. Confirms the slot up to confirmed_lsn (NULL = as it is), and returns the transactions that follow: data is one delimited batch. The last row has no data; its lsn is the confirmed_lsn of the next call. Ends behind max_bytes. Waits for timeout (60 seconds at most) where there is nothing. More: docs/reference.md.';
