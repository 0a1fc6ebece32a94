-- The SQL surface of cdc. Everything runs with the caller's privileges, but for what
-- writes rules and reports, and is granted to nobody: an administrator grants what a
-- role needs.
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
  'The rows of a table as READ events, in delimited batches like those of the stream, each with the snapshot under which it was read; at least one batch, also where there are no rows. from_key (inclusive), to_key (exclusive): values of the key columns in the order of the key''s index, as text; NULL = open; both the same = the row with that key. from_block, to_block: the same for blocks of the table, in a REPEATABLE READ transaction only. cdc.snapshot_chunks() gives ranges. options: names and values in turn, as of the stream; those stored for slot_name count where they are not given. A role to which slots are bound reads what is stored for one of them: the one that slot_name names, or the only one; it may give only options that do not change what is sent. Columns, rows and names are those that the options select; a table that they leave out is an ERROR (22023). Reads what the caller may SELECT, or was given by cdc.grant_read(); what is not is withheld, and a table of which that is all an ERROR (42501), as is a range of a key that is redacted. Code that the table''s owner may have written (input and output functions, domains, operators, functions in indexes) runs as the owner, who needs USAGE on the table''s schema. A table that was created, truncated or rewritten after the snapshot was taken 55000. NULL for relation gives no rows. For COPY (SELECT cdc.snapshot(...)) TO STDOUT (FORMAT binary).';

CREATE FUNCTION snapshot_chunks(relation regclass, max_rows bigint DEFAULT 100000,
  OUT from_key text[], OUT to_key text[], OUT from_block bigint, OUT to_block bigint,
  OUT key_columns text[])
RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot_chunks';
REVOKE ALL ON FUNCTION snapshot_chunks(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION snapshot_chunks(regclass, bigint) IS
  'Ranges to give to cdc.snapshot(), which together are the whole table whatever is inserted later: by key, each with max_rows rows at the moment, or for a table without a key by block, with about as many. key_columns: the columns whose values from_key and to_key are; NULL where the table has no key. Reads the key of every row; a key that is redacted or withheld from the caller, in a partition too, counts as none, and a table that is withheld is an ERROR (42501). NULL arguments give no rows.';

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

CREATE FUNCTION proto(relation regclass, version int DEFAULT NULL)
RETURNS text LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_proto';
REVOKE ALL ON FUNCTION proto(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION proto(regclass, int) IS
  'A .proto file with a message for the table''s rows as they are now, or in the newest minor of a major version that the registry has: field number = attnum, numbers of dropped columns reserved and, as far as the registry knows them, their names; comments of table and columns, and labels of enum types, as comments. Its package has schema, table and major version (1 for what is not registered). Names that are no identifiers, or that protoc could not tell apart, get their attnum. A relation that is NULL gives NULL. ERROR 42809 for what is no table, 42501 for what the caller may not be sent, 42704 for a version that there is not, 55000 for one that is retired or whose time of grace is over.';

CREATE FUNCTION proto_files(schema regnamespace DEFAULT NULL, OUT path text, OUT content text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  relations regclass[];
  relation regclass;
  package text;
BEGIN
  -- two ways, since the registry is not for everyone to read
  IF schema IS NULL THEN
    relations := ARRAY(SELECT v.relation FROM cdc.schema_versions v WHERE v.current ORDER BY v.relation::text COLLATE "C");
  ELSE
    relations := ARRAY(SELECT c.oid FROM pg_class c
                       WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
                       ORDER BY c.relname COLLATE "C");
  END IF;
  FOREACH relation IN ARRAY relations LOOP
    BEGIN
      content := cdc.proto(relation);
    EXCEPTION WHEN insufficient_privilege THEN
      CONTINUE;
    END;
    package := substring(content FROM E'\npackage ([^;]*);');
    path := replace(package, '.', '/') || '/' || substring(package FROM '([^.]*)\.v[0-9]+$') || '.proto';
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION proto_files(regnamespace) FROM PUBLIC;
COMMENT ON FUNCTION proto_files(regnamespace) IS
  'The files of cdc.proto() for all tables of a schema, or with NULL for all registered tables, for which the caller must be able to read cdc.schema_versions; without those that the caller may not be sent. path: where protoc and buf expect a file of that package; they import cdc/v1/cdc.proto.';

CREATE FUNCTION converter(relation regclass, from_version int, to_version int, language text)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_converter';
REVOKE ALL ON FUNCTION converter(regclass, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION converter(regclass, int, int, text) IS
  'A skeleton of code that makes rows of one major version of a registered table rows of another: columns with the same number and values are taken over, integers cast, and all else is marked TODO with what is known of it. language: sql, go (for messages of protoc-gen-go) or rust (of prost), generated from cdc.proto(relation, version). NULL arguments give NULL. ERROR as cdc.proto(), 22023 for another language.';

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
  -- LIKE raises an error at it, so that the rules could not be shown any more
  IF column_pattern ~ '(^|[^\\])(\\\\)*\\$' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'column_pattern must not end with a single backslash',
      HINT = 'Two of them are a backslash.';
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
       ARRAY(SELECT DISTINCT pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname)
             FROM (SELECT k.relation::oid AS relid, a.attname
                   FROM cdc.redaction_rule k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.relation AND a.attnum = k.attnum
                   WHERE k.id = r.id OR k.follows = r.id
                   UNION
                   SELECT c.oid, k.column_name
                   FROM cdc.redaction_rule k JOIN pg_catalog.pg_namespace n ON n.nspname = k.schema_name
                     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = k.table_name
                   WHERE k.id = r.id OR k.follows = r.id
                   UNION
                   SELECT a.attrelid, a.attname
                   FROM pg_catalog.pg_attribute a
                   WHERE r.column_pattern IS NOT NULL AND a.attname::text ILIKE r.column_pattern) s
               CROSS JOIN LATERAL (SELECT s.relid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(s.relid) p) m
               JOIN pg_catalog.pg_class c ON c.oid = m.relid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname AND a.attnum > 0 AND NOT a.attisdropped
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

-- Reports

CREATE FUNCTION security_report(OUT role name, OUT way text, OUT detail text, OUT statements text[])
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  -- from 16 on a membership can be granted by several roles
  by_grantor boolean := current_setting('server_version_num')::int >= 160000;
  database oid := (SELECT oid FROM pg_database WHERE datname = current_database());
  -- what the server's own configuration says of settings, whatever this session's are
  configured jsonb;
BEGIN
  PERFORM FROM cdc.decode_json('');       -- loads the library, whose settings are not known before
  SELECT jsonb_object_agg(s.name, CASE WHEN s.source = 'command line' THEN s.setting ELSE s.boot_val END)
  INTO configured
  FROM pg_settings s WHERE s.name IN ('cdc.check_privileges', 'lo_compat_privileges', 'output_plugin_libraries');
  IF has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') THEN
    configured := configured || coalesce(
      (SELECT jsonb_object_agg(lower(f.name), f.setting ORDER BY f.seqno)
       FROM pg_file_settings f JOIN pg_settings s ON s.name = lower(f.name) AND s.source <> 'command line'
       WHERE configured ? s.name AND f.setting IS NOT NULL), '{}');
  END IF;

  RETURN QUERY
  WITH RECURSIVE edge AS (
    SELECT m.member, m.roleid,
      format('REVOKE %I FROM %I%s%s', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member),
        CASE WHEN by_grantor THEN format(' GRANTED BY %I', pg_get_userbyid(m.grantor)) END,
        CASE WHEN m.admin_option THEN ' CASCADE' END) AS statement
    FROM pg_auth_members m
    UNION ALL
    SELECT d.datdba, r.oid, format('ALTER DATABASE %I OWNER TO CURRENT_USER', d.datname)
    FROM pg_database d, pg_roles r WHERE d.oid = database AND r.rolname = 'pg_database_owner'
  ), reach(role, via) AS (               -- SET ROLE gets at what is not inherited
    SELECT oid, oid FROM pg_roles
    UNION
    SELECT r.role, e.roleid FROM reach r JOIN edge e ON e.member = r.via
  ), reader(role) AS (
    SELECT r.oid FROM cdc.slots s JOIN pg_roles r ON r.rolname = s.reader
    UNION
    SELECT r.oid FROM cdc.read_grant g JOIN pg_roles r ON r.oid = g.role
  ), named(role) AS (                    -- whose rows close what their members do through them
    SELECT role FROM reader
    UNION
    SELECT oid FROM pg_roles WHERE rolreplication AND NOT rolsuper
  ), consumer AS (
    SELECT r.oid, r.rolname, r.rolsuper FROM pg_roles r
    WHERE r.oid IN (SELECT role FROM named)
       OR (r.rolcanlogin AND NOT r.rolsuper
           AND r.oid IN (SELECT m.role FROM reach m JOIN reader ON reader.role = m.via))
  ), leave AS (                          -- ends a membership, by what no other consumer's row is for
    SELECT m.role, m.via, array_agg(DISTINCT e.statement ORDER BY e.statement) AS statements
    FROM reach m JOIN consumer c ON c.oid = m.role
      JOIN reach g ON g.role = m.role AND (g.via = m.role OR g.via IN (SELECT role FROM named))
      JOIN edge e ON e.member = g.via AND (e.roleid = m.via OR e.roleid NOT IN (SELECT role FROM named))
      JOIN reach x ON x.role = e.roleid AND x.via = m.via
    WHERE m.role <> m.via
    GROUP BY m.role, m.via
  ), via AS (                            -- the roles of a consumer that is no superuser
    SELECT c.oid AS role, c.rolname, m.via, r.rolname AS via_name, r.rolsuper, r.rolreplication, r.rolcreaterole,
      CASE WHEN m.via = c.oid THEN '' ELSE format('as a member of %I: ', r.rolname) END AS through,
      -- whether something is taken from the role itself, or else the membership
      m.via = c.oid OR m.via IN (SELECT role FROM named) AS own, l.statements AS leave
    FROM consumer c JOIN reach m ON m.role = c.oid JOIN pg_roles r ON r.oid = m.via
      LEFT JOIN leave l ON l.role = c.oid AND l.via = m.via
    WHERE NOT c.rolsuper
  ), grantee AS (
    SELECT v.role, v.via, v.through FROM via v
    UNION ALL
    SELECT c.oid, 0, 'as everyone (PUBLIC): ' FROM consumer c WHERE NOT c.rolsuper
  ), covered(relid, attname) AS (        -- by rules, and what shows the same through inheritance
    SELECT a.attrelid, a.attname
    FROM cdc.redaction_rules r CROSS JOIN unnest(r.covers) AS k(name) CROSS JOIN parse_ident(k.name) AS p
      JOIN pg_namespace n ON n.nspname = p[1] JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = p[2]
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = p[3]
    UNION
    SELECT i.inhparent, v.attname FROM covered v JOIN pg_inherits i ON i.inhrelid = v.relid
      JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = v.attname
  ), redacted AS (
    SELECT t.oid AS relid, t.oid::regclass::text AS name, t.relowner, t.relacl,
      array_agg(v.attname ORDER BY a.attnum) AS columns,
      string_agg(quote_ident(v.attname), ', ' ORDER BY a.attnum) AS list
    FROM covered v JOIN pg_class t ON t.oid = v.relid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = v.attname
    GROUP BY t.oid, t.relowner, t.relacl
  ), cdc_object AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cdc'
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  ), acl AS (                            -- grants that go around: what, of whom, to whom
    SELECT x.privilege_type || ' on a redacted table' AS way,
      CASE x.privilege_type WHEN 'SELECT' THEN 'reads' ELSE 'a trigger sees' END || format(' %s of %s', t.list, t.name) AS detail,
      format('%s ON TABLE %s', x.privilege_type, t.name) AS what, t.relowner AS owner,
      x.grantee, x.grantor, bool_or(x.is_grantable) AS grantable
    FROM redacted t CROSS JOIN aclexplode(t.relacl) x
    WHERE x.privilege_type IN ('SELECT', 'TRIGGER') AND x.grantee <> t.relowner
    GROUP BY x.privilege_type, t.list, t.name, t.relowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'SELECT on a redacted column',
      format('reads %s of %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name),
      format('SELECT (%s) ON TABLE %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name), t.relowner,
      x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM redacted t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = ANY (t.columns) CROSS JOIN aclexplode(a.attacl) x
    WHERE x.privilege_type = 'SELECT' AND x.grantee <> t.relowner
    GROUP BY t.name, t.relowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'the secret of hashes', format('reads secret %s, with which it can try what a hash is of', s.number),
      format('ALL ON LARGE OBJECT %s', l.oid), l.lomowner, x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object CROSS JOIN aclexplode(l.lomacl) x
    WHERE x.grantee <> l.lomowner
    GROUP BY s.number, l.oid, l.lomowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'administrative functions',
      'may call ' || string_agg('cdc.' || p.proname, ', ' ORDER BY p.proname),
      'EXECUTE ON FUNCTION ' || string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.proname), p.proowner,
      x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM cdc_object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
      CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
    WHERE x.grantee <> p.proowner
      -- what consumers need; the last ones do no more than REPLICATION lets them do without
      AND p.proname NOT IN ('fetch', 'snapshot', 'snapshot_chunks', 'fingerprint', 'table_schema', 'proto', 'decode',
        'decode_json', 'set_metadata', 'set_traceparent', 'create_slot', 'copy_slot', 'advance_slot', 'drop_slot', 'peek', 'read')
    GROUP BY p.proowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'tables of cdc', format('may %s on %s', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type), t.oid::regclass),
      format('%s ON %s %s', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type),
        CASE t.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, t.oid::regclass), t.relowner,
      x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid CROSS JOIN aclexplode(t.relacl) x
    WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
    GROUP BY t.oid, t.relkind, t.relowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'tables of cdc', format('may %s columns of %s', x.privilege_type, t.oid::regclass),
      format('%s (%s) ON TABLE %s', x.privilege_type, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.oid::regclass), t.relowner,
      x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid
      JOIN pg_attribute a ON a.attrelid = t.oid CROSS JOIN aclexplode(a.attacl) x
    WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
    GROUP BY t.oid, t.relowner, x.privilege_type, x.grantee, x.grantor
    UNION ALL
    SELECT 'tables of cdc', 'may CREATE in schema cdc', 'CREATE ON SCHEMA cdc', n.nspowner, x.grantee, x.grantor, x.is_grantable
    FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) x
    WHERE n.nspname = 'cdc' AND x.privilege_type = 'CREATE' AND x.grantee <> n.nspowner
    UNION ALL
    SELECT 'files of the server', 'may call ' || string_agg(p.proname, ', ' ORDER BY p.oid),
      'EXECUTE ON FUNCTION ' || string_agg('pg_catalog.' || p.oid::regprocedure::text, ', ' ORDER BY p.oid), p.proowner,
      x.grantee, x.grantor, bool_or(x.is_grantable)
    FROM pg_proc p CROSS JOIN aclexplode(p.proacl) x
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('pg_read_file', 'pg_read_binary_file', 'lo_import')
      AND x.grantee <> p.proowner AND x.grantee <> coalesce((SELECT oid FROM pg_roles WHERE rolname = 'pg_read_server_files'), 0)
    GROUP BY p.proowner, x.grantee, x.grantor
    UNION ALL
    SELECT 'settings', format('may %s %s', x.privilege_type, q.parname), format('%s ON PARAMETER %s', x.privilege_type, q.parname),
      10, x.grantee, x.grantor, x.is_grantable
    FROM pg_parameter_acl q CROSS JOIN aclexplode(q.paracl) x
    WHERE q.parname IN ('cdc.check_privileges', 'lo_compat_privileges', 'output_plugin_libraries') AND x.grantee <> 10
  ), owned AS (
    SELECT 'owner of a redacted table' AS way, format('reads %s of %s', t.list, t.name) AS detail, t.relowner AS owner,
      ARRAY[format('ALTER TABLE %s OWNER TO CURRENT_USER', t.name)] AS statements
    FROM redacted t
    UNION ALL
    SELECT 'the secret of hashes', format('owns secret %s, with which it can try what a hash is of', s.number), l.lomowner,
      ARRAY[format('ALTER LARGE OBJECT %s OWNER TO CURRENT_USER', l.oid)]
    FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object
    UNION ALL
    SELECT 'owner of cdc', format('owns %s', string_agg(pg_describe_object(o.classid, o.objid, 0), ', ' ORDER BY o.classid, o.objid)), o.owner, NULL
    FROM (SELECT 'pg_extension'::regclass AS classid, e.oid AS objid, e.extowner AS owner FROM pg_extension e WHERE e.extname = 'cdc'
          UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspowner FROM pg_namespace n WHERE n.nspname = 'cdc'
          UNION ALL SELECT o.classid, o.objid, t.relowner FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid
          UNION ALL SELECT o.classid, o.objid, p.proowner FROM cdc_object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid) o
    GROUP BY o.owner
  ), setting AS (                        -- as a consumer's session begins with it
    SELECT c.oid AS role, k.name, coalesce(s.value, configured ->> k.name) AS value,
      CASE WHEN s.value IS NULL THEN '' ELSE format(' (by ALTER %s SET)', s.target) END AS set_by,
      CASE WHEN s.value IS NULL THEN
        CASE WHEN k.name ~ '^cdc' THEN ARRAY['LOAD ''cdc'''] ELSE '{}' END
          || ARRAY[format('ALTER SYSTEM SET %s = %s', k.name, k.safe), 'SELECT pg_reload_conf()']
      ELSE ARRAY[format('ALTER %s RESET %s', s.target, k.name)] END AS statements
    FROM consumer c
      CROSS JOIN (VALUES ('cdc.check_privileges', 'on'), ('lo_compat_privileges', 'off'), ('output_plugin_libraries', 'cdc')) k(name, safe)
      LEFT JOIN LATERAL (
        SELECT substr(e.entry, strpos(e.entry, '=') + 1) AS value,
          CASE WHEN d.setrole <> 0 AND d.setdatabase <> 0 THEN format('ROLE %I IN DATABASE %I', c.rolname, current_database())
               WHEN d.setrole <> 0 THEN format('ROLE %I', c.rolname)
               WHEN d.setdatabase <> 0 THEN format('DATABASE %I', current_database()) ELSE 'ROLE ALL' END AS target
        FROM pg_db_role_setting d CROSS JOIN unnest(d.setconfig) e(entry)
        WHERE d.setrole IN (0, c.oid) AND d.setdatabase IN (0, database) AND lower(split_part(e.entry, '=', 1)) = k.name
        ORDER BY (d.setrole <> 0 AND d.setdatabase <> 0) DESC, d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1) s ON true
    WHERE NOT c.rolsuper
  ), plugins AS (                        -- others than cdc
    SELECT s.role, string_agg(l.name, ', ') AS names, s.set_by, s.statements
    FROM setting s CROSS JOIN unnest(string_to_array(s.value, ',')) u(entry) CROSS JOIN trim(u.entry, ' "''') AS l(name)
    WHERE s.name = 'output_plugin_libraries' AND l.name NOT IN ('cdc', '')
    GROUP BY s.role, s.set_by, s.statements
  ), found AS (
    SELECT c.oid AS role, 'superuser' AS way, 'is one: nothing but redaction in cdc''s own output limits it' AS detail,
      CASE WHEN c.oid <> 10 THEN ARRAY[format('ALTER ROLE %I NOSUPERUSER', c.rolname)] END AS statements
    FROM consumer c WHERE c.rolsuper
    UNION ALL
    SELECT v.role, 'superuser', v.through || 'becomes one by SET ROLE', v.leave FROM via v WHERE v.rolsuper
    UNION ALL
    SELECT v.role, 'REPLICATION', v.through || 'copies the whole cluster (BASE_BACKUP), reads from and drops any slot; cdc.fetch() needs none of that',
      CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
    FROM via v WHERE v.rolreplication AND NOT v.rolsuper
    UNION ALL
    SELECT v.role, 'other output plugins',
      v.through || CASE WHEN configured ? 'output_plugin_libraries' THEN format('output_plugin_libraries allows %s%s', p.names, p.set_by)
        ELSE 'this server allows all; PostgreSQL 15.19, 16.15, 17.11 and 18.6 have output_plugin_libraries: install the newest minor release' END,
      CASE WHEN configured ? 'output_plugin_libraries' THEN p.statements
           WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
    FROM via v LEFT JOIN plugins p ON p.role = v.role
    WHERE v.rolreplication AND NOT v.rolsuper AND (p.role IS NOT NULL OR NOT configured ? 'output_plugin_libraries')
    UNION ALL
    SELECT v.role, 'CREATEROLE', v.through || 'grants itself any role but superusers, before PostgreSQL 16',
      CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOCREATEROLE', v.via_name)] ELSE v.leave END
    FROM via v WHERE v.rolcreaterole AND NOT v.rolsuper AND NOT by_grantor
    UNION ALL
    SELECT v.role, v.via_name, k.detail, v.leave
    FROM via v JOIN (VALUES
      ('pg_read_all_data', 'reads every table'),
      ('pg_write_all_data', 'changes the rules and grants in cdc''s tables'),
      ('pg_read_server_files', 'reads the files of the server'),
      ('pg_write_server_files', 'writes the files of the server'),
      ('pg_execute_server_program', 'runs programs as the server''s user'),
      ('pg_read_all_stats', 'sees other sessions'' statements, with their values')) k(name, detail) ON k.name = v.via_name
    UNION ALL
    SELECT v.role, o.way, v.through || o.detail, CASE WHEN v.own THEN o.statements ELSE v.leave END
    FROM owned o JOIN via v ON v.via = o.owner WHERE NOT v.rolsuper
    UNION ALL
    SELECT g.role, a.way, g.through || a.detail,
      CASE WHEN a.grantor <> a.owner THEN ARRAY[format('SET ROLE %I', pg_get_userbyid(a.grantor))] ELSE '{}' END
      || format('REVOKE %s FROM %s%s', a.what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                CASE WHEN a.grantable THEN ' CASCADE' END)
      || CASE WHEN a.grantor <> a.owner THEN ARRAY['RESET ROLE'] ELSE '{}' END
    FROM acl a JOIN grantee g ON g.via = a.grantee
    UNION ALL
    SELECT s.role, 'cdc.check_privileges is off', 'having REPLICATION, is sent every table, whatever it may SELECT or was granted' || s.set_by, s.statements
    FROM setting s WHERE s.role IN (SELECT v.role FROM via v WHERE v.rolreplication) AND s.name = 'cdc.check_privileges' AND lower(s.value) ~ '^(off?|f(a(l(se?)?)?)?|no?|0)$'
    UNION ALL
    SELECT s.role, 'the secret of hashes', 'lo_compat_privileges is on: reads all large objects' || s.set_by, s.statements
    FROM setting s WHERE s.name = 'lo_compat_privileges' AND lower(s.value) !~ '^(off?|f(a(l(se?)?)?)?|no?|0)$'
      AND EXISTS (SELECT FROM cdc.redaction_secret)
  )
  SELECT c.rolname, f.way, f.detail, f.statements
  FROM found f JOIN consumer c ON c.oid = f.role
  ORDER BY c.rolname, f.way, f.detail;
END $$;
REVOKE ALL ON FUNCTION security_report() FROM PUBLIC;
COMMENT ON FUNCTION security_report() IS
  'The ways around cdc that are open on this server, one row each for every consumer: the readers of slots, who was granted something by cdc.grant_read(), their members who can log in, and the roles with REPLICATION that are no superusers. statements: what closes it, to be run one after the other by a superuser (SELECT unnest(statements) FROM cdc.security_report() \gexec); NULL where no statement does. No rows: nothing is known to be open. Not looked at: views, functions and copies of what is redacted, files of the server''s host, other databases.';

CREATE FUNCTION redaction_report(OUT relation regclass, OUT column_name name, OUT rule_id bigint,
  OUT finding text, OUT detail text, OUT advice text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
WITH rule AS (
  SELECT r.*, to_jsonb(r) ->> 'path' AS json_path,
    CASE r.method WHEN 'drop' THEN 6 WHEN 'null' THEN 5 WHEN 'constant' THEN 4 WHEN 'mask' THEN 3 WHEN 'hash' THEN 2 ELSE 1 END AS rank
  FROM cdc.redaction_rules r
), col AS (                              -- what can be sent
  SELECT a.attrelid AS relid, a.attnum, a.attname, a.atttypid, a.attgenerated, t.relispartition, t.relowner,
    n.nspname, t.relname
  FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND t.relkind IN ('r', 'p') AND t.relpersistence = 'p'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
), covered AS (
  SELECT c.relid, c.attnum, r.id, r.method, r.rank, r.json_path,
    concat(quote_literal(r.method), ', value => ' || quote_literal(r.value), ', length => ' || r.length, ', prefix => ' || r.prefix,
      ', suffix => ' || r.suffix, ', filler => ' || quote_literal(nullif(r.filler, '*')), ', path => ' || quote_literal(r.json_path)) AS call,
    r.rank = max(r.rank) OVER (PARTITION BY c.relid, c.attnum) AS strictest
  FROM rule r CROSS JOIN unnest(r.covers) AS k(name) CROSS JOIN parse_ident(k.name) AS p
    JOIN col c ON c.nspname = p[1] AND c.relname = p[2] AND c.attname = p[3]
), effective AS (                        -- the rule that counts for a column
  SELECT DISTINCT ON (v.relid, v.attnum) c.*, v.id, v.method, v.rank, v.json_path, v.call
  FROM covered v JOIN col c USING (relid, attnum)
  WHERE v.strictest
  ORDER BY v.relid, v.attnum, v.id
), key_column AS (
  SELECT i.indrelid AS relid, unnest(i.indkey[:i.indnkeyatts - 1]) AS attnum
  FROM pg_index i WHERE (i.indisprimary AND i.indimmediate) OR i.indisreplident
), foreign_key AS (                      -- both ways
  SELECT k.conrelid AS relid, u.attnum, k.confrelid AS other, u.other_attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
  UNION ALL
  SELECT k.confrelid, u.other_attnum, k.conrelid, u.attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
), found AS (
  SELECT g.relid, g.attname, e.id, 'generated column' AS finding,
    format('made of %I, which the rule covers, and sent as it is', e.attname) AS detail,
    format('SELECT cdc.redact(%L, %L, ''drop'')', g.relid::regclass, g.attname) AS advice
  FROM effective e JOIN col g ON g.relid = e.relid AND g.attgenerated = 's'
    LEFT JOIN pg_attrdef f ON f.adrelid = g.relid AND f.adnum = g.attnum
  WHERE EXISTS (
      SELECT FROM pg_depend d
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = e.relid AND d.refobjsubid = e.attnum
        AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid)
          OR (d.classid = 'pg_class'::regclass AND d.objid = g.relid AND d.objsubid = g.attnum)))
    AND e.attnum <> g.attnum
    AND NOT EXISTS (SELECT FROM effective x WHERE x.relid = g.relid AND x.attnum = g.attnum)
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'row filter',
    format('publication %I sends the rows for which %s: that shows what the value is like', p.pubname, pg_get_expr(pr.prqual, pr.prrelid)),
    'filter by another column'
  FROM effective e JOIN pg_publication_rel pr ON pr.prrelid = e.relid AND pr.prqual IS NOT NULL
    JOIN pg_publication p ON p.oid = pr.prpubid
  WHERE EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_publication_rel'::regclass AND d.objid = pr.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = e.relid AND d.refobjsubid = e.attnum)
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'foreign key',
    format('%s has the same values in %I (%I), %s', o.relid::regclass, o.attname, k.conname,
      CASE WHEN x.id IS NULL THEN 'and no rule' ELSE format('where %s shows more of them', x.method) END),
    format('SELECT cdc.redact(%L, %L, %s)', o.relid::regclass, o.attname, e.call)
  FROM effective e JOIN foreign_key k ON k.relid = e.relid AND k.attnum = e.attnum
    JOIN col o ON o.relid = k.other AND o.attnum = k.other_attnum
    LEFT JOIN effective x ON x.relid = o.relid AND x.attnum = o.attnum
  WHERE x.id IS NULL OR x.rank < e.rank
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'few values',
    format('%s: who can write the table and read the stream finds out by trying which hash stands for which value', w.why),
    'use mask with a length, constant or drop'
  FROM effective e JOIN pg_type t ON t.oid = e.atttypid
    LEFT JOIN pg_stats s ON s.schemaname = e.nspname AND s.tablename = e.relname AND s.attname = e.attname
      AND s.n_distinct BETWEEN 1 AND 1000
    CROSS JOIN LATERAL (SELECT CASE
      WHEN t.typtype = 'e' THEN 'an enum'
      WHEN coalesce(nullif(t.typbasetype, 0), t.oid) IN ('boolean'::regtype, '"char"'::regtype, 'smallint'::regtype, 'date'::regtype)
        THEN 'a ' || format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
      WHEN s.n_distinct IS NOT NULL THEN format('%s different values', s.n_distinct) END AS why) w
  WHERE e.method = 'hash' AND e.json_path IS NULL AND w.why IS NOT NULL
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'no secret', 'the secret of hashes is not there: the value is withheld',
    'restore its large object, or SELECT cdc.rotate_redaction_secret()'
  FROM effective e
  WHERE e.method = 'hash' AND NOT EXISTS (
    SELECT FROM (SELECT s.large_object FROM cdc.redaction_secret s ORDER BY s.number DESC LIMIT 1) s
      JOIN pg_largeobject_metadata l ON l.oid = s.large_object)
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'part of the key',
    format('method %s, so that events of the table have no key', e.method), 'use hash, or another key (REPLICA IDENTITY USING INDEX)'
  FROM effective e JOIN (SELECT DISTINCT relid, attnum FROM key_column) k USING (relid, attnum)
  WHERE e.method <> 'hash' OR e.json_path IS NOT NULL
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'partition key',
    'rows are sent under the names of partitions, which show where the value lies',
    'a publication with publish_via_partition_root'
  FROM effective e JOIN pg_partitioned_table p ON p.partrelid = e.relid AND e.attnum = ANY (p.partattrs)
  UNION ALL
  SELECT c.relid, c.attname, e.id, 'child table',
    format('inherits the column of %s, to whose children rules do not extend', e.relid::regclass),
    format('SELECT cdc.redact(%L, %L, %s)', c.relid::regclass, c.attname, e.call)
  FROM effective e JOIN pg_inherits i ON i.inhparent = e.relid
    JOIN col c ON c.relid = i.inhrelid AND c.attname = e.attname AND NOT c.relispartition
  WHERE NOT EXISTS (SELECT FROM effective x WHERE x.relid = c.relid AND x.attnum = c.attnum)
  UNION ALL
  SELECT e.relid, e.attname, e.id, 'rules differ',
    format('rules %s are of the same rank: the value is withheld', string_agg(DISTINCT v.id::text, ', ')), 'remove all but one'
  FROM effective e JOIN covered v ON v.relid = e.relid AND v.attnum = e.attnum AND v.strictest AND v.json_path IS NULL
  GROUP BY e.relid, e.attname, e.id
  HAVING count(DISTINCT v.call) > 1
  UNION ALL
  SELECT t.oid, r.column_name, r.id, 'covers nothing',
    CASE WHEN r.column_pattern IS NULL THEN 'there is no such column now' ELSE format('no column matches %s now', r.column_pattern) END,
    'unredact it, unless changes of before wait to be read or the column may come again'
  FROM rule r LEFT JOIN pg_class t ON t.oid = r.relation
  WHERE r.covers = '{}'
  UNION ALL
  SELECT c.relid, c.attname, NULL, 'no rule', format('the name is like %s', min(n.pattern)),
    'a rule, if it is what the name says'
  FROM col c JOIN (VALUES
    ('%password%'), ('%passwd%'), ('%passphrase%'), ('%secret%'), ('%token%'), ('%credential%'), ('%api\_key%'), ('%apikey%'),
    ('%private\_key%'), ('%email%'), ('%e\_mail%'), ('%phone%'), ('%mobile%'), ('%birth%'), ('dob'), ('ssn'), ('ssn\_%'), ('%\_ssn'),
    ('%social\_security%'), ('%passport%'), ('%tax\_id%'), ('%iban%'), ('%card%number%'), ('%credit%card%'), ('%cvv%'), ('%cvc%'),
    ('%salary%'), ('%diagnos%')) n(pattern) ON c.attname::text ILIKE n.pattern
  WHERE NOT c.relispartition AND c.attgenerated <> 'v'
    AND NOT EXISTS (SELECT FROM effective e WHERE e.relid = c.relid AND e.attnum = c.attnum)
  GROUP BY c.relid, c.attname
  UNION ALL
  SELECT x.relid, NULL, NULL, 'disabled trigger', format('%s does not always run: rules do not follow columns, or are not noticed', x.name), x.statement
  FROM (SELECT g.tgrelid AS relid, g.tgname AS name, format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.tgrelid::regclass, g.tgname) AS statement
        FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cdc'::regnamespace)
          AND NOT g.tgisinternal AND g.tgenabled <> 'A'
        UNION ALL
        SELECT NULL, v.evtname, format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', v.evtname)
        FROM pg_event_trigger v JOIN pg_depend d ON d.classid = 'pg_event_trigger'::regclass AND d.objid = v.oid AND d.deptype = 'e'
          JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'cdc'
        WHERE v.evtenabled <> 'A') x
)
SELECT f.relid::regclass, f.attname, f.id, f.finding, f.detail, f.advice
FROM found f
ORDER BY f.relid::regclass::text, f.attname, f.finding, f.detail, f.id
$$;
REVOKE ALL ON FUNCTION redaction_report() FROM PUBLIC;
COMMENT ON FUNCTION redaction_report() IS
  'What the rules of redaction still leak, and columns that look as if they needed one: generated columns and row filters over what is redacted, the same values behind foreign keys and in child tables, hashes of few different values (as ANALYZE has counted them), names of partitions, a secret that is not there, keys that are none any more, rules that contradict one another or cover nothing, triggers of rules that are disabled, and names like %password% or %email% without a rule. rule_id: the rule that it is about. What a hash, a mask or a part shows by its nature is not a finding.';
-- Registry of schemas

CREATE TABLE registered_table (
  relation regclass PRIMARY KEY,
  -- the same, as a number: after a restore it is another relation's, or nobody's
  relid oid NOT NULL,
  mode text NOT NULL CHECK (mode IN ('none', 'backward', 'forward', 'full', 'backward_transitive', 'forward_transitive', 'full_transitive')),
  level text NOT NULL CHECK (level IN ('wire', 'file')),
  major int NOT NULL CHECK (major > 0),
  minor int NOT NULL CHECK (minor >= 0),
  reason text,
  registered_at timestamptz NOT NULL DEFAULT now(),
  registered_by name NOT NULL DEFAULT session_user
);
REVOKE ALL ON registered_table FROM PUBLIC;
COMMENT ON TABLE registered_table IS
  'The tables whose schemas are kept, with the version of each now. Written by cdc.register(), cdc.unregister(), cdc.refresh_registry() and by DDL.';
SELECT pg_catalog.pg_extension_config_dump('registered_table', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TABLE schema_version (
  relid oid,
  sha256 bytea CHECK (octet_length(sha256) = 32),
  major int NOT NULL CHECK (major > 0),
  minor int NOT NULL CHECK (minor >= 0),
  id bigint NOT NULL,
  PRIMARY KEY (relid, sha256)
) WITH (user_catalog_table = true);
REVOKE ALL ON schema_version FROM PUBLIC;
COMMENT ON TABLE schema_version IS
  'Which version a whole schema of a registered table is: found by the table''s OID and the SHA-256 of its cdc.v1.Table without values of older rows, also while changes of long ago are decoded. id: of cdc.schema_detail.';
SELECT pg_catalog.pg_extension_config_dump('schema_version', 'WHERE relid IN (SELECT relid FROM cdc.registered_table)');

CREATE TABLE schema_detail (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schema_name name NOT NULL,
  table_name name NOT NULL,
  major int NOT NULL,
  minor int NOT NULL,
  descriptor bytea NOT NULL,
  enums jsonb NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deprecated', 'retired')),
  grace_until timestamptz CHECK ((status = 'deprecated') = (grace_until IS NOT NULL)),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by name NOT NULL DEFAULT session_user,
  statement text,
  reason text
);
CREATE INDEX schema_detail_names ON schema_detail (schema_name, table_name);
COMMENT ON INDEX schema_detail_names IS 'Finds former versions of a table''s name';
REVOKE ALL ON schema_detail FROM PUBLIC;
COMMENT ON TABLE schema_detail IS
  'What a version is: descriptor, the serialized cdc.v1.Table; enums, the labels of enum types of its columns; status (deprecated versions count until grace_until, retired ones do not); who made it, by which statement, and why it breaks readers, if it does.';
SELECT pg_catalog.pg_extension_config_dump('schema_detail', '');
SELECT pg_catalog.pg_extension_config_dump('schema_detail_id_seq', '');
COMMENT ON SEQUENCE schema_detail_id_seq IS 'Numbers of the rows of cdc.schema_detail';

CREATE TABLE schema_reader (
  consumer text,
  relation regclass,
  major int NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  registered_by name NOT NULL DEFAULT session_user,
  PRIMARY KEY (consumer, relation)
);
REVOKE ALL ON schema_reader FROM PUBLIC;
COMMENT ON TABLE schema_reader IS 'Which major version of a table a consumer reads, see cdc.register_reader().';
SELECT pg_catalog.pg_extension_config_dump('schema_reader', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TABLE schema_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  by name NOT NULL DEFAULT session_user,
  action text NOT NULL,
  relation text NOT NULL,
  version text,
  statement text,
  reason text,
  findings jsonb
);
REVOKE ALL ON schema_audit FROM PUBLIC;
COMMENT ON TABLE schema_audit IS
  'Who has registered, changed, deprecated, retired or dropped which schema, when, by which statement and why; findings: what it breaks. Written by the functions of the registry; nobody but the owner can change it.';
SELECT pg_catalog.pg_extension_config_dump('schema_audit', '');

CREATE FUNCTION version_changed()
RETURNS trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_version_changed';
REVOKE ALL ON FUNCTION version_changed() FROM PUBLIC;
COMMENT ON FUNCTION version_changed() IS 'Trigger function: tells sessions that decode that a table has another version.';
CREATE TRIGGER version_changed AFTER INSERT OR UPDATE OR DELETE ON schema_version
  FOR EACH ROW EXECUTE FUNCTION version_changed();
ALTER TABLE schema_version ENABLE ALWAYS TRIGGER version_changed;

CREATE FUNCTION describe_schema(relation regclass, OUT descriptor bytea, OUT defaults int2[])
RETURNS record LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_describe_schema';
REVOKE ALL ON FUNCTION describe_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION describe_schema(regclass) IS
  'The whole schema of a table as the registry keeps it: descriptor, its serialized cdc.v1.Table without rules, privileges and values of older rows; defaults, the attnums of the columns that have such a value. NULL for what is no table or is never sent.';

CREATE FUNCTION compare_schemas(before bytea, after bytea, defaults int2[] DEFAULT '{}', OUT rule text,
  OUT backward boolean, OUT forward boolean, OUT wire boolean, OUT column_name text, OUT detail text)
RETURNS SETOF record LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_compare_schemas';
REVOKE ALL ON FUNCTION compare_schemas(bytea, bytea, int2[]) FROM PUBLIC;
COMMENT ON FUNCTION compare_schemas(bytea, bytea, int2[]) IS
  'What a change from one descriptor to another breaks, a row for each finding: backward, readers of the new one with older data; forward, readers of the old one with newer data; wire, the bytes mean something else (otherwise names and declarations). column_name NULL: the table itself. defaults: see cdc.describe_schema(). docs/schema-evolution.md has the rules. NULL arguments give no rows. ERROR XX001 for what is no cdc.v1.Table.';

CREATE FUNCTION allow_breaking(reason text)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_allow_breaking';
REVOKE ALL ON FUNCTION allow_breaking(text) FROM PUBLIC;
COMMENT ON FUNCTION allow_breaking(text) IS
  'Lets the rest of the current transaction break readers of registered tables on purpose: DDL that cdc.schema_enforcement would reject gets a new major version, with this reason. NULL does nothing. ERROR 22023 for an empty reason.';

CREATE FUNCTION breaking_reason()
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_breaking_reason';
REVOKE ALL ON FUNCTION breaking_reason() FROM PUBLIC;
COMMENT ON FUNCTION breaking_reason() IS 'What cdc.allow_breaking() was given in the current transaction; NULL = it was not called.';

CREATE FUNCTION enum_labels(relation regclass)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE used(oid) AS (
    SELECT atttypid FROM pg_attribute WHERE attrelid = enum_labels.relation AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
    FROM used JOIN pg_type t USING (oid) WHERE t.typtype = 'd' OR t.typcategory = 'A')
  SELECT coalesce(jsonb_object_agg(name, labels), '{}')
  FROM (SELECT format_type(e.enumtypid, NULL) AS name, jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) AS labels
        FROM pg_enum e JOIN used ON used.oid = e.enumtypid GROUP BY e.enumtypid) l
$$;
REVOKE ALL ON FUNCTION enum_labels(regclass) FROM PUBLIC;
COMMENT ON FUNCTION enum_labels(regclass) IS 'The labels of the enum types that columns of a table have, by type; {} where there are none.';

-- What breaks under a mode and a level. Enum labels are no part of a descriptor.
CREATE FUNCTION breaking_changes(before bytea, before_enums jsonb, after bytea, after_enums jsonb, defaults int2[],
  mode text, level text, OUT rule text, OUT backward boolean, OUT forward boolean, OUT wire boolean,
  OUT column_name text, OUT detail text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.* FROM (
    SELECT * FROM cdc.compare_schemas(before, after, defaults)
    UNION ALL
    SELECT 'enum_label_added', false, true, false, NULL, format('type %s has label %s now', t.key, l.value)
    FROM jsonb_each(after_enums) t, jsonb_array_elements_text(t.value) l
    WHERE before_enums ? t.key AND NOT before_enums -> t.key ? l.value
    UNION ALL
    SELECT 'enum_label_renamed', true, true, false, NULL, format('type %s has no label %s any more', t.key, l.value)
    FROM jsonb_each(before_enums) t, jsonb_array_elements_text(t.value) l
    WHERE after_enums ? t.key AND NOT after_enums -> t.key ? l.value) f
  WHERE (f.wire OR level = 'file')
    AND (f.backward AND mode ~ '^(backward|full)' OR f.forward AND mode ~ '^(forward|full)')
$$;
REVOKE ALL ON FUNCTION breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) IS
  'The findings of cdc.compare_schemas() and about labels of enum types that count in a mode (none, backward, forward, full, each also _transitive) and at a level (wire: bytes alone; file: names and declarations too).';

CREATE FUNCTION check_compatibility(relation regclass, mode text DEFAULT NULL,
  OUT version text, OUT rule text, OUT column_name text, OUT backward boolean, OUT forward boolean,
  OUT wire boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table;
  now record;
BEGIN
  SELECT r.* INTO reg FROM cdc.registered_table r WHERE r.relation = check_compatibility.relation;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('table %s is not registered', coalesce(check_compatibility.relation::text, 'NULL')),
      HINT = 'cdc.register() registers it.';
  END IF;
  IF reg.relid <> reg.relation THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('table %s was restored: what the registry has of it is about another server', reg.relation),
      HINT = 'Run SELECT cdc.refresh_registry();';
  END IF;
  IF mode IS NOT NULL AND mode !~ '^((backward|forward|full)(_transitive)?|none)$' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode: %s', quote_ident(mode)),
      HINT = 'Modes are: none, backward, forward, full, backward_transitive, forward_transitive, full_transitive.';
  END IF;
  SELECT d.*, sha256(d.descriptor) AS sha256, cdc.enum_labels(reg.relation) AS enums INTO now FROM cdc.describe_schema(reg.relation) d;
  RETURN QUERY
  SELECT format('%s.%s', v.major, v.minor), f.rule, f.column_name, f.backward, f.forward, f.wire, f.detail
  FROM (
    SELECT v.major, v.minor, d.descriptor, d.enums, row_number() OVER (ORDER BY v.major DESC, v.minor DESC) AS age
    FROM cdc.schema_version v JOIN cdc.schema_detail d ON d.id = v.id
    WHERE v.relid = reg.relation AND v.sha256 <> now.sha256
      AND (d.status = 'active' OR d.status = 'deprecated' AND d.grace_until > now())) v
  CROSS JOIN LATERAL cdc.breaking_changes(v.descriptor, v.enums, now.descriptor, now.enums, now.defaults,
    coalesce(check_compatibility.mode, reg.mode), reg.level) f
  ORDER BY v.major, v.minor;
END $$;
REVOKE ALL ON FUNCTION check_compatibility(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION check_compatibility(regclass, text) IS
  'Compares a registered table as it is now with all its other versions that are active, or deprecated and in their time of grace. A row for each thing that breaks readers under the mode (NULL = the table''s); no rows: compatible. Columns as of cdc.compare_schemas(). ERROR 42704 for a table that is not registered, 55000 after a restore until cdc.refresh_registry(), 22023 for an unknown mode.';

CREATE FUNCTION assert_compatible(relation regclass, mode text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  findings text;
BEGIN
  SELECT string_agg(format('Version %s: %s%s (%s).', c.version, c.column_name || ': ', c.detail, c.rule), E'\n')
  INTO findings FROM cdc.check_compatibility(relation, mode) c;
  IF findings IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('table %s is not compatible with its earlier versions', relation), DETAIL = findings,
      HINT = 'Retire versions that nobody reads any more by cdc.retire_version().';
  END IF;
END $$;
REVOKE ALL ON FUNCTION assert_compatible(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION assert_compatible(regclass, text) IS
  'ERROR (55000), with all findings, if cdc.check_compatibility() has any.';

-- Takes up the schema that a registered table has now. Gives the version; raises where
-- it breaks readers and that is rejected.
CREATE FUNCTION record_schema(relation regclass, statement text, gate boolean, INOUT reason text, OUT version text)
RETURNS record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  now record;
  known cdc.schema_version;
  findings jsonb;
  readers text;
  new_major int;
  new_minor int;
  detail_id bigint;
BEGIN
  SELECT r.* INTO reg FROM cdc.registered_table r WHERE r.relation = record_schema.relation FOR UPDATE;
  SELECT d.*, sha256(d.descriptor) AS sha256, cdc.enum_labels(relation) AS enums INTO now FROM cdc.describe_schema(relation) d;
  IF now.descriptor IS NULL THEN       -- it can not be sent any more
    RETURN;
  END IF;
  SELECT v.* INTO known FROM cdc.schema_version v WHERE v.relid = relation AND v.sha256 = now.sha256;
  SELECT jsonb_agg(to_jsonb(f)) INTO findings
  FROM cdc.schema_version v JOIN cdc.schema_detail d ON d.id = v.id
    CROSS JOIN LATERAL cdc.breaking_changes(d.descriptor, d.enums, now.descriptor, now.enums, now.defaults, reg.mode, reg.level) f
  WHERE v.relid = relation
    AND CASE WHEN reg.mode ~ '_transitive$' THEN d.status = 'active' OR d.status = 'deprecated' AND d.grace_until > now()
        ELSE v.major = reg.major AND v.minor = reg.minor END;
  IF known.major = reg.major AND known.minor = reg.minor AND findings IS NULL THEN
    UPDATE cdc.schema_detail d SET enums = now.enums WHERE d.id = known.id AND d.enums <> now.enums;
    version := format('%s.%s', reg.major, reg.minor);
    RETURN;
  END IF;
  IF findings IS NOT NULL AND gate THEN
    reason := cdc.breaking_reason();
    IF reason IS NULL AND current_setting('cdc.schema_enforcement') <> 'off' THEN
      SELECT string_agg(format('%s (version %s)', r.consumer, r.major), ', ' ORDER BY r.consumer) INTO readers
      FROM cdc.schema_reader r WHERE r.relation = record_schema.relation;
      IF current_setting('cdc.schema_enforcement') = 'reject' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
          MESSAGE = format('this would break readers of table %s', relation),
          DETAIL = concat_ws(E'\n', (SELECT string_agg(format('%s%s (%s).', f ->> 'column_name' || ': ', f ->> 'detail', f ->> 'rule'), E'\n')
                                     FROM jsonb_array_elements(findings) f), 'Readers: ' || readers || '.'),
          HINT = format('To do it on purpose, with a new major version, call before, in the same transaction: SELECT cdc.allow_breaking(''why''); the table''s mode is %s.', reg.mode);
      END IF;
      RAISE WARNING USING MESSAGE = format('this breaks readers of table %s', relation),
        DETAIL = concat_ws(E'\n', (SELECT string_agg(format('%s%s (%s).', f ->> 'column_name' || ': ', f ->> 'detail', f ->> 'rule'), E'\n')
                                   FROM jsonb_array_elements(findings) f), 'Readers: ' || readers || '.');
    END IF;
  END IF;
  IF known.major IS NOT NULL THEN        -- a schema that returns
    new_major := known.major;
    new_minor := known.minor;
    UPDATE cdc.schema_detail d SET enums = now.enums, status = 'active', grace_until = NULL WHERE d.id = known.id;
  ELSE
    new_major := CASE WHEN findings IS NULL AND gate THEN reg.major
             ELSE (SELECT max(v.major) + 1 FROM cdc.schema_version v WHERE v.relid = relation) END;
    new_minor := coalesce((SELECT max(v.minor) + 1 FROM cdc.schema_version v WHERE v.relid = relation AND v.major = new_major), 0);
    INSERT INTO cdc.schema_detail AS d (schema_name, table_name, major, minor, descriptor, enums, statement, reason)
    SELECT n.nspname, c.relname, new_major, new_minor, now.descriptor, now.enums, statement, reason
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
    RETURNING d.id INTO detail_id;
    INSERT INTO cdc.schema_version (relid, sha256, major, minor, id) VALUES (relation, now.sha256, new_major, new_minor, detail_id);
  END IF;
  UPDATE cdc.registered_table r SET major = new_major, minor = new_minor WHERE r.relation = record_schema.relation;
  version := format('%s.%s', new_major, new_minor);
  INSERT INTO cdc.schema_audit (action, relation, version, statement, reason, findings)
  VALUES ('change', relation::text, version, statement, reason, findings);
END $$;
REVOKE ALL ON FUNCTION record_schema(regclass, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION record_schema(regclass, text, boolean, text) IS
  'Takes up the schema that a registered table has now, as a new minor version, or a new major one where it breaks readers; one that returns has its former number. gate: cdc.schema_enforcement counts; without it, which is after a restore, another schema is always a new major version. Part of the registry''s own functions.';

CREATE FUNCTION register(relation regclass, mode text DEFAULT 'full', level text DEFAULT 'file', reason text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  now record;
  former cdc.schema_detail;
  names record;
  version text;
BEGIN
  SELECT d.*, sha256(d.descriptor) AS sha256, cdc.enum_labels(relation) AS enums INTO now FROM cdc.describe_schema(relation) d;
  IF now.descriptor IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('"%s" is not a table whose changes are sent', coalesce(relation::text, 'NULL'));
  END IF;
  IF mode IS NULL OR mode !~ '^((backward|forward|full)(_transitive)?|none)$' OR level IS NULL OR level NOT IN ('wire', 'file') THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode or level: %s, %s', mode, level),
      HINT = 'Modes are: none, backward, forward, full, backward_transitive, forward_transitive, full_transitive; levels: wire, file.';
  END IF;
  UPDATE cdc.registered_table r SET mode = register.mode, level = register.level, reason = coalesce(register.reason, r.reason)
  WHERE r.relation = register.relation;
  IF NOT FOUND THEN
    SELECT n.nspname, c.relname INTO names FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    -- a table of that name had versions: numbers are not used again for something else
    SELECT d.* INTO former FROM cdc.schema_detail d
    WHERE d.schema_name = names.nspname AND d.table_name = names.relname
    ORDER BY d.descriptor = now.descriptor DESC, d.major DESC, d.minor DESC LIMIT 1;
    IF former.descriptor IS DISTINCT FROM now.descriptor THEN
      INSERT INTO cdc.schema_detail AS d (schema_name, table_name, major, minor, descriptor, enums, reason)
      VALUES (names.nspname, names.relname, coalesce(former.major, 0) + 1, 0, now.descriptor, now.enums, reason)
      RETURNING d.* INTO former;
    ELSE
      UPDATE cdc.schema_detail d SET status = 'active', grace_until = NULL WHERE d.id = former.id;
    END IF;
    INSERT INTO cdc.registered_table (relation, relid, mode, level, major, minor, reason)
    VALUES (relation, relation, mode, level, former.major, former.minor, reason);
    INSERT INTO cdc.schema_version (relid, sha256, major, minor, id)
    VALUES (relation, now.sha256, former.major, former.minor, former.id);
  END IF;
  SELECT format('%s.%s', r.major, r.minor) INTO version FROM cdc.registered_table r WHERE r.relation = register.relation;
  INSERT INTO cdc.schema_audit (action, relation, version, statement, reason)
  VALUES ('register', relation::text, version, format('mode %s, level %s', mode, level), reason);
  RETURN version;
END $$;
REVOKE ALL ON FUNCTION register(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION register(regclass, text, text, text) IS
  'Keeps the versions of a table''s schema from now on, and returns the one that it is; of a registered table it changes mode and level. mode: what must stay possible: backward, readers of the newest schema read data of older ones; forward, readers of older ones read data of the newest; full, both; _transitive, with all active versions, not the last one alone; none, everything is allowed. level: wire, bytes must mean the same; file, names and declarations, too. A partitioned table is registered, not its partitions, where they are sent under its name. ERROR 42809 for what is no table, 22023 for an unknown mode or level.';

CREATE FUNCTION unregister(relation regclass, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  DELETE FROM cdc.registered_table r WHERE r.relation = unregister.relation;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('table %s is not registered', coalesce(relation::text, 'NULL'));
  END IF;
  UPDATE cdc.schema_detail d SET status = 'retired', grace_until = NULL FROM cdc.schema_version v WHERE v.relid = relation AND d.id = v.id;
  DELETE FROM cdc.schema_version v WHERE v.relid = relation;
  DELETE FROM cdc.schema_reader r WHERE r.relation = unregister.relation;
  INSERT INTO cdc.schema_audit (action, relation, reason) VALUES ('unregister', relation::text, reason);
END $$;
REVOKE ALL ON FUNCTION unregister(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION unregister(regclass, text) IS
  'Keeps a table''s schemas no longer; its versions are retired, and their numbers not used again. ERROR 42704 for a table that is not registered.';

CREATE FUNCTION register_reader(consumer text, relation regclass, version int DEFAULT NULL, fingerprint text DEFAULT NULL)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  found int;
BEGIN
  IF consumer IS NULL OR num_nonnulls(version, fingerprint) <> 1 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'consumer and either version or fingerprint must be given';
  END IF;
  SELECT max(v.major) INTO found FROM cdc.schema_version v
  WHERE v.relid = relation AND (v.major = version OR left(encode(v.sha256, 'hex'), 16) = fingerprint);
  IF found IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('table %s has no version %s', relation, coalesce(version::text, 'with fingerprint ' || fingerprint)),
      HINT = 'The view cdc.schema_versions lists those that there are. Where a stream leaves columns out, or has values of older rows, give the version, which it tells.';
  END IF;
  DELETE FROM cdc.schema_reader r WHERE r.consumer = register_reader.consumer AND r.relation = register_reader.relation;
  INSERT INTO cdc.schema_reader (consumer, relation, major) VALUES (consumer, relation, found);
  RETURN found;
END $$;
REVOKE ALL ON FUNCTION register_reader(text, regclass, int, text) FROM PUBLIC;
COMMENT ON FUNCTION register_reader(text, regclass, int, text) IS
  'Records that a consumer reads a major version of a table, given by its number or by the fingerprint of a whole schema (16 hexadecimal digits), and returns the number. A consumer has one version of each table; cdc.readers shows who would break. ERROR 42704 for a version that there is not, 22023 unless one of both is given.';

CREATE FUNCTION retire_version(relation regclass, version int, grace interval DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  IF EXISTS (SELECT FROM cdc.registered_table r WHERE r.relation = retire_version.relation AND r.major = version) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('version %s is what table %s is now', version, relation);
  END IF;
  UPDATE cdc.schema_detail d
  SET status = CASE WHEN grace IS NULL THEN 'retired' ELSE 'deprecated' END, grace_until = now() + grace
  FROM cdc.schema_version v WHERE v.relid = relation AND v.major = version AND d.id = v.id;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('table %s has no version %s', relation, version);
  END IF;
  INSERT INTO cdc.schema_audit (action, relation, version, reason)
  VALUES (CASE WHEN grace IS NULL THEN 'retire' ELSE 'deprecate' END, relation::text, version::text, reason);
END $$;
REVOKE ALL ON FUNCTION retire_version(regclass, int, interval, text) FROM PUBLIC;
COMMENT ON FUNCTION retire_version(regclass, int, interval, text) IS
  'Ends a major version of a table: at once, or with grace when that time has passed, until when it is deprecated. Retired versions no longer count for compatibility. ERROR 55000 for the version that the table has now, 42704 for one that there is not.';

CREATE FUNCTION refresh_registry()
RETURNS TABLE (relation regclass, version text) LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table;
BEGIN
  UPDATE cdc.schema_version v SET relid = r.relation FROM cdc.registered_table r
  WHERE v.relid = r.relid AND r.relation <> r.relid;
  FOR reg IN UPDATE cdc.registered_table r SET relid = r.relation WHERE r.relation <> r.relid RETURNING r.* LOOP
    relation := reg.relation;
    SELECT s.version INTO version FROM cdc.record_schema(reg.relation, NULL, false, 'restored') s;
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION refresh_registry() FROM PUBLIC;
COMMENT ON FUNCTION refresh_registry() IS
  'To be called after a dump was restored: finds the registered tables again, and returns them with their versions. One whose columns have other numbers than before gets a new major version. Until then their versions are not told, and DDL on them is not looked at.';

-- Which registered tables a command may have changed.
CREATE FUNCTION record_schemas()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  commands record;
  touched oid[];
  t regclass;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.registered_table) THEN
    RETURN;
  END IF;
  SELECT array_agg(objid) FILTER (WHERE classid = 'pg_class'::regclass) AS relations,
    array_agg(objid) FILTER (WHERE classid = 'pg_type'::regclass) AS types,
    array_agg(objid) FILTER (WHERE classid = 'pg_namespace'::regclass) AS schemas
  INTO commands FROM pg_event_trigger_ddl_commands();
  touched := commands.relations
    || ARRAY(SELECT indrelid FROM pg_index WHERE indexrelid = ANY (commands.relations))
    || ARRAY(SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY (commands.relations));
  IF commands.types IS NOT NULL THEN
    -- arrays of them, domains over them, and columns of all these
    touched := touched || ARRAY(
      WITH RECURSIVE changed(type) AS (
        SELECT unnest(commands.types)
        UNION
        SELECT d.objid FROM changed JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = changed.type
        WHERE d.classid = 'pg_type'::regclass)
      SELECT d.objid FROM changed JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = changed.type
      WHERE d.classid = 'pg_class'::regclass);
  END IF;
  IF commands.schemas IS NOT NULL THEN
    touched := touched || ARRAY(
      SELECT r.relid FROM cdc.registered_table r JOIN pg_class c ON c.oid = r.relid WHERE c.relnamespace = ANY (commands.schemas));
  END IF;
  FOR t IN
    SELECT r.relation FROM cdc.registered_table r WHERE r.relation = ANY (touched::regclass[]) AND r.relation = r.relid
  LOOP
    PERFORM cdc.record_schema(t, current_query(), true, NULL);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION record_schemas() FROM PUBLIC;
COMMENT ON FUNCTION record_schemas() IS 'Event trigger function: takes up what DDL made of registered tables, or refuses it.';
CREATE EVENT TRIGGER cdc_record_schemas ON ddl_command_end EXECUTE FUNCTION record_schemas();
ALTER EVENT TRIGGER cdc_record_schemas ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_record_schemas IS 'Takes up what DDL made of registered tables, or refuses it, see cdc.schema_enforcement.';

CREATE FUNCTION record_drops()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  dropped record;
  why text;
  touched oid[];
  t regclass;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.registered_table) THEN
    RETURN;
  END IF;
  why := cdc.breaking_reason();
  FOR dropped IN
    SELECT (SELECT o.object_identity FROM pg_event_trigger_dropped_objects() o
            WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.objid = r.relid) AS object_identity,
      r.relid AS objid, r.major, r.minor, r.mode
    FROM cdc.registered_table r
    WHERE r.relation = ANY (ARRAY(SELECT o.objid FROM pg_event_trigger_dropped_objects() o
                                  WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0)::regclass[])
      AND r.relation = r.relid
  LOOP
    IF dropped.mode <> 'none' AND why IS NULL AND current_setting('cdc.schema_enforcement') = 'reject' THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('this would drop the registered table %s', dropped.object_identity),
        HINT = 'Call cdc.unregister() before, or in the same transaction cdc.allow_breaking(''why'').';
    END IF;
    UPDATE cdc.schema_detail d SET status = 'retired', grace_until = NULL FROM cdc.schema_version v WHERE v.relid = dropped.objid AND d.id = v.id;
    DELETE FROM cdc.schema_version WHERE relid = dropped.objid;
    DELETE FROM cdc.schema_reader WHERE relation = dropped.objid;
    DELETE FROM cdc.registered_table WHERE relation = dropped.objid;
    INSERT INTO cdc.schema_audit (action, relation, version, statement, reason)
    VALUES ('drop', dropped.object_identity, format('%s.%s', dropped.major, dropped.minor), current_query(), why);
  END LOOP;
  -- columns that went with their type
  touched := ARRAY(SELECT o.objid FROM pg_event_trigger_dropped_objects() o
                   WHERE o.classid = 'pg_class'::regclass AND o.objsubid <> 0);
  -- an index that is a replica identity; those of a table that is dropped go with it
  IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o WHERE o.object_type = 'index')
    AND EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o WHERE o.original AND o.object_type <> 'table') THEN
    touched := touched || ARRAY(
      SELECT r.relid FROM cdc.registered_table r JOIN pg_class c ON c.oid = r.relid
      WHERE c.relreplident = 'i' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident));
  END IF;
  FOR t IN
    SELECT r.relation FROM cdc.registered_table r WHERE r.relation = ANY (touched::regclass[]) AND r.relation = r.relid
  LOOP
    PERFORM cdc.record_schema(t, current_query(), true, NULL);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION record_drops() FROM PUBLIC;
COMMENT ON FUNCTION record_drops() IS 'Event trigger function: the same for what is dropped.';
CREATE EVENT TRIGGER cdc_record_drops ON sql_drop EXECUTE FUNCTION record_drops();
ALTER EVENT TRIGGER cdc_record_drops ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_record_drops IS 'Takes up that registered tables are dropped, or refuses it, see cdc.schema_enforcement.';

CREATE VIEW schema_versions AS
SELECT r.relation, d.major, d.minor, left(encode(v.sha256, 'hex'), 16) AS fingerprint,
       (r.major, r.minor) = (d.major, d.minor) AS current,
       CASE WHEN d.status = 'deprecated' AND d.grace_until <= pg_catalog.now() THEN 'retired' ELSE d.status END AS status,
       d.grace_until, d.created_at, d.created_by, d.statement, d.reason
FROM cdc.registered_table r JOIN cdc.schema_version v ON v.relid = r.relid JOIN cdc.schema_detail d ON d.id = v.id;
REVOKE ALL ON schema_versions FROM PUBLIC;
COMMENT ON VIEW schema_versions IS
  'The versions of registered tables. fingerprint: of the whole schema, without values of older rows; current: what the table is now; status: active, deprecated until grace_until, or retired.';

CREATE VIEW readers AS
SELECT r.consumer, r.relation, r.major AS reads, t.major AS current,
       ARRAY(SELECT f.detail
             FROM cdc.describe_schema(r.relation) n
               CROSS JOIN LATERAL (
                 SELECT d.* FROM cdc.schema_version v JOIN cdc.schema_detail d ON d.id = v.id
                 WHERE v.relid = r.relation AND v.major = r.major ORDER BY v.minor DESC LIMIT 1) d
               CROSS JOIN LATERAL cdc.breaking_changes(d.descriptor, d.enums, n.descriptor, cdc.enum_labels(r.relation), n.defaults, 'forward', t.level) f) AS breaks,
       r.registered_at, r.registered_by
FROM cdc.schema_reader r JOIN cdc.registered_table t ON t.relation = r.relation;
REVOKE ALL ON readers FROM PUBLIC;
COMMENT ON VIEW readers IS
  'Who reads which major version of which table. breaks: what such a reader meets in data of the table as it is now, {} = nothing. Needs EXECUTE on the functions that compare.';

CREATE FUNCTION export_schemas()
RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('schema', d.schema_name, 'table', d.table_name, 'version', format('%s.%s', d.major, d.minor),
    'mode', r.mode, 'level', r.level, 'enums', d.enums, 'descriptor', encode(d.descriptor, 'hex'))::text
  FROM cdc.registered_table r JOIN cdc.schema_version v ON v.relid = r.relid AND (v.major, v.minor) = (r.major, r.minor)
    JOIN cdc.schema_detail d ON d.id = v.id
  ORDER BY d.schema_name, d.table_name
$$;
REVOKE ALL ON FUNCTION export_schemas() FROM PUBLIC;
COMMENT ON FUNCTION export_schemas() IS
  'The current versions of all registered tables, a line of JSON for each: what scripts/schema-check compares another database with.';

CREATE FUNCTION check_export(line text, OUT relation text, OUT version text, OUT rule text, OUT column_name text,
  OUT backward boolean, OUT forward boolean, OUT wire boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  before jsonb;
  t regclass;
BEGIN
  BEGIN
    before := line::jsonb;
  EXCEPTION WHEN data_exception THEN
    before := '{}';
  END;
  IF NOT before ?& '{schema,table,version,mode,level,enums,descriptor}' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'line is none that cdc.export_schemas() gives';
  END IF;
  relation := format('%I.%I', before ->> 'schema', before ->> 'table');
  version := before ->> 'version';
  t := to_regclass(relation);
  IF t IS NULL AND before ->> 'mode' <> 'none' THEN
    RETURN QUERY SELECT relation, version, 'table_dropped', NULL, true, true, true, 'there is no such table';
  END IF;
  RETURN QUERY
  SELECT relation, version, f.rule, f.column_name, f.backward, f.forward, f.wire, f.detail
  FROM cdc.describe_schema(t) n
    CROSS JOIN LATERAL cdc.breaking_changes(decode(before ->> 'descriptor', 'hex'), before -> 'enums', n.descriptor,
      cdc.enum_labels(t), n.defaults, before ->> 'mode', before ->> 'level') f;
END $$;
REVOKE ALL ON FUNCTION check_export(text) FROM PUBLIC;
COMMENT ON FUNCTION check_export(text) IS
  'Compares the table of this name, registered or not, with a line that cdc.export_schemas() gave elsewhere. A row for each thing that breaks readers; no rows: compatible. NULL gives no rows. ERROR 22023 for another text.';

CREATE FUNCTION check_mapping(relation regclass, version int)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_check_mapping';
REVOKE ALL ON FUNCTION check_mapping(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION check_mapping(regclass, int) IS
  'Whether rows of a registered table, as it is now, can be sent in an older major version by the option "versions": NULL = they can, otherwise why not. ERROR 42704 for a version that there is not, 55000 for one that is retired or whose time of grace is over. NULL arguments give NULL.';

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
