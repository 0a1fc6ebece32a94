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
  'Options that are stored for slots and count for whoever reads from them, unless the client gives others; as option reader the OID of the role that a slot is bound to. Written by cdc.create_slot(), cdc.alter_slot(), cdc.copy_slot() and cdc.drop_slot(); read when a slot is started.';

CREATE FUNCTION create_slot(INOUT slot_name name, temporary boolean DEFAULT false,
  two_phase boolean DEFAULT false, failover boolean DEFAULT false,
  options text[] DEFAULT '{}', reader name DEFAULT NULL, OUT lsn pg_lsn)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_create_slot';
REVOKE ALL ON FUNCTION create_slot(name, boolean, boolean, boolean, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION create_slot(name, boolean, boolean, boolean, text[], name) IS
  'Creates a logical replication slot of this database with the output plugin cdc; lsn is where its changes begin. A temporary slot is dropped when the session ends. With two_phase prepared transactions are sent when they are prepared. With failover the slot is synchronized to standbys (PostgreSQL 17; together with two_phase 18; ERROR 0A000 before). options: names and values in turn, stored for the slot (not for a temporary one), see cdc.alter_slot(). reader: the role that alone, but for superusers, may read from it, by cdc.fetch() also without REPLICATION, and which may give only options that do not change what is sent; NULL = any with REPLICATION. Other NULL arguments give NULL. Needs REPLICATION. Must come before any write of the transaction; the slot survives its ROLLBACK, the options do not. ERROR 42501 with the statement to run where output_plugin_libraries does not allow the plugin, 22023 for a wrong option, 42704 for a role that does not exist, before the slot is made.';

CREATE FUNCTION alter_slot(slot_name name, options text[] DEFAULT '{}', reader name DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_alter_slot';
REVOKE ALL ON FUNCTION alter_slot(name, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION alter_slot(name, text[], name) IS
  'Stores options for a cdc slot of this database, names and values in turn; a NULL value takes one out, what is not named stays. They count from the next start of the slot on, unless the client gives others. reader: binds it to a role, see cdc.create_slot(); none = to no role any more, NULL = as it is. Other NULL arguments do nothing. Needs REPLICATION. ERROR 22023 for a wrong option, 42704 for a role that does not exist; nothing is stored then.';

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
        FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option <> 'reader') AS options,
       (SELECT pg_catalog.pg_get_userbyid(o.value::oid)
        FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option = 'reader') AS reader,
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
  'The cdc slots of this database. lag_bytes: WAL that is not confirmed; retained_bytes: WAL that the server keeps for the slot; safe_wal_size: WAL that may still be written before the slot is lost, NULL = no limit; invalidation: why the slot is of no use any more, NULL = it is. failover, synced: synchronized to standbys, from a primary (PostgreSQL 17). options: what is stored for it, NULL = nothing. reader: the role that it is bound to, NULL = none. The rest as in pg_replication_slots and pg_stat_replication_slots.';

CREATE FUNCTION slot_counters(slot_name name, OUT transactions bigint, OUT batches bigint, OUT bytes bigint,
  OUT events bigint, OUT failures bigint, OUT withheld_changes bigint, OUT withheld_messages bigint,
  OUT withheld_values bigint, OUT dropped_metadata bigint)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cdc_slot_counters';
REVOKE ALL ON FUNCTION slot_counters(name) FROM PUBLIC;
COMMENT ON FUNCTION slot_counters(name) IS
  'What was counted of a slot, see cdc.stats. NULL for a slot that was not read from, and where the library is not in shared_preload_libraries.';

CREATE VIEW stats AS
SELECT s.slot_name, c.*
FROM pg_catalog.pg_replication_slots s CROSS JOIN LATERAL cdc.slot_counters(s.slot_name) c
WHERE s.plugin = 'cdc' AND s.database = pg_catalog.current_database() AND c.batches IS NOT NULL;
REVOKE ALL ON stats FROM PUBLIC;
COMMENT ON VIEW stats IS
  'What was sent from the cdc slots of this database since the slot was made or the server started, replays counted again; needs the library in shared_preload_libraries, and EXECUTE on cdc.slot_counters(). transactions: of which something was sent; bytes: of batches; failures: events that say that a change can not be encoded; withheld_changes: of tables of which the user who read may be sent nothing; withheld_messages: logical messages and metadata that it may not be sent; withheld_values: changes with a value that is not what the path of a rule of redaction expects; dropped_metadata: entries beyond the limits of a transaction.';

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

CREATE FUNCTION "fetch"(slot_name name, confirmed_lsn pg_lsn DEFAULT NULL, start_lsn pg_lsn DEFAULT NULL,
  max_bytes bigint DEFAULT 16777216, timeout interval DEFAULT '0', options text[] DEFAULT '{}',
  OUT lsn pg_lsn, OUT data bytea)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_fetch';
REVOKE ALL ON FUNCTION "fetch"(name, pg_lsn, pg_lsn, bigint, interval, text[]) FROM PUBLIC;
COMMENT ON FUNCTION "fetch"(name, pg_lsn, pg_lsn, bigint, interval, text[]) IS
  'The stream by ordinary SQL, for a role without REPLICATION to which a slot is bound (cdc.create_slot(), reader). Confirms the slot up to confirmed_lsn (NULL = as it is), and returns the transactions that commit at start_lsn or later (NULL = confirmed_lsn, or where the slot stands): data is one batch of the stream, delimited, lsn where it comes from. The last row has no data: everything that committed before its lsn was returned or is not sent, so that it is to be confirmed once all is handled, and the start_lsn of the next call. Ends after the transaction with which max_bytes are reached. With nothing to send it waits for timeout (at most 60 seconds, during which the snapshot holds up VACUUM). options: names and values in turn, as a client of the slot may give them; format and streaming can not be given. Every call is a connection of its own as to schemas and parts. Other NULL arguments give no rows. ERROR 42501 for other roles (but superusers), 55000 where a position lies before the slot''s or beyond the WAL, 55006 while the slot is in use, 22023 for a wrong argument.';

-- Reading tables as they are

CREATE FUNCTION snapshot(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL,
  from_block bigint DEFAULT NULL, to_block bigint DEFAULT NULL,
  options text[] DEFAULT '{}', slot_name name DEFAULT NULL)
RETURNS SETOF bytea LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot';
REVOKE ALL ON FUNCTION snapshot(regclass, text[], text[], bigint, bigint, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION snapshot(regclass, text[], text[], bigint, bigint, text[], name) IS
  'The rows of a table as READ events, in delimited batches like those of the stream, each with the snapshot under which it was read; at least one batch, also where there are no rows. from_key (inclusive), to_key (exclusive): values of the key columns in the order of the key''s index, as text; NULL = open; both the same = the row with that key. from_block, to_block: the same for blocks of the table, in a REPEATABLE READ transaction only. cdc.snapshot_chunks() gives ranges. options: names and values in turn, as of the stream; those stored for slot_name count where they are not given. Columns, rows and names are those that the options select; a table that they leave out is an ERROR (22023). Reads what the caller may SELECT, or was given by cdc.grant_read(); what is not is withheld, and a table of which that is all an ERROR (42501), as is a range of a key that is redacted. A table that was created, truncated or rewritten after the snapshot was taken 55000. NULL for relation gives no rows. For COPY (SELECT cdc.snapshot(...)) TO STDOUT (FORMAT binary).';

CREATE FUNCTION snapshot_chunks(relation regclass, max_rows bigint DEFAULT 100000,
  OUT from_key text[], OUT to_key text[], OUT from_block bigint, OUT to_block bigint,
  OUT key_columns text[])
RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot_chunks';
REVOKE ALL ON FUNCTION snapshot_chunks(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION snapshot_chunks(regclass, bigint) IS
  'Ranges to give to cdc.snapshot(), which together are the whole table whatever is inserted later: by key, each with max_rows rows at the moment, or for a table without a key by block, with about as many. key_columns: the columns whose values from_key and to_key are; NULL where the table has no key. Reads the key of every row; a key that is redacted or withheld from the caller counts as none, and a table that is withheld is an ERROR (42501). NULL arguments give no rows.';

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

-- Redaction

CREATE TABLE redaction_rule (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation regclass,
  attnum int2,
  schema_name name,
  table_name name,
  column_name name,
  column_pattern text,
  method text NOT NULL,
  value text,
  length int,
  prefix int,
  suffix int,
  filler text,
  path text,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by name NOT NULL DEFAULT session_user,
  follows bigint REFERENCES redaction_rule ON DELETE CASCADE,
  CONSTRAINT by_column_or_pattern CHECK (num_nulls(relation, attnum, schema_name, table_name, column_name)
    = CASE WHEN column_pattern IS NULL THEN 0 ELSE 5 END),
  -- what decoding reads must not be stored out of line
  CONSTRAINT parameters_are_short CHECK (length(concat(column_pattern, method, value, filler, path)) <= 1000)
) WITH (user_catalog_table = true);
ALTER TABLE redaction_rule
  ALTER column_pattern SET STORAGE MAIN, ALTER method SET STORAGE MAIN, ALTER value SET STORAGE MAIN,
  ALTER filler SET STORAGE MAIN, ALTER path SET STORAGE MAIN;
REVOKE ALL ON redaction_rule FROM PUBLIC;
COMMENT ON TABLE redaction_rule IS
  'The rules of redaction, and those that follow one for other columns and partitions. A rule counts for changes that were made while it was there, and for all that are read while it is. Written by cdc.redact(), cdc.redact_matching() and cdc.unredact(); other changes count, too, and are audited. Can not be truncated.';
SELECT pg_catalog.pg_extension_config_dump('redaction_rule', '');
SELECT pg_catalog.pg_extension_config_dump('redaction_rule_id_seq', '');
COMMENT ON SEQUENCE redaction_rule_id_seq IS 'Numbers of the rules of redaction';

CREATE FUNCTION rules_changed()
RETURNS trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_rules_changed';
REVOKE ALL ON FUNCTION rules_changed() FROM PUBLIC;
COMMENT ON FUNCTION rules_changed() IS
  'Trigger function: tells sessions that decode that rules have changed; refuses TRUNCATE.';
CREATE TRIGGER rules_changed AFTER INSERT OR UPDATE OR DELETE ON redaction_rule
  FOR EACH STATEMENT EXECUTE FUNCTION rules_changed();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON redaction_rule
  FOR EACH STATEMENT EXECUTE FUNCTION rules_changed();
ALTER TABLE redaction_rule ENABLE ALWAYS TRIGGER rules_changed, ENABLE ALWAYS TRIGGER no_truncate;

CREATE TABLE redaction_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  by name NOT NULL DEFAULT session_user,
  about name NOT NULL,
  action text NOT NULL,
  rule jsonb NOT NULL,
  former jsonb
);
REVOKE ALL ON redaction_audit FROM PUBLIC;
COMMENT ON TABLE redaction_audit IS
  'Who has added, changed or removed which rule of redaction (about redaction_rule) or what a role may be sent (about read_grant), and when. Rows are added by a trigger; nobody but the owner can change them.';
SELECT pg_catalog.pg_extension_config_dump('redaction_audit', '');

CREATE FUNCTION audit_rules()
RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO cdc.redaction_audit (about, action, rule, former)
  VALUES (TG_TABLE_NAME, TG_OP, to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END),
          CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION audit_rules() FROM PUBLIC;
COMMENT ON FUNCTION audit_rules() IS 'Trigger function: writes cdc.redaction_audit.';
CREATE TRIGGER audit_rules AFTER INSERT OR UPDATE OR DELETE ON redaction_rule
  FOR EACH ROW EXECUTE FUNCTION audit_rules();
ALTER TABLE redaction_rule ENABLE ALWAYS TRIGGER audit_rules;

-- A rule follows what it covers: columns that come under its names, and partitions,
-- which may get other names or be detached later.
CREATE FUNCTION follow_rules()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.redaction_rule WHERE column_pattern IS NULL) THEN
    RETURN;
  END IF;
  INSERT INTO cdc.redaction_rule (relation, attnum, schema_name, table_name, column_name,
    method, value, length, prefix, suffix, filler, path, reason, follows)
  SELECT DISTINCT c.oid, a.attnum, n.nspname, c.relname, a.attname,
    r.method, r.value, r.length, r.prefix, r.suffix, r.filler, r.path, r.reason, coalesce(r.follows, r.id)
  FROM cdc.redaction_rule r
    JOIN LATERAL (
      -- what bears the names, what is covered by number, and the partitions of both
      SELECT sc.oid AS relid, sa.attname
      FROM pg_class sc JOIN pg_namespace sn ON sn.oid = sc.relnamespace
        JOIN pg_attribute sa ON sa.attrelid = sc.oid AND sa.attnum > 0 AND NOT sa.attisdropped
      WHERE (sn.nspname = r.schema_name AND sc.relname = r.table_name AND sa.attname = r.column_name)
         OR (sc.oid = r.relation AND sa.attnum = r.attnum)) s ON true
    CROSS JOIN LATERAL (
      SELECT s.relid UNION SELECT t.relid FROM pg_partition_tree(s.relid) t) m
    JOIN pg_class c ON c.oid = m.relid AND c.relkind IN ('r', 'p')
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname AND a.attnum > 0 AND NOT a.attisdropped
  WHERE r.column_pattern IS NULL
    AND NOT EXISTS (
      SELECT FROM cdc.redaction_rule k
      WHERE k.relation = c.oid AND k.attnum = a.attnum
        AND coalesce(k.follows, k.id) = coalesce(r.follows, r.id));
END $$;
REVOKE ALL ON FUNCTION follow_rules() FROM PUBLIC;
COMMENT ON FUNCTION follow_rules() IS
  'Event trigger function: adds rules for columns that came under the names of one, and for partitions.';
CREATE EVENT TRIGGER cdc_follow_rules ON ddl_command_end
  WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER SCHEMA')
  EXECUTE FUNCTION follow_rules();
ALTER EVENT TRIGGER cdc_follow_rules ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_follow_rules IS
  'Lets rules of redaction follow columns and partitions through DDL.';

CREATE TABLE redaction_secret (
  number int PRIMARY KEY CHECK (number > 0),
  large_object oid NOT NULL,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL
);
REVOKE ALL ON redaction_secret FROM PUBLIC;
COMMENT ON TABLE redaction_secret IS
  'Which large object has which secret for hashes: 32 random bytes, readable by its owner, who is the extension''s, alone. Hashes name the number. Both are in pg_dump (with --large-objects).';
SELECT pg_catalog.pg_extension_config_dump('redaction_secret', '');

CREATE FUNCTION rotate_redaction_secret()
RETURNS int LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_rotate_redaction_secret';
REVOKE ALL ON FUNCTION rotate_redaction_secret() FROM PUBLIC;
COMMENT ON FUNCTION rotate_redaction_secret() IS
  'Makes a new secret for hashes inside the server, and returns its number. A stream uses the one that is the newest when it starts, so that hashes of equal values differ from there on. Former secrets are kept.';

CREATE FUNCTION check_method(method text, value text, length int, prefix int, suffix int, filler text)
RETURNS void LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  allowed text[];
  given text[] := array_remove(ARRAY[
    CASE WHEN value IS NOT NULL THEN 'value' END, CASE WHEN length IS NOT NULL THEN 'length' END,
    CASE WHEN prefix IS NOT NULL THEN 'prefix' END, CASE WHEN suffix IS NOT NULL THEN 'suffix' END,
    CASE WHEN filler IS NOT NULL THEN 'filler' END], NULL);
BEGIN
  SELECT m.parameters INTO allowed FROM (VALUES
    ('drop', '{}'::text[]), ('null', '{}'), ('hash', '{}'), ('constant', '{value}'),
    ('mask', '{length,filler}'), ('partial', '{prefix,suffix,filler}'),
    ('email', '{filler}'), ('truncate', '{length}')) m(name, parameters)
  WHERE m.name = method;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('unknown method of redaction: %s', coalesce(quote_ident(method), 'NULL')),
      HINT = 'Methods are: drop, null, constant, mask, hash, partial, email, truncate.';
  END IF;
  IF NOT given <@ allowed THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s does not take %s', method,
        (SELECT string_agg(g, ', ') FROM unnest(given) g WHERE g <> ALL (allowed))),
      HINT = CASE WHEN allowed = '{}' THEN 'It takes no parameters.'
             ELSE format('It takes: %s.', array_to_string(allowed, ', ')) END;
  END IF;
  IF (method = 'constant' AND value IS NULL) OR (method = 'truncate' AND length IS NULL) OR
     (method = 'partial' AND (prefix IS NULL OR suffix IS NULL)) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s needs %s', method,
        CASE method WHEN 'constant' THEN 'value' WHEN 'truncate' THEN 'length' ELSE 'prefix and suffix' END);
  END IF;
  IF length NOT BETWEEN 0 AND 10000 OR prefix NOT BETWEEN 0 AND 10000 OR suffix NOT BETWEEN 0 AND 10000 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'length, prefix and suffix must be between 0 and 10000 characters';
  END IF;
END $$;
REVOKE ALL ON FUNCTION check_method(text, text, int, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION check_method(text, text, int, int, int, text) IS
  'ERROR (22023) unless there is such a method of redaction, and it takes these parameters.';

CREATE FUNCTION check_path(path text, type regtype)
RETURNS void LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_check_path';
REVOKE ALL ON FUNCTION check_path(text, regtype) FROM PUBLIC;
COMMENT ON FUNCTION check_path(text, regtype) IS
  'ERROR (22023) unless the type is json, jsonb or a domain over them, and it is a path into its values as cdc.redact() takes them. NULL is fine.';

CREATE FUNCTION redact(relation regclass, column_name name, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  path text DEFAULT NULL, reason text DEFAULT NULL, force boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  col record;
  result bigint;
BEGIN
  PERFORM cdc.check_method(method, value, length, prefix, suffix, filler);
  SELECT c.relkind, n.nspname, c.relname, a.attnum, a.atttypid,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)
            AND (i.indisreplident OR i.indisprimary)) AS is_key
  INTO col
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = redact.column_name AND a.attnum > 0
      AND NOT a.attisdropped
  WHERE c.oid = redact.relation;
  IF NOT FOUND OR col.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('"%s" is not a table', coalesce(relation::text, 'NULL'));
  END IF;
  IF col.attnum IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_column',
      MESSAGE = format('column "%s" of table %s does not exist', column_name, relation);
  END IF;
  PERFORM cdc.check_path(path, col.atttypid);
  IF col.is_key AND (method <> 'hash' OR path IS NOT NULL) AND NOT force THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('column "%s" is part of the key of table %s', column_name, relation),
      DETAIL = 'Consumers find rows by the key; one that is not sent whole or hashed is none, and then they have no way to tell which row an UPDATE or DELETE has met.',
      HINT = 'Use method hash for the whole value, which keeps equal keys equal, or force => true.';
  END IF;
  IF method = 'hash' AND NOT EXISTS (SELECT FROM cdc.redaction_secret) THEN
    PERFORM cdc.rotate_redaction_secret();
  END IF;
  INSERT INTO cdc.redaction_rule (relation, attnum, schema_name, table_name, column_name,
    method, value, length, prefix, suffix, filler, path, reason)
  VALUES (relation, col.attnum, col.nspname, col.relname, column_name,
    method, value, length, prefix, suffix,
    CASE WHEN method IN ('mask', 'partial', 'email') THEN coalesce(filler, '*') END, path, reason)
  RETURNING id INTO result;
  -- its partitions
  INSERT INTO cdc.redaction_rule (relation, attnum, schema_name, table_name, column_name,
    method, value, length, prefix, suffix, filler, path, reason, follows)
  SELECT c.oid, a.attnum, n.nspname, c.relname, a.attname,
    r.method, r.value, r.length, r.prefix, r.suffix, r.filler, r.path, r.reason, r.id
  FROM cdc.redaction_rule r CROSS JOIN pg_partition_tree(r.relation) t
    JOIN pg_class c ON c.oid = t.relid AND c.oid <> r.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = r.column_name AND NOT a.attisdropped
  WHERE r.id = result;
  RETURN result;
END $$;
REVOKE ALL ON FUNCTION redact(regclass, name, text, text, int, int, int, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION redact(regclass, name, text, text, int, int, int, text, text, text, boolean) IS
  'Adds a rule: what stands for the values of a column in every stream, snapshot and schema. It covers the column and whatever bears its names later, and a partitioned table''s partitions. Methods, on the value''s text: drop (nothing is sent, not even whether it is NULL), null (sent as NULL), constant (value), mask (filler, by default *, length times; without length as often as there are characters, which shows how many), hash (number of the secret, colon, HMAC-SHA-256: equal values have equal hashes), partial (prefix and suffix characters kept, filler once between; filler alone for a value that is not longer than both), email (first character and the domain''s last label kept), truncate (length characters kept, bytes of a bytea). NULL stays NULL but for drop. Of several rules the strictest counts: drop, null, constant, mask, hash, partial = email = truncate; a value is withheld where two of the same rank differ. With path the rule is about parts of json and jsonb values: $, then steps .name, ."any name", .* (every member) and [*] (every element), lax: what is not there is no matter, members of an array are those of its elements, [*] of what is no array is the value itself. A scalar at the end of it becomes a string made of its text, null stays null, drop removes the member or element; null, constant and drop take the place of objects and arrays, too. A value that is not what the path expects is withheld whole (an empty text). Rules with several paths all count; hash and stricter ones for the whole column beat them, weaker ones beside them withhold it. Returns the rule''s id. ERROR 22023 for a wrong method, parameter, path or a path where there is no JSON, 55000 for a key column unless hashed as a whole or forced.';

CREATE FUNCTION redact_matching(column_pattern text, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  result bigint;
BEGIN
  PERFORM cdc.check_method(method, value, length, prefix, suffix, filler);
  IF coalesce(column_pattern, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'column_pattern must not be empty',
      HINT = 'For example: ''%email%''.';
  END IF;
  IF method = 'hash' AND NOT EXISTS (SELECT FROM cdc.redaction_secret) THEN
    PERFORM cdc.rotate_redaction_secret();
  END IF;
  INSERT INTO cdc.redaction_rule (column_pattern, method, value, length, prefix, suffix, filler, reason)
  VALUES (column_pattern, method, value, length, prefix, suffix,
    CASE WHEN method IN ('mask', 'partial', 'email') THEN coalesce(filler, '*') END, reason)
  RETURNING id INTO result;
  RETURN result;
END $$;
REVOKE ALL ON FUNCTION redact_matching(text, text, text, int, int, int, text, text) FROM PUBLIC;
COMMENT ON FUNCTION redact_matching(text, text, text, int, int, int, text, text) IS
  'Adds a rule for every column, now and later, whose name matches: % is any characters, _ is one, letters A to Z match both cases. Methods and the rest as for cdc.redact(); key columns that match are redacted, too, and are no key then unless hashed.';

CREATE FUNCTION unredact(rule_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- the audit has the reason of the removal beside that of the rule
  UPDATE cdc.redaction_rule r SET reason = concat_ws('; removed: ', r.reason, unredact.reason)
  WHERE id = rule_id AND unredact.reason IS NOT NULL;
  DELETE FROM cdc.redaction_rule WHERE id = rule_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('rule %s does not exist', coalesce(rule_id::text, 'NULL')),
      HINT = 'The view cdc.redaction_rules lists those that do.';
  END IF;
END $$;
REVOKE ALL ON FUNCTION unredact(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION unredact(bigint, text) IS
  'Removes a rule. Changes that were made while it was there stay redacted, whenever they are read. ERROR 42704 where there is no such rule.';

CREATE VIEW redaction_rules AS
SELECT r.id, r.method, r.relation, r.column_name, r.column_pattern,
       ARRAY(SELECT pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname)
             FROM pg_catalog.pg_attribute a
               JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
               AND CASE WHEN r.column_pattern IS NOT NULL THEN a.attname::text ILIKE r.column_pattern
                   ELSE EXISTS (
                     SELECT FROM (SELECT c.oid AS relid UNION SELECT p.relid FROM pg_catalog.pg_partition_ancestors(c.oid) p) s
                       JOIN pg_catalog.pg_class sc ON sc.oid = s.relid
                       JOIN pg_catalog.pg_namespace sn ON sn.oid = sc.relnamespace
                       JOIN pg_catalog.pg_attribute sa ON sa.attrelid = s.relid AND sa.attname = a.attname
                       JOIN cdc.redaction_rule k ON k.id = r.id OR k.follows = r.id
                     WHERE (k.relation = s.relid AND k.attnum = sa.attnum)
                       OR (k.schema_name = sn.nspname AND k.table_name = sc.relname AND k.column_name = sa.attname)) END
             ORDER BY 1) AS covers,
       r.path, r.value, r.length, r.prefix, r.suffix, r.filler, r.reason, r.created_at, r.created_by
FROM cdc.redaction_rule r
WHERE r.follows IS NULL;
REVOKE ALL ON redaction_rules FROM PUBLIC;
COMMENT ON VIEW redaction_rules IS
  'The rules of redaction, and the columns that each covers now (schema.table.column; partitions are listed by themselves).';

-- Privileges

CREATE TABLE read_grant (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role regrole NOT NULL,
  relation regclass,
  column_name name,
  prefix text,
  reason text,
  granted_at timestamptz NOT NULL DEFAULT now(),
  granted_by name NOT NULL DEFAULT session_user,
  CONSTRAINT relation_or_prefix CHECK (num_nonnulls(relation, prefix) = 1),
  CONSTRAINT columns_of_relations CHECK (column_name IS NULL OR relation IS NOT NULL)
);
REVOKE ALL ON read_grant FROM PUBLIC;
COMMENT ON TABLE read_grant IS
  'What roles may be sent without being able to SELECT it: columns of tables (column_name NULL = all, later ones too), logical messages with a prefix. Written by cdc.grant_read() and cdc.revoke_read(); other changes count, too, and are audited. Can not be truncated.';
SELECT pg_catalog.pg_extension_config_dump('read_grant',
  'WHERE role IN (SELECT oid FROM pg_catalog.pg_roles) AND (relation IS NULL OR relation IN (SELECT oid FROM pg_catalog.pg_class))');
SELECT pg_catalog.pg_extension_config_dump('read_grant_id_seq', '');
COMMENT ON SEQUENCE read_grant_id_seq IS 'Numbers of the rows of cdc.read_grant';
CREATE TRIGGER rules_changed AFTER INSERT OR UPDATE OR DELETE ON read_grant
  FOR EACH STATEMENT EXECUTE FUNCTION rules_changed();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON read_grant
  FOR EACH STATEMENT EXECUTE FUNCTION rules_changed();
CREATE TRIGGER audit_rules AFTER INSERT OR UPDATE OR DELETE ON read_grant
  FOR EACH ROW EXECUTE FUNCTION audit_rules();
ALTER TABLE read_grant ENABLE ALWAYS TRIGGER rules_changed, ENABLE ALWAYS TRIGGER no_truncate,
  ENABLE ALWAYS TRIGGER audit_rules;

CREATE FUNCTION grant_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_grant_read';
REVOKE ALL ON FUNCTION grant_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION grant_read(regclass, regrole, name[], text, text) IS
  'Lets a role, and its members, be sent every row of a table, or with columns only those columns (NULL = all, later ones too), as rules of redaction leave them; or with prefix the logical messages with this prefix (cdc.metadata: what cdc.set_metadata() attaches). It does not let the role SELECT. A partitioned table''s counts for its partitions. Columns are known by name: a renamed one must be granted anew. Needs EXECUTE, and ownership of the table, or SELECT on it WITH GRANT OPTION where it has no row security; for a prefix ownership of the extension. What was granted already stays as it is. ERROR 42501 without the right, 22023 unless role and one of relation and prefix are given, 42703 for an unknown column.';

CREATE FUNCTION revoke_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_revoke_read';
REVOKE ALL ON FUNCTION revoke_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION revoke_read(regclass, regrole, name[], text, text) IS
  'Takes back what cdc.grant_read() gave, also for changes of before that are not read yet: all of a table, or with columns those that were granted by name; or a prefix. Running streams know it from the next transaction on. What the role may SELECT it is still sent. Needs what cdc.grant_read() needs. ERROR 42704 where nothing of it was granted.';

-- Grants go with their tables: another one may get the number.
CREATE FUNCTION forget_grants()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM cdc.read_grant WHERE relation IS NOT NULL) THEN
    DELETE FROM cdc.read_grant WHERE relation IN (
      SELECT objid FROM pg_event_trigger_dropped_objects()
      WHERE classid = 'pg_class'::regclass AND objsubid = 0);
  END IF;
END $$;
REVOKE ALL ON FUNCTION forget_grants() FROM PUBLIC;
COMMENT ON FUNCTION forget_grants() IS 'Event trigger function: removes what was granted on dropped tables.';
CREATE EVENT TRIGGER cdc_forget_grants ON sql_drop EXECUTE FUNCTION forget_grants();
ALTER EVENT TRIGGER cdc_forget_grants ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_forget_grants IS 'Removes what cdc.grant_read() gave on tables that are dropped.';

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
