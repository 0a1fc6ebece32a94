-- The SQL surface of cdc. Everything runs with the caller's privileges, but for what
-- writes rules and reports, and is granted to nobody (but what monitoring reads, to
-- pg_monitor): an administrator grants what a role needs.
\echo Use "CREATE EXTENSION cdc" to load this file. \quit

-- Whoever owns the schema, or may create objects in it, could put functions into it that run
-- with the rights of those who call what is here: one that is there already is an ERROR. It
-- is the extension's, and goes with it.
CREATE SCHEMA cdc;
REVOKE ALL ON SCHEMA cdc FROM PUBLIC;
-- What has no schema is looked up where superusers alone can put something: names of the
-- extension's own things have theirs, and operators and types can be no others.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Nothing but pg_catalog is trusted here: names have their schema, and literals their type.
DO $$
DECLARE
  others pg_catalog.text;
  publications pg_catalog.text;
BEGIN
  SELECT pg_catalog.string_agg(a.grantee::pg_catalog.regrole::pg_catalog.text, ', '::pg_catalog.text)
  INTO others
  FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
  WHERE n.nspname OPERATOR(pg_catalog.=) 'cdc'::pg_catalog.name
    AND a.grantee OPERATOR(pg_catalog.<>) n.nspowner
    AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text;
  IF others IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state'::pg_catalog.text,
      MESSAGE = pg_catalog.format('default privileges let other roles create objects in schema "cdc": %s'::pg_catalog.text, others),
      DETAIL = 'What they put there could run with the rights of a superuser.'::pg_catalog.text,
      HINT = 'Take the default privilege CREATE ON SCHEMAS away before CREATE EXTENSION.'::pg_catalog.text;
  END IF;
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p.pubname::pg_catalog.text), ', '::pg_catalog.text ORDER BY p.pubname)
  INTO publications
  FROM pg_catalog.pg_publication p WHERE p.puballtables;
  IF publications IS NOT NULL THEN
    -- less is not shown while a script of an extension is run
    RAISE WARNING USING
      MESSAGE = pg_catalog.format('tables of the extension "cdc" are in publications FOR ALL TABLES: %s'::pg_catalog.text, publications),
      DETAIL = 'What cdc writes to them is not sent to subscribers, whose servers need no cdc; what the restore of a dump writes is.'::pg_catalog.text,
      HINT = 'Restore a dump with rules of redaction, grants or registered tables while those publications have no subscribers, or where they have the extension, too.'::pg_catalog.text;
  END IF;
END $$;

COMMENT ON SCHEMA cdc IS
  'Change data capture: slots, reading and describing streams of Protobuf ChangeEvents';

-- Every later version has this function under this name: what comes next relies on it

CREATE FUNCTION cdc.library_version()
RETURNS text LANGUAGE c STRICT STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_library_version';
REVOKE ALL ON FUNCTION cdc.library_version() FROM PUBLIC;
COMMENT ON FUNCTION cdc.library_version() IS
  'Version of the library that this session has loaded. Where extversion of pg_extension is another one, streams and snapshots do not begin: ALTER EXTENSION cdc UPDATE, or, with an older library, connect again, after a restart of a server that preloads it.';

-- Also the beginning of every script that updates. A library that is older than the SQL lacks
-- functions that the rest of the script speaks of.
DO $$
DECLARE
  library text := cdc.library_version();
  wanted text := (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'cdc'::name);
BEGIN
  IF pg_catalog.string_to_array(library, '.'::text)::integer[] OPERATOR(pg_catalog.<) pg_catalog.string_to_array(wanted, '.'::text)::integer[] THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state'::text,
      MESSAGE = pg_catalog.format('version %s of extension "cdc" needs its library, and this session has that of version %s'::text, wanted, library),
      HINT = 'Connect again, and repeat the command. If the library is in shared_preload_libraries, restart the server before.'::text;
  END IF;
END $$;

-- Rows of the extension's tables: written by these, so that no output plugin decodes them

CREATE FUNCTION cdc.put_row("row" record)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_put_row';
REVOKE ALL ON FUNCTION cdc.put_row(record) FROM PUBLIC;
COMMENT ON FUNCTION cdc.put_row(record) IS
  'Writes a row of the table of the extension whose type it has, in the place of the one with its primary key if there is one. For the extension''s own functions. ERROR 42809 for another type.';

CREATE FUNCTION cdc.drop_row("row" record)
RETURNS boolean LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_drop_row';
REVOKE ALL ON FUNCTION cdc.drop_row(record) FROM PUBLIC;
COMMENT ON FUNCTION cdc.drop_row(record) IS
  'Removes the row with the primary key of this one; false where there is none. For the extension''s own functions.';

CREATE FUNCTION cdc.require_primary(function text)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_require_primary';
REVOKE ALL ON FUNCTION cdc.require_primary(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.require_primary(text) IS
  'ERROR 25006 on a standby and in a transaction that is read only. For the extension''s own functions, before they write.';

CREATE FUNCTION cdc.table_written()
RETURNS trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_table_written';
REVOKE ALL ON FUNCTION cdc.table_written() FROM PUBLIC;
COMMENT ON FUNCTION cdc.table_written() IS
  'Trigger function: tells sessions that decode of rows that a restore brings; refuses UPDATE, DELETE and TRUNCATE by SQL.';

-- What DDL changes, see changed.c

CREATE FUNCTION cdc.watch_commands()
RETURNS event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_watch_commands';
REVOKE ALL ON FUNCTION cdc.watch_commands() FROM PUBLIC;
COMMENT ON FUNCTION cdc.watch_commands() IS 'Event trigger function: has the session note which relations commands change.';
CREATE EVENT TRIGGER cdc_watch_commands ON ddl_command_start EXECUTE FUNCTION cdc.watch_commands();
ALTER EVENT TRIGGER cdc_watch_commands ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_watch_commands IS 'Notes which relations commands change, for cdc_follow_rules and cdc_record_schemas.';

-- Slots

CREATE TABLE cdc.slot_option (
  slot_name name NOT NULL,
  option text NOT NULL,
  value text NOT NULL,
  set_at timestamptz NOT NULL,
  set_by name NOT NULL,
  CONSTRAINT slot_option_pkey PRIMARY KEY (slot_name, option)
);
REVOKE ALL ON cdc.slot_option FROM PUBLIC;
COMMENT ON TABLE cdc.slot_option IS
  'Options that are stored for slots and count for whoever reads from them, unless the client gives others; as option reader the OID of the role that a slot is bound to, as option standby that it is a standby''s. Written by cdc.create_slot(), cdc.alter_slot(), cdc.copy_slot() and cdc.drop_slot(); read when a slot is started.';

CREATE FUNCTION cdc.create_slot(INOUT slot_name name, temporary boolean DEFAULT false,
  two_phase boolean DEFAULT false, failover boolean DEFAULT false,
  options text[] DEFAULT '{}', reader name DEFAULT NULL, OUT lsn pg_lsn)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_create_slot';
REVOKE ALL ON FUNCTION cdc.create_slot(name, boolean, boolean, boolean, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION cdc.create_slot(name, boolean, boolean, boolean, text[], name) IS
  'Creates a logical replication slot of this database with the output plugin cdc; lsn is where its changes begin. options: stored for the slot, names and values in turn. reader: the role that alone may read from it, by cdc.fetch() also without REPLICATION. Must come before any write of the transaction. Needs REPLICATION. An ERROR names the settings that are in the way. More: docs/reference.md.';

CREATE FUNCTION cdc.alter_slot(slot_name name, options text[] DEFAULT '{}', reader name DEFAULT NULL,
  standby boolean DEFAULT false)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_alter_slot';
REVOKE ALL ON FUNCTION cdc.alter_slot(name, text[], name, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.alter_slot(name, text[], name, boolean) IS
  'Stores options for a cdc slot of this database, names and values in turn; a NULL value takes one out. They count from the next start of the slot on, unless the client gives others. reader: binds it to a role, none = to no role any more, NULL = as it is. standby: it is a slot of standbys of this server. Other NULL arguments do nothing. Needs REPLICATION. More: docs/reference.md.';

CREATE FUNCTION cdc.copy_slot(INOUT slot_name name, new_name name, temporary boolean DEFAULT false,
  OUT lsn pg_lsn)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_copy_slot';
REVOKE ALL ON FUNCTION cdc.copy_slot(name, name, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.copy_slot(name, name, boolean) IS
  'Creates a slot that stands where another one stands, with its stored options: a checkpoint to read from again. Returns the new name, and lsn, from where it is confirmed. two_phase and failover are not copied. NULL arguments give NULL. Needs REPLICATION. Must come before any write of the transaction; the slot survives its ROLLBACK.';

CREATE FUNCTION cdc.advance_slot(INOUT slot_name name, upto_lsn pg_lsn, OUT lsn pg_lsn)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_advance_slot';
REVOKE ALL ON FUNCTION cdc.advance_slot(name, pg_lsn) FROM PUBLIC;
COMMENT ON FUNCTION cdc.advance_slot(name, pg_lsn) IS
  'Confirms a cdc slot of this database up to a position, or the end of the WAL if that comes first: what was not read before it is lost. Does not load the plugin, so that it passes a change at which reading fails again and again. Returns where the slot is then. NULL arguments give NULL. Needs REPLICATION. ERROR 55000 where the position lies before the slot''s, 55006 while the slot is in use.';

CREATE FUNCTION cdc.drop_slot(slot_name name, force boolean DEFAULT false)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_drop_slot';
REVOKE ALL ON FUNCTION cdc.drop_slot(name, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.drop_slot(name, boolean) IS
  'Drops a cdc slot of this database and its stored options; what was not read from it is lost. force ends the connections that use it, again and again for up to 10 seconds, which needs the right to do so; without it, or where that does not suffice, a slot in use is an ERROR (55006). NULL arguments do nothing. Needs REPLICATION.';

CREATE FUNCTION cdc.missing_tables(tables text, versions text)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_missing_tables';
COMMENT ON FUNCTION cdc.missing_tables(text, text) IS
  'What the options tables and versions of a slot name and is not there, each with the reason; NULL = nothing, or what is malformed. For the view cdc.slots.';

CREATE VIEW cdc.slots AS
SELECT s.slot_name, s.active, s.active_pid, s.temporary,
       j->>'wal_status' AS wal_status,
       coalesce(j->>'invalidation_reason',
                CASE WHEN s.wal_status = 'lost' THEN 'wal_removed'
                     WHEN (j->>'conflicting')::boolean THEN 'conflicting' END) AS invalidation,
       s.restart_lsn, s.confirmed_flush_lsn,
       s.catalog_xmin, pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
       pg_catalog.pg_wal_lsn_diff(wal_end.lsn, s.confirmed_flush_lsn)::bigint AS lag_bytes,
       pg_catalog.pg_wal_lsn_diff(wal_end.lsn, s.restart_lsn)::bigint AS retained_bytes,
       s.safe_wal_size, s.two_phase,
       coalesce((j->>'failover')::boolean, false) AS failover,
       coalesce((j->>'synced')::boolean, false) AS synced,
       (SELECT pg_catalog.jsonb_object_agg(o.option, o.value)
        FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option NOT IN ('reader', 'standby')) AS options,
       (SELECT pg_catalog.pg_get_userbyid(o.value::pg_catalog.oid)
        FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option = 'reader') AS reader,
       cdc.missing_tables((SELECT o.value FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option = 'tables'),
                          (SELECT o.value FROM cdc.slot_option o WHERE o.slot_name = s.slot_name AND o.option = 'versions')) AS missing,
       t.total_txns, t.total_bytes, t.spill_txns, t.spill_count, t.spill_bytes,
       t.stream_txns, t.stream_count, t.stream_bytes
FROM pg_catalog.pg_replication_slots s
CROSS JOIN LATERAL pg_catalog.to_jsonb(s) j
CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                        THEN pg_catalog.pg_last_wal_replay_lsn()
                        ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) wal_end
LEFT JOIN pg_catalog.pg_stat_replication_slots t ON t.slot_name = s.slot_name
WHERE s.plugin = 'cdc' AND s.database = pg_catalog.current_database();
REVOKE ALL ON cdc.slots FROM PUBLIC;
COMMENT ON VIEW cdc.slots IS
  'The cdc slots of this database, of all roles: how far each was confirmed, what WAL it keeps, and what is stored for it.';
COMMENT ON COLUMN cdc.slots.slot_name IS 'Name of the slot.';
COMMENT ON COLUMN cdc.slots.active IS 'Whether a connection uses it.';
COMMENT ON COLUMN cdc.slots.active_pid IS 'The process that uses it.';
COMMENT ON COLUMN cdc.slots.temporary IS 'It is gone with its session.';
COMMENT ON COLUMN cdc.slots.wal_status IS 'As in pg_replication_slots: reserved, extended, unreserved (WAL is about to be removed), lost.';
COMMENT ON COLUMN cdc.slots.invalidation IS 'Why the slot is of no use any more; NULL = it is.';
COMMENT ON COLUMN cdc.slots.restart_lsn IS 'The oldest WAL that the slot keeps.';
COMMENT ON COLUMN cdc.slots.confirmed_flush_lsn IS 'What committed before was confirmed.';
COMMENT ON COLUMN cdc.slots.catalog_xmin IS 'The oldest transaction whose rows of catalogs VACUUM must keep for the slot.';
COMMENT ON COLUMN cdc.slots.catalog_xmin_age IS 'Transactions since catalog_xmin.';
COMMENT ON COLUMN cdc.slots.lag_bytes IS 'WAL that is not confirmed.';
COMMENT ON COLUMN cdc.slots.retained_bytes IS 'WAL that the server keeps for the slot.';
COMMENT ON COLUMN cdc.slots.safe_wal_size IS 'Bytes of WAL that may still be written before the slot is lost; NULL = no limit.';
COMMENT ON COLUMN cdc.slots.two_phase IS 'Prepared transactions are sent when they are prepared.';
COMMENT ON COLUMN cdc.slots.failover IS 'It is to be synchronized to standbys (PostgreSQL 17).';
COMMENT ON COLUMN cdc.slots.synced IS 'It was synchronized from a primary, and cannot be read before a promotion (PostgreSQL 17).';
COMMENT ON COLUMN cdc.slots.options IS 'Options that are stored for it; NULL = none.';
COMMENT ON COLUMN cdc.slots.reader IS 'The role that it is bound to; NULL = none.';
COMMENT ON COLUMN cdc.slots.missing IS 'What the stored options tables and versions name and is not there, with the reason; NULL = nothing.';
COMMENT ON COLUMN cdc.slots.total_txns IS 'Transactions decoded, see pg_stat_replication_slots.';
COMMENT ON COLUMN cdc.slots.total_bytes IS 'Bytes of decoded changes.';
COMMENT ON COLUMN cdc.slots.spill_txns IS 'Transactions that went to disk while they were decoded.';
COMMENT ON COLUMN cdc.slots.spill_count IS 'How often transactions went to disk.';
COMMENT ON COLUMN cdc.slots.spill_bytes IS 'Bytes that went to disk.';
COMMENT ON COLUMN cdc.slots.stream_txns IS 'Transactions that were sent while in progress.';
COMMENT ON COLUMN cdc.slots.stream_count IS 'How often transactions were sent while in progress.';
COMMENT ON COLUMN cdc.slots.stream_bytes IS 'Bytes of those.';

CREATE FUNCTION cdc.slot_counters(slot_name name, OUT transactions bigint, OUT batches bigint, OUT bytes bigint,
  OUT events bigint, OUT failures bigint, OUT withheld_changes bigint, OUT withheld_messages bigint,
  OUT withheld_values bigint, OUT dropped_metadata bigint, OUT forged_messages bigint)
RETURNS record LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cdc_slot_counters';
REVOKE ALL ON FUNCTION cdc.slot_counters(name) FROM PUBLIC;
COMMENT ON FUNCTION cdc.slot_counters(name) IS
  'What was counted of a slot, see cdc.stats. NULL for a slot that was not read from. ERROR 55000 where the library is not in shared_preload_libraries: there is nothing that counts.';

CREATE VIEW cdc.stats AS
SELECT s.slot_name, c.*
FROM pg_catalog.pg_replication_slots s CROSS JOIN LATERAL cdc.slot_counters(s.slot_name) c
WHERE s.plugin = 'cdc' AND s.database = pg_catalog.current_database() AND c.batches IS NOT NULL;
REVOKE ALL ON cdc.stats FROM PUBLIC;
COMMENT ON VIEW cdc.stats IS
  'What was sent from the cdc slots of this database since the slot was made or the server started, replays counted again. Needs the library in shared_preload_libraries (ERROR 55000 where it is not), and EXECUTE on cdc.slot_counters().';
COMMENT ON COLUMN cdc.stats.slot_name IS 'Name of the slot.';
COMMENT ON COLUMN cdc.stats.transactions IS 'Transactions of which something was sent.';
COMMENT ON COLUMN cdc.stats.batches IS 'Batches that were sent.';
COMMENT ON COLUMN cdc.stats.bytes IS 'Bytes of batches.';
COMMENT ON COLUMN cdc.stats.events IS 'Events that were sent.';
COMMENT ON COLUMN cdc.stats.failures IS 'Events that say that a change could not be encoded, and commands of which it could not be told what they have changed (no event; the server''s log has why).';
COMMENT ON COLUMN cdc.stats.withheld_changes IS 'Changes of tables of which the user who read may be sent nothing.';
COMMENT ON COLUMN cdc.stats.withheld_messages IS 'Logical messages and metadata that the user who read may not be sent.';
COMMENT ON COLUMN cdc.stats.withheld_values IS 'Changes with a value that is not what the path of a rule of redaction expects.';
COMMENT ON COLUMN cdc.stats.dropped_metadata IS 'Entries of metadata beyond the limits of a transaction.';
COMMENT ON COLUMN cdc.stats.forged_messages IS 'Messages about changes of schemas that the extension did not write, or not in that transaction: nothing comes of them.';

-- Whoever watches servers may watch this one.
GRANT USAGE ON SCHEMA cdc TO pg_monitor;
GRANT SELECT ON cdc.slots, cdc.stats TO pg_monitor;
GRANT EXECUTE ON FUNCTION cdc.slot_counters(name) TO pg_monitor;

-- What a statement would do to slots, before it is run

CREATE FUNCTION cdc.refuse_catalog_tables()
RETURNS pg_catalog.event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_refuse_catalog_tables';
REVOKE ALL ON FUNCTION cdc.refuse_catalog_tables() FROM PUBLIC;
COMMENT ON FUNCTION cdc.refuse_catalog_tables() IS
  'Event trigger function: refuses the storage option user_catalog_table to roles that are no superusers (ERROR 42501), unless cdc.allow_user_catalog_tables is on.';
CREATE EVENT TRIGGER cdc_refuse_catalog_tables ON ddl_command_start
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'CREATE MATERIALIZED VIEW', 'CREATE SCHEMA', 'ALTER TABLE', 'ALTER MATERIALIZED VIEW')
  EXECUTE FUNCTION cdc.refuse_catalog_tables();
ALTER EVENT TRIGGER cdc_refuse_catalog_tables ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_refuse_catalog_tables IS
  'Refuses the storage option user_catalog_table, by which the owner of a table could stop every slot.';

CREATE FUNCTION cdc.dropping_extension()
RETURNS pg_catalog.event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_dropping_extension';
REVOKE ALL ON FUNCTION cdc.dropping_extension() FROM PUBLIC;
COMMENT ON FUNCTION cdc.dropping_extension() IS
  'Event trigger function: when the extension is dropped, names the slots that wait, and removes the large objects of the secrets.';
CREATE EVENT TRIGGER cdc_dropping_extension ON ddl_command_start
  WHEN TAG IN ('DROP EXTENSION')
  EXECUTE FUNCTION cdc.dropping_extension();
ALTER EVENT TRIGGER cdc_dropping_extension ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_dropping_extension IS
  'Names the slots that wait when the extension is dropped, and removes its large objects.';

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

-- Reading tables as they are

CREATE FUNCTION cdc.snapshot(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL,
  from_block bigint DEFAULT NULL, to_block bigint DEFAULT NULL,
  options text[] DEFAULT '{}', slot_name name DEFAULT NULL)
RETURNS SETOF bytea LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot';
REVOKE ALL ON FUNCTION cdc.snapshot(regclass, text[], text[], bigint, bigint, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION cdc.snapshot(regclass, text[], text[], bigint, bigint, text[], name) IS
  'The rows of a table as READ events, in delimited batches like those of the stream. from_key (inclusive), to_key (exclusive): text values of the key columns; from_block, to_block: blocks, in REPEATABLE READ only; NULL = open. options: as of the stream; those stored for slot_name count, too. Reads what the caller may SELECT, or was given by cdc.grant_read(). More: docs/reference.md.';

CREATE FUNCTION cdc.snapshot_chunks(relation regclass, max_rows bigint DEFAULT 100000,
  OUT from_key text[], OUT to_key text[], OUT from_block bigint, OUT to_block bigint,
  OUT key_columns text[])
RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot_chunks';
REVOKE ALL ON FUNCTION cdc.snapshot_chunks(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION cdc.snapshot_chunks(regclass, bigint) IS
  'Ranges for cdc.snapshot() that together are the whole table, whatever is inserted later: by key (key_columns), each with max_rows rows at the moment, or without a key by block, with about as many. Reads the key of every row. A key that is redacted or withheld counts as none; a table that is withheld is an ERROR (42501). NULL arguments give no rows.';

CREATE FUNCTION cdc.sequences()
RETURNS TABLE (sequence regclass, relation regclass, column_name name, identity text, data_type regtype, start_value bigint,
  increment_by bigint, min_value bigint, max_value bigint, cycle boolean, last_value bigint, "position" pg_lsn, statement text)
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
  -- first the position: what was taken before it is in the values that are read next
  WITH here AS MATERIALIZED (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn),
  used AS (
    -- by a column that owns it, or whose default names it
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum, d.deptype = 'i' AS of_identity
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid, a.adrelid, a.adnum, false
    FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' JOIN pg_attrdef a ON a.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass)
  SELECT c.oid, u.relation, a.attname,
    CASE WHEN NOT u.of_identity THEN NULL WHEN a.attidentity = 'a' THEN 'always' WHEN a.attidentity = 'd' THEN 'by default' END,
    s.seqtypid, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, v.value, here.lsn,
    CASE WHEN v.value IS NOT NULL THEN format('SELECT pg_catalog.setval(%L, %s);', format('%I.%I', n.nspname, c.relname), v.value) END
  FROM here CROSS JOIN pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN used u ON u.sequence = c.oid
    LEFT JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attnum
    CROSS JOIN LATERAL (SELECT CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE') THEN pg_sequence_last_value(c.oid) END) v(value)
  WHERE c.relpersistence = 'p' AND n.nspname <> 'cdc'
  ORDER BY n.nspname, c.relname, u.relation, u.attnum
$$;
REVOKE ALL ON FUNCTION cdc.sequences() FROM PUBLIC;
COMMENT ON FUNCTION cdc.sequences() IS
  'The sequences of this database that are in its WAL, with the columns that use them (NULL: none, or a default outside of tables), and their values: last_value is at least what rows have taken that were committed before position; NULL: nothing was taken, or the caller may not read it. statement: sets a copy''s sequence of that name to it; NULL as last_value. More: docs/migrate.md.';

-- Schemas

CREATE FUNCTION cdc.fingerprint(relation regclass)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_fingerprint_sql';
REVOKE ALL ON FUNCTION cdc.fingerprint(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.fingerprint(regclass) IS
  'Address of the table''s schema as it is now, 16 hexadecimal digits: the first 8 bytes of the SHA-256 of its serialized cdc.v1.Table. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION cdc.table_schema(relation regclass)
RETURNS jsonb LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_table_schema';
REVOKE ALL ON FUNCTION cdc.table_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.table_schema(regclass) IS
  'The table''s cdc.v1.Table as it is now. missing: the value of rows older than the column. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION cdc.proto(relation regclass, version int DEFAULT NULL)
RETURNS text LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_proto';
REVOKE ALL ON FUNCTION cdc.proto(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION cdc.proto(regclass, int) IS
  'A .proto file with a message for the table''s rows as they are now, or in a major version that the registry has. Field number = attnum; what was dropped is reserved. Package: schema, table, major version. NULL gives NULL. ERROR 42809 for what is no table, 42501 for what the caller may not be sent, 42704 for an unknown version, 55000 for a retired one. More: docs/reference.md.';

CREATE FUNCTION cdc.proto_files(schema regnamespace DEFAULT NULL, OUT path text, OUT content text)
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
REVOKE ALL ON FUNCTION cdc.proto_files(regnamespace) FROM PUBLIC;
COMMENT ON FUNCTION cdc.proto_files(regnamespace) IS
  'The files of cdc.proto() for all tables of a schema, or with NULL for all registered tables, for which the caller must be able to read cdc.schema_versions; without those that the caller may not be sent. path: where protoc and buf expect a file of that package; they import cdc/v1/cdc.proto.';

CREATE FUNCTION cdc.converter(relation regclass, from_version int, to_version int, language text)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_converter';
REVOKE ALL ON FUNCTION cdc.converter(regclass, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.converter(regclass, int, int, text) IS
  'A skeleton of code that makes rows of one major version of a registered table rows of another: equal columns are taken over, integers cast, all else is marked TODO. language: sql, go (messages of protoc-gen-go) or rust (of prost), generated from cdc.proto(relation, version). NULL arguments give NULL. ERROR as cdc.proto(), 22023 for another language.';

-- Redaction

CREATE TABLE cdc.installation (
  one boolean PRIMARY KEY CHECK (one),
  since pg_lsn NOT NULL
);
REVOKE ALL ON cdc.installation FROM PUBLIC;
COMMENT ON TABLE cdc.installation IS
  'Since which position of the WAL this installation knows the rules of redaction and what roles may be sent: what was committed before is withheld from all but superusers. Not dumped.';

CREATE TABLE cdc.redaction_rule (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
  removed_at pg_lsn,
  reason text,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL,
  CONSTRAINT by_column_or_pattern CHECK (pg_catalog.num_nulls(schema_name, table_name, column_name)
    = CASE WHEN column_pattern IS NULL THEN 0 ELSE 3 END),
  -- what decoding reads must not be stored out of line
  CONSTRAINT parameters_are_short CHECK (pg_catalog.length(pg_catalog.concat(column_pattern, method, value, filler, path)) <= 1000)
);
ALTER TABLE cdc.redaction_rule
  ALTER column_pattern SET STORAGE MAIN, ALTER method SET STORAGE MAIN, ALTER value SET STORAGE MAIN,
  ALTER filler SET STORAGE MAIN, ALTER path SET STORAGE MAIN;
REVOKE ALL ON cdc.redaction_rule FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_rule IS
  'The rules of redaction, with the names for which each was made; what it protects is in redaction_column and redaction_name. A rule counts from the moment its row is there. removed_at: position in the WAL of the removal''s COMMIT; the rule counts for what was committed before. Such a row is removed once no slot needs it. Written by cdc.redact(), cdc.redact_matching() and cdc.unredact().';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_rule', 'WHERE removed_at IS NULL');
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_rule_id_seq', '');
COMMENT ON SEQUENCE cdc.redaction_rule_id_seq IS 'Numbers of the rules of redaction';

CREATE TABLE cdc.redaction_name (
  schema_name name,
  table_name name,
  column_name name,
  rule_id bigint,
  PRIMARY KEY (schema_name, table_name, column_name, rule_id)
);
REVOKE ALL ON cdc.redaction_name FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_name IS
  'The names that columns which a rule protects have, or have had since it was made: what stands at one of them is protected. Written by cdc.redact() and by DDL.';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_name',
  'WHERE rule_id IN (SELECT id FROM cdc.redaction_rule WHERE removed_at IS NULL)');

CREATE TABLE cdc.redaction_column (
  relation oid,
  attnum int2,
  rule_id bigint,
  dropped_at pg_lsn,
  PRIMARY KEY (relation, attnum, rule_id)
);
REVOKE ALL ON cdc.redaction_column FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_column IS
  'The columns that a rule protects, by number: they stay protected under other names. relation 0: the rule was made in this database, or confirmed. dropped_at: position in the WAL; the row is removed once no slot needs it. Not dumped: after a restore names count. Written by cdc.redact() and by DDL.';

CREATE TABLE cdc.redaction_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  by name NOT NULL DEFAULT session_user,
  about name NOT NULL,
  action text NOT NULL,
  rule jsonb NOT NULL,
  former jsonb
);
REVOKE ALL ON cdc.redaction_audit FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_audit IS
  'Who has added, changed or removed which rule of redaction (about redaction_rule) or what a role may be sent (about read_grant), and when. Rows are added by the functions that do it; nobody but the owner can change them.';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_audit', '');

CREATE FUNCTION cdc.audit_rule(about name, action text, rule jsonb, former jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM cdc.put_row(ROW(gen_random_uuid(), clock_timestamp(), session_user, about, action, rule, former)::cdc.redaction_audit);
END $$;
REVOKE ALL ON FUNCTION cdc.audit_rule(name, text, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.audit_rule(name, text, jsonb, jsonb) IS 'Writes cdc.redaction_audit. For the extension''s own functions.';

CREATE VIEW cdc.redactable_table AS
SELECT c.oid AS relid, n.nspname, c.relname, c.relispartition
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc');
REVOKE ALL ON cdc.redactable_table FROM PUBLIC;
COMMENT ON VIEW cdc.redactable_table IS 'The tables that rules of redaction can be about: changes of others are never sent. For the extension''s own functions.';
COMMENT ON COLUMN cdc.redactable_table.relid IS 'The table.';
COMMENT ON COLUMN cdc.redactable_table.nspname IS 'Its schema.';
COMMENT ON COLUMN cdc.redactable_table.relname IS 'Its name.';
COMMENT ON COLUMN cdc.redactable_table.relispartition IS 'It is a partition.';

-- A rule follows what it protects, see follow.c.
CREATE FUNCTION cdc.follow_rules()
RETURNS event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_follow_rules';
REVOKE ALL ON FUNCTION cdc.follow_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.follow_rules() IS
  'Event trigger function: records the names that protected columns get, and the columns that come to such names.';
CREATE EVENT TRIGGER cdc_follow_rules ON ddl_command_end EXECUTE FUNCTION cdc.follow_rules();
ALTER EVENT TRIGGER cdc_follow_rules ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_follow_rules IS 'Lets rules of redaction follow what they protect through DDL.';

CREATE FUNCTION cdc.protect(rule_id bigint, relation oid, column_name name)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_protect';
REVOKE ALL ON FUNCTION cdc.protect(bigint, oid, name) FROM PUBLIC;
COMMENT ON FUNCTION cdc.protect(bigint, oid, name) IS
  'Records that a rule protects a column of a table, its partitions and what inherits from it, which it locks against DDL. For the extension''s own functions. ERROR 42703 where there is no such column.';

CREATE FUNCTION cdc.confirm(rule_id bigint)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_confirm';
REVOKE ALL ON FUNCTION cdc.confirm(bigint) FROM PUBLIC;
COMMENT ON FUNCTION cdc.confirm(bigint) IS 'Records what a restored rule protects here. For the extension''s own functions.';

CREATE FUNCTION cdc.prune_rules()
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_prune_rules';
REVOKE ALL ON FUNCTION cdc.prune_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.prune_rules() IS
  'Removes what is kept of removed rules and dropped tables for changes that no slot of this server has to read any more. For the extension''s own functions.';

CREATE FUNCTION cdc.positions_at_commit()
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_positions_at_commit';
REVOKE ALL ON FUNCTION cdc.positions_at_commit() FROM PUBLIC;
COMMENT ON FUNCTION cdc.positions_at_commit() IS
  'The positions of what this transaction has removed, and of an installation, become that of its COMMIT; PREPARE TRANSACTION is refused (ERROR 0A000). For the extension''s own functions.';

CREATE TABLE cdc.redaction_secret (
  number int PRIMARY KEY CHECK (number > 0),
  large_object oid NOT NULL,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL
);
REVOKE ALL ON cdc.redaction_secret FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_secret IS
  'Which large object has which secret for hashes: 32 random bytes, readable by its owner, who is the extension''s, alone. Hashes name the number. Both are in pg_dump (with --large-objects).';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_secret', '');

CREATE FUNCTION cdc.rotate_redaction_secret()
RETURNS int LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_rotate_redaction_secret';
REVOKE ALL ON FUNCTION cdc.rotate_redaction_secret() FROM PUBLIC;
COMMENT ON FUNCTION cdc.rotate_redaction_secret() IS
  'Makes a new secret for hashes inside the server, and returns its number. A stream uses the one that is the newest when it starts, so that hashes of equal values differ from there on. Former secrets are kept.';

CREATE FUNCTION cdc.redaction_methods(OUT name text, OUT rank int, OUT takes text, OUT needs text)
RETURNS SETOF record LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 8
AS 'MODULE_PATHNAME', 'cdc_redaction_methods';
REVOKE ALL ON FUNCTION cdc.redaction_methods() FROM PUBLIC;
COMMENT ON FUNCTION cdc.redaction_methods() IS
  'The methods of redaction, the strictest first: of two rules for a column the one with the higher rank counts. takes, needs: parameters, with commas between them. For the extension''s own functions.';

CREATE FUNCTION cdc.check_method(method text, value text, length int, prefix int, suffix int, filler text)
RETURNS void LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  allowed text[];
  needed text[];
  given text[] := array_remove(ARRAY[
    CASE WHEN value IS NOT NULL THEN 'value' END, CASE WHEN length IS NOT NULL THEN 'length' END,
    CASE WHEN prefix IS NOT NULL THEN 'prefix' END, CASE WHEN suffix IS NOT NULL THEN 'suffix' END,
    CASE WHEN filler IS NOT NULL THEN 'filler' END], NULL);
BEGIN
  SELECT string_to_array(m.takes, ','), string_to_array(m.needs, ',') INTO allowed, needed
  FROM cdc.redaction_methods() m WHERE m.name = method;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('unknown method of redaction: %s', coalesce(quote_ident(method), 'NULL')),
      HINT = format('Methods are: %s.', (SELECT string_agg(m.name, ', ') FROM cdc.redaction_methods() m));
  END IF;
  IF NOT given <@ allowed THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s does not take %s', method,
        (SELECT string_agg(g, ', ') FROM unnest(given) g WHERE g <> ALL (allowed))),
      HINT = CASE WHEN allowed = '{}' THEN 'It takes no parameters.'
             ELSE format('It takes: %s.', array_to_string(allowed, ', ')) END;
  END IF;
  IF NOT needed <@ given THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s needs %s', method, array_to_string(needed, ' and '));
  END IF;
  IF length NOT BETWEEN 0 AND 10000 OR prefix NOT BETWEEN 0 AND 10000 OR suffix NOT BETWEEN 0 AND 10000 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'length, prefix and suffix must be between 0 and 10000 characters';
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.check_method(text, text, int, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_method(text, text, int, int, int, text) IS
  'ERROR (22023) unless there is such a method of redaction, and it takes these parameters.';

CREATE FUNCTION cdc.check_path(path text, type regtype)
RETURNS void LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_check_path';
REVOKE ALL ON FUNCTION cdc.check_path(text, regtype) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_path(text, regtype) IS
  'ERROR (22023) unless the type is json, jsonb or a domain over them, and it is a path into its values as cdc.redact() takes them. NULL is fine.';

CREATE FUNCTION cdc.add_rule(rule cdc.redaction_rule, relation oid)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF rule.method = 'hash' AND NOT EXISTS (SELECT FROM cdc.redaction_secret) THEN
    PERFORM cdc.rotate_redaction_secret();
  END IF;
  IF EXISTS (SELECT FROM cdc.redaction_methods() m WHERE m.name = rule.method AND m.takes ~ '\mfiller\M') THEN
    rule.filler := coalesce(rule.filler, '*');
  END IF;
  rule.id := nextval('cdc.redaction_rule_id_seq');
  PERFORM cdc.put_row(rule);
  PERFORM cdc.protect(rule.id, relation, rule.column_name);
  PERFORM cdc.audit_rule('redaction_rule', 'INSERT', to_jsonb(rule));
  RETURN rule.id;
END $$;
REVOKE ALL ON FUNCTION cdc.add_rule(cdc.redaction_rule, oid) FROM PUBLIC;
COMMENT ON FUNCTION cdc.add_rule(cdc.redaction_rule, oid) IS
  'Writes a rule, and what it protects of a table (NULL: of none, it is by pattern), and returns its number. For the extension''s own functions.';

CREATE FUNCTION cdc.redact(relation regclass, column_name name, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  path text DEFAULT NULL, reason text DEFAULT NULL, force boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  col record;
BEGIN
  PERFORM cdc.require_primary('cdc.redact()');
  PERFORM cdc.check_method(method, value, length, prefix, suffix, filler);
  -- no DDL beside it is missed: what follows sees what was committed before the lock
  PERFORM cdc.lock_table(relation);
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
  IF NOT EXISTS (SELECT FROM cdc.redactable_table t WHERE t.relid = relation) THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('changes of table %s are never sent', relation),
      DETAIL = 'Temporary and unlogged tables, catalogs and the tables of cdc are in no stream.';
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
  RETURN cdc.add_rule(ROW(0, col.nspname, col.relname, column_name, NULL, method, value, length, prefix, suffix, filler, path,
    NULL, reason, now(), session_user)::cdc.redaction_rule, relation);
END $$;
REVOKE ALL ON FUNCTION cdc.redact(regclass, name, text, text, int, int, int, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.redact(regclass, name, text, text, int, int, int, text, text, text, boolean) IS
  'Adds a rule: what stands for the values of a column in every stream, snapshot and schema. Methods: drop, null, constant (value), mask (filler, length), hash, partial (prefix, suffix, filler), email, truncate (length). With path it is about parts of json and jsonb values. Returns the rule''s id. ERROR 22023 for a wrong argument, 55000 for a key column, see force. More: docs/reference.md.';

CREATE FUNCTION cdc.redact_matching(column_pattern text, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  PERFORM cdc.require_primary('cdc.redact_matching()');
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
  RETURN cdc.add_rule(ROW(0, NULL, NULL, NULL, column_pattern, method, value, length, prefix, suffix, filler, NULL,
    NULL, reason, now(), session_user)::cdc.redaction_rule, NULL);
END $$;
REVOKE ALL ON FUNCTION cdc.redact_matching(text, text, text, int, int, int, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.redact_matching(text, text, text, int, int, int, text, text) IS
  'Adds a rule for every column, now and later, whose name matches: % is any characters, _ is one, letters A to Z match both cases. Methods and the rest as for cdc.redact(); key columns that match are redacted, too, and are no key then unless hashed.';

CREATE FUNCTION cdc.existing_rule(rule_id bigint)
RETURNS cdc.redaction_rule LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule;
BEGIN
  SELECT * INTO rule FROM cdc.redaction_rule r WHERE r.id = rule_id AND r.removed_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('rule %s does not exist', coalesce(rule_id::text, 'NULL')),
      HINT = 'The view cdc.redaction_rules lists those that do.';
  END IF;
  RETURN rule;
END $$;
REVOKE ALL ON FUNCTION cdc.existing_rule(bigint) FROM PUBLIC;
COMMENT ON FUNCTION cdc.existing_rule(bigint) IS
  'The rule with this number. For the extension''s own functions. ERROR 42704 where there is none, or it was removed.';

CREATE FUNCTION cdc.unredact(rule_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule := cdc.existing_rule(rule_id);
BEGIN
  PERFORM cdc.require_primary('cdc.unredact()');
  -- the audit has the reason of the removal beside that of the rule
  rule.reason := concat_ws('; removed: ', rule.reason, unredact.reason);
  rule.removed_at := pg_current_wal_insert_lsn();
  PERFORM cdc.put_row(rule);
  PERFORM cdc.positions_at_commit();
  PERFORM cdc.audit_rule('redaction_rule', 'DELETE', to_jsonb(rule));
  PERFORM cdc.prune_rules();
END $$;
REVOKE ALL ON FUNCTION cdc.unredact(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.unredact(bigint, text) IS
  'Removes a rule. What is committed before the removal is stays redacted, whenever it is read. The transaction cannot be prepared (ERROR 0A000). ERROR 42704 where there is no such rule.';

CREATE FUNCTION cdc.lock_table(relation regclass)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) THEN
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.lock_table(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.lock_table(regclass) IS
  'Lets other DDL on a table, its partitions and what inherits from it wait until the transaction ends; what writes it does not. For the extension''s own functions.';

CREATE FUNCTION cdc.confirm_rule(rule_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule := cdc.existing_rule(rule_id);
BEGIN
  PERFORM cdc.require_primary('cdc.confirm_rule()');
  PERFORM cdc.confirm(rule_id);
  rule.reason := concat_ws('; confirmed: ', rule.reason, confirm_rule.reason);
  PERFORM cdc.audit_rule('redaction_rule', 'CONFIRM', to_jsonb(rule));
END $$;
REVOKE ALL ON FUNCTION cdc.confirm_rule(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.confirm_rule(bigint, text) IS
  'Says that a rule which a restore has brought is right: it protects the columns that bear its names now. Until then it withholds all of a table that bears its name but has none of its columns. Does nothing for a rule that was made here. ERROR 42704 where there is no such rule.';

CREATE FUNCTION cdc.rule_columns(OUT rule_id bigint, OUT relid oid, OUT attnum smallint)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10000
AS 'MODULE_PATHNAME', 'cdc_rule_columns';
REVOKE ALL ON FUNCTION cdc.rule_columns() FROM PUBLIC;
COMMENT ON FUNCTION cdc.rule_columns() IS
  'The columns that each rule of redaction covers now, some more than once. For the extension''s own views and functions.';

CREATE VIEW cdc.redaction_covered AS
SELECT DISTINCT k.rule_id, k.relid, k.attnum, t.nspname, t.relname, a.attname
FROM cdc.rule_columns() k
  JOIN cdc.redactable_table t ON t.relid OPERATOR(pg_catalog.=) k.relid
  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) k.relid AND a.attnum OPERATOR(pg_catalog.=) k.attnum AND NOT a.attisdropped;
REVOKE ALL ON cdc.redaction_covered FROM PUBLIC;
COMMENT ON VIEW cdc.redaction_covered IS 'The columns that each rule of redaction covers now. For cdc.redaction_rules and the reports.';
COMMENT ON COLUMN cdc.redaction_covered.rule_id IS 'Number of the rule.';
COMMENT ON COLUMN cdc.redaction_covered.relid IS 'The table.';
COMMENT ON COLUMN cdc.redaction_covered.attnum IS 'The column.';
COMMENT ON COLUMN cdc.redaction_covered.nspname IS 'Schema of the table.';
COMMENT ON COLUMN cdc.redaction_covered.relname IS 'Name of the table.';
COMMENT ON COLUMN cdc.redaction_covered.attname IS 'Name of the column.';

CREATE VIEW cdc.redaction_rules AS
SELECT r.id, r.method, pg_catalog.to_regclass(pg_catalog.quote_ident(r.schema_name) || '.' || pg_catalog.quote_ident(r.table_name)) AS relation,
       r.column_name, r.column_pattern, coalesce(k.covers, '{}') AS covers,
       r.path, r.value, r.length, r.prefix, r.suffix, r.filler, r.reason, r.created_at, r.created_by
FROM cdc.redaction_rule r
  LEFT JOIN (SELECT v.rule_id, pg_catalog.array_agg(pg_catalog.format('%I.%I.%I', v.nspname, v.relname, v.attname)
                                          ORDER BY v.nspname, v.relname, v.attname) AS covers
             FROM cdc.redaction_covered v GROUP BY v.rule_id) k ON k.rule_id OPERATOR(pg_catalog.=) r.id
WHERE r.removed_at IS NULL;
REVOKE ALL ON cdc.redaction_rules FROM PUBLIC;
COMMENT ON VIEW cdc.redaction_rules IS
  'The rules of redaction, and the columns that each covers now (schema.table.column; partitions are listed by themselves). relation: what bears the name for which it was made, NULL = nothing does.';
COMMENT ON COLUMN cdc.redaction_rules.id IS 'Number of the rule, for cdc.unredact().';
COMMENT ON COLUMN cdc.redaction_rules.method IS 'What stands for the values, see cdc.redact().';
COMMENT ON COLUMN cdc.redaction_rules.relation IS 'What bears the name for which the rule was made; NULL = nothing does, or it is for a pattern.';
COMMENT ON COLUMN cdc.redaction_rules.column_name IS 'The column for which it was made; NULL = for a pattern.';
COMMENT ON COLUMN cdc.redaction_rules.column_pattern IS 'The pattern of cdc.redact_matching().';
COMMENT ON COLUMN cdc.redaction_rules.covers IS 'The columns that it covers now, schema.table.column; partitions are listed by themselves.';
COMMENT ON COLUMN cdc.redaction_rules.path IS 'The parts of json and jsonb values that it is about; NULL = whole values.';
COMMENT ON COLUMN cdc.redaction_rules.value IS 'The constant.';
COMMENT ON COLUMN cdc.redaction_rules.length IS 'Characters of a mask, or that are kept.';
COMMENT ON COLUMN cdc.redaction_rules.prefix IS 'Characters that are kept at the start.';
COMMENT ON COLUMN cdc.redaction_rules.suffix IS 'Characters that are kept at the end.';
COMMENT ON COLUMN cdc.redaction_rules.filler IS 'What stands in place of characters.';
COMMENT ON COLUMN cdc.redaction_rules.reason IS 'What was given as the reason.';
COMMENT ON COLUMN cdc.redaction_rules.created_at IS 'When it was made.';
COMMENT ON COLUMN cdc.redaction_rules.created_by IS 'Who made it.';

-- Privileges

-- Numbers say what a row is about, and are not dumped: what pg_dump reads is the names
-- that the numbers stand for then.
CREATE TABLE cdc.read_grant (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role_name name NOT NULL,
  schema_name name,
  table_name name,
  column_name name,
  prefix text,
  giver_name name,
  role oid,
  relation oid,
  attnum int2,
  giver oid,
  given_at pg_lsn,
  reason text,
  granted_at timestamptz NOT NULL,
  granted_by name NOT NULL,
  CONSTRAINT relation_or_prefix CHECK (pg_catalog.num_nonnulls(table_name, prefix) = 1 AND pg_catalog.num_nulls(schema_name, table_name) <> 1),
  CONSTRAINT columns_of_relations CHECK (column_name IS NULL OR table_name IS NOT NULL),
  CONSTRAINT numbers CHECK (CASE WHEN role IS NULL THEN pg_catalog.num_nonnulls(relation, attnum, giver, given_at) = 0
    ELSE pg_catalog.num_nulls(relation, table_name) <> 1 AND pg_catalog.num_nulls(attnum, column_name) <> 1 END)
);
REVOKE ALL ON cdc.read_grant FROM PUBLIC;
COMMENT ON TABLE cdc.read_grant IS
  'What cdc.grant_read() gave, by numbers and by the names of then; rows of a restore have names alone. Read the view cdc.read_grants instead. Written by functions of schema cdc.';
-- Role, table and column by their current names, and no numbers. (No view can be read by pg_dump.)
SELECT pg_catalog.pg_extension_config_dump('cdc.read_grant',
  'WHERE false UNION ALL
SELECT g.id, r.rolname, n.nspname, c.relname, a.attname, g.prefix, o.rolname, NULL, NULL, NULL, NULL, NULL, g.reason, g.granted_at, g.granted_by
FROM cdc.read_grant g JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) g.role
  LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) g.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.=) g.attnum AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) g.giver
WHERE (g.relation IS NULL) OPERATOR(pg_catalog.=) (c.oid IS NULL) AND (g.attnum IS NULL) OPERATOR(pg_catalog.=) (a.attnum IS NULL)
  AND (g.giver IS NULL) OPERATOR(pg_catalog.=) (o.oid IS NULL)
UNION ALL
SELECT id, role_name, schema_name, table_name, column_name, prefix, giver_name, NULL, NULL, NULL, NULL, NULL, reason, granted_at, granted_by
FROM cdc.read_grant WHERE role IS NULL');
SELECT pg_catalog.pg_extension_config_dump('cdc.read_grant_id_seq', '');
COMMENT ON SEQUENCE cdc.read_grant_id_seq IS 'Numbers of the rows of cdc.read_grant';

CREATE TABLE cdc.read_grant_dropped (
  id bigint PRIMARY KEY,
  lsn pg_lsn NOT NULL
);
REVOKE ALL ON cdc.read_grant_dropped FROM PUBLIC;
COMMENT ON TABLE cdc.read_grant_dropped IS
  'Rows of cdc.read_grant whose tables were dropped, and where in the WAL: they count for changes that wait until no slot of this database needs what was before.';


CREATE VIEW cdc.read_grants AS
SELECT g.id, r.rolname AS role, n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name, g.prefix,
       coalesce(o.rolname, pg_catalog.pg_get_userbyid(CASE WHEN g.prefix IS NULL THEN c.relowner
         ELSE (SELECT e.extowner FROM pg_catalog.pg_extension e WHERE e.extname = 'cdc') END)) AS giver,
       o.oid IS NULL OR pg_catalog.pg_has_role(o.oid, c.relowner, 'USAGE')
         OR (NOT c.relrowsecurity
             AND (pg_catalog.has_table_privilege(o.oid, c.oid, 'SELECT WITH GRANT OPTION')
                  OR (g.attnum IS NOT NULL AND pg_catalog.has_column_privilege(o.oid, c.oid, g.attnum, 'SELECT WITH GRANT OPTION')))) AS counts,
       g.bound, g.reason, g.granted_at, g.granted_by
FROM (SELECT b.id, b.role, b.relation, b.attnum, b.giver, b.prefix, true AS bound, b.reason, b.granted_at, b.granted_by, b.giver IS NOT NULL AS named
      FROM cdc.read_grant b WHERE b.role IS NOT NULL
      UNION ALL
      SELECT u.id, r.oid, c.oid, a.attnum, o.oid, u.prefix, false, u.reason, u.granted_at, u.granted_by, u.giver_name IS NOT NULL
      FROM cdc.read_grant u JOIN pg_catalog.pg_roles r ON r.rolname = u.role_name
        LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema_name
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.table_name
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = u.column_name AND a.attnum > 0
        LEFT JOIN pg_catalog.pg_roles o ON o.rolname = u.giver_name
      WHERE u.role IS NULL AND (u.table_name IS NULL) = (c.oid IS NULL) AND (u.column_name IS NULL) = (a.attnum IS NULL)) g
  JOIN pg_catalog.pg_roles r ON r.oid = g.role
  LEFT JOIN pg_catalog.pg_class c ON c.oid = g.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = g.attnum AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_roles o ON o.oid = g.giver
WHERE (g.prefix IS NULL) = (c.oid IS NOT NULL) AND (g.attnum IS NULL) = (a.attnum IS NULL) AND g.named = (o.oid IS NOT NULL)
  AND NOT EXISTS (SELECT FROM cdc.read_grant_dropped d WHERE d.id = g.id);
REVOKE ALL ON cdc.read_grants FROM PUBLIC;
COMMENT ON VIEW cdc.read_grants IS
  'What roles may be sent without being able to SELECT it, by the names of now: tables, columns of them, or logical messages with a prefix. Grants to roles, and on tables, that are not there are not listed.';
COMMENT ON COLUMN cdc.read_grants.id IS 'Number of the grant.';
COMMENT ON COLUMN cdc.read_grants.role IS 'Who is sent it, with its members.';
COMMENT ON COLUMN cdc.read_grants.schema_name IS 'Schema of the table.';
COMMENT ON COLUMN cdc.read_grants.table_name IS 'The table; NULL = the grant is for messages.';
COMMENT ON COLUMN cdc.read_grants.column_name IS 'The column; NULL = all, later ones too.';
COMMENT ON COLUMN cdc.read_grants.prefix IS 'Prefix of the logical messages; NULL = the grant is for a table.';
COMMENT ON COLUMN cdc.read_grants.giver IS 'Whose grant it is; those of the owner are those of whoever owns the table now.';
COMMENT ON COLUMN cdc.read_grants.counts IS 'The giver may still give it.';
COMMENT ON COLUMN cdc.read_grants.bound IS 'Known by numbers; after a restore by names, until cdc.bind_grants() or the next grant.';
COMMENT ON COLUMN cdc.read_grants.reason IS 'What was given as the reason.';
COMMENT ON COLUMN cdc.read_grants.granted_at IS 'When it was given.';
COMMENT ON COLUMN cdc.read_grants.granted_by IS 'Who called cdc.grant_read().';

CREATE FUNCTION cdc.grant_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_grant_read';
REVOKE ALL ON FUNCTION cdc.grant_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.grant_read(regclass, regrole, name[], text, text) IS
  'Lets a role, and its members, be sent the rows of a table, or only those columns (NULL = all, later ones too), as rules of redaction leave them; or the logical messages with a prefix. It does not let the role SELECT. Needs the right to act for the table''s owner, or SELECT WITH GRANT OPTION. ERROR 42501 without it, 22023 or 42703 for wrong arguments. More: docs/reference.md.';

CREATE FUNCTION cdc.revoke_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_revoke_read';
REVOKE ALL ON FUNCTION cdc.revoke_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.revoke_read(regclass, regrole, name[], text, text) IS
  'Takes back what cdc.grant_read() gave, also for changes that are not read yet: all of a table, or the columns given; or a prefix. Streams know it from the next transaction on. What the role may SELECT it is still sent. Who acts for the owner takes back everybody''s grants, others their own. ERROR 42501 without the right to, 42704 where nothing was granted.';

CREATE FUNCTION cdc.bind_grants()
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  g cdc.read_grant;
  bound bigint := 0;
BEGIN
  PERFORM cdc.require_primary('cdc.bind_grants()');
  FOR g IN SELECT * FROM cdc.read_grant WHERE role IS NULL FOR UPDATE SKIP LOCKED LOOP
    g.role := (SELECT oid FROM pg_roles WHERE rolname = g.role_name);
    g.relation := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = g.schema_name AND c.relname = g.table_name);
    g.attnum := (SELECT attnum FROM pg_attribute WHERE attrelid = g.relation AND attname = g.column_name AND attnum > 0 AND NOT attisdropped);
    g.giver := (SELECT oid FROM pg_roles WHERE rolname = g.giver_name);
    g.given_at := pg_current_wal_insert_lsn();
    CONTINUE WHEN g.role IS NULL OR num_nulls(g.relation, g.table_name) = 1 OR num_nulls(g.attnum, g.column_name) = 1
      OR num_nulls(g.giver, g.giver_name) = 1;
    PERFORM cdc.put_row(g);
    bound := bound + 1;
  END LOOP;
  RETURN bound;
END $$;
REVOKE ALL ON FUNCTION cdc.bind_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.bind_grants() IS
  'Gives numbers to grants that a restore has brought with names alone, so that from then on they follow roles and tables that are renamed; returns how many. To be called after a restore; DDL and cdc.grant_read() do it, too. What has no role, table or column of its name stays, and counts once there is one.';

-- What no longer is about anything, or waits for no slot.
CREATE FUNCTION cdc.prune_grants()
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  needed pg_lsn := (SELECT min(restart_lsn) FROM pg_replication_slots WHERE plugin = 'cdc' AND database = current_database());
  g cdc.read_grant;
  d cdc.read_grant_dropped;
BEGIN
  PERFORM cdc.require_primary('cdc.prune_grants()');
  FOR g IN SELECT * FROM cdc.read_grant t WHERE t.role IS NOT NULL
      AND (NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.role)
        OR (t.giver IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.giver))
        OR EXISTS (SELECT FROM cdc.read_grant_dropped x WHERE x.id = t.id AND (needed IS NULL OR x.lsn <= needed))
        OR (t.relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
            AND NOT EXISTS (SELECT FROM cdc.read_grant_dropped x WHERE x.id = t.id)))
      FOR UPDATE SKIP LOCKED LOOP
    PERFORM cdc.drop_row(g);
  END LOOP;
  FOR d IN SELECT * FROM cdc.read_grant_dropped x WHERE NOT EXISTS (SELECT FROM cdc.read_grant t WHERE t.id = x.id) FOR UPDATE SKIP LOCKED LOOP
    PERFORM cdc.drop_row(d);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.prune_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.prune_grants() IS
  'Removes grants to roles, by roles and on tables that are not there any more, but those on dropped tables of which changes wait in a slot. Called by functions that write grants.';

-- A table's grants go with it: another one may get the number. What waits of it is still
-- sent to whom its owner had it sent.
CREATE FUNCTION cdc.forget_grants()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  gone oid[] := ARRAY(SELECT objid FROM pg_event_trigger_dropped_objects() WHERE classid = 'pg_class'::regclass AND objsubid = 0);
  g cdc.read_grant;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.read_grant WHERE relation = ANY (gone)) THEN
    RETURN;
  END IF;
  FOR g IN SELECT * FROM cdc.read_grant WHERE relation = ANY (gone) FOR UPDATE SKIP LOCKED LOOP
    IF g.giver IS NOT NULL OR EXISTS (SELECT FROM cdc.read_grant_dropped d WHERE d.id = g.id) THEN
      PERFORM cdc.drop_row(g);
    ELSE
      PERFORM cdc.put_row((g.id, pg_current_wal_insert_lsn())::cdc.read_grant_dropped);
    END IF;
    PERFORM cdc.put_row(jsonb_populate_record(NULL::cdc.redaction_audit, jsonb_build_object('id', gen_random_uuid(), 'at', clock_timestamp(),
      'by', session_user, 'about', 'read_grant', 'action', 'DROP', 'rule', jsonb_build_object('role', g.role_name,
        'relation', format('%I.%I', g.schema_name, g.table_name), 'column_name', g.column_name, 'giver', g.giver_name, 'reason', g.reason))));
  END LOOP;
  PERFORM cdc.prune_grants();
END $$;
REVOKE ALL ON FUNCTION cdc.forget_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.forget_grants() IS 'Event trigger function: ends what was granted on dropped tables.';
CREATE EVENT TRIGGER cdc_forget_grants ON sql_drop EXECUTE FUNCTION cdc.forget_grants();
ALTER EVENT TRIGGER cdc_forget_grants ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_forget_grants IS 'Ends what cdc.grant_read() gave on tables that are dropped.';

-- Before names change.
CREATE FUNCTION cdc.bind_grants_before()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM cdc.read_grant WHERE role IS NULL) AND NOT current_setting('transaction_read_only')::boolean THEN
    PERFORM cdc.bind_grants();
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.bind_grants_before() FROM PUBLIC;
COMMENT ON FUNCTION cdc.bind_grants_before() IS 'Event trigger function: cdc.bind_grants(), before DDL gives names to something else.';
CREATE EVENT TRIGGER cdc_bind_grants ON ddl_command_start EXECUTE FUNCTION cdc.bind_grants_before();
ALTER EVENT TRIGGER cdc_bind_grants ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_bind_grants IS 'Lets grants that a restore has brought follow what is renamed.';

-- Reports

-- What cdc.security_report() is put together from. None of it locks a table, or runs what
-- belongs to the roles that are reported.
CREATE FUNCTION cdc.report_edges(OUT member oid, OUT roleid oid, OUT statement text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- from 16 on a membership can be granted by several roles
  SELECT m.member, m.roleid,
    format('REVOKE %I FROM %I%s%s', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member),
      CASE WHEN current_setting('server_version_num')::int >= 160000 THEN format(' GRANTED BY %I', pg_get_userbyid(m.grantor)) END,
      CASE WHEN m.admin_option THEN ' CASCADE' END)
  FROM pg_auth_members m
  UNION ALL
  -- the owner of the database has to be another role
  SELECT d.datdba, r.oid, NULL
  FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = 'pg_database_owner'
$$;
REVOKE ALL ON FUNCTION cdc.report_edges() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_edges() IS 'For cdc.security_report(): memberships, and the statement that ends one; NULL = none does.';

CREATE FUNCTION cdc.report_reach(OUT role oid, OUT via oid)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- SET ROLE gets at what is not inherited
  WITH RECURSIVE edge AS MATERIALIZED (SELECT e.member, e.roleid FROM cdc.report_edges() e), reach(role, via) AS (
    SELECT oid, oid FROM pg_roles
    UNION
    SELECT r.role, e.roleid FROM reach r JOIN edge e ON e.member = r.via
  )
  SELECT r.role, r.via FROM reach r
$$;
REVOKE ALL ON FUNCTION cdc.report_reach() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_reach() IS 'For cdc.security_report(): the roles that each role can become.';

CREATE FUNCTION cdc.report_consumers(OUT role oid, OUT rolname name, OUT rolsuper boolean, OUT named boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH reader(role) AS MATERIALIZED (
    SELECT r.oid FROM cdc.slots s JOIN pg_roles r ON r.rolname = s.reader
    UNION
    SELECT r.oid FROM cdc.read_grants g JOIN pg_roles r ON r.rolname = g.role
  ), named(role) AS (                    -- whose rows close what their members do through them
    SELECT role FROM reader
    UNION
    SELECT oid FROM pg_roles WHERE rolreplication AND NOT rolsuper
  )
  SELECT r.oid, r.rolname, r.rolsuper, r.oid IN (SELECT role FROM named)
  FROM pg_roles r
  WHERE r.oid IN (SELECT role FROM named)
     OR (r.rolcanlogin AND NOT r.rolsuper
         AND r.oid IN (SELECT m.role FROM cdc.report_reach() m JOIN reader ON reader.role = m.via))
$$;
REVOKE ALL ON FUNCTION cdc.report_consumers() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_consumers() IS
  'For cdc.security_report(): the readers of slots, who was granted something, their members who can log in, and the roles with REPLICATION that are no superusers. named: not only a member.';

CREATE FUNCTION cdc.report_memberships(OUT role oid, OUT rolname name, OUT via oid, OUT via_name name, OUT rolsuper boolean,
  OUT rolreplication boolean, OUT rolcreaterole boolean, OUT through text, OUT own boolean, OUT leave text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH consumer AS MATERIALIZED (SELECT c.role, c.rolname, c.rolsuper, c.named FROM cdc.report_consumers() c),
  reach AS MATERIALIZED (SELECT r.role, r.via FROM cdc.report_reach() r),
  named AS (SELECT role FROM consumer WHERE named),
  leave AS (                             -- ends a membership, by what no other consumer's row is for
    SELECT m.role, m.via,
      CASE WHEN bool_and(e.statement IS NOT NULL) THEN array_agg(DISTINCT e.statement ORDER BY e.statement) END AS statements
    FROM reach m JOIN consumer c ON c.role = m.role
      JOIN reach g ON g.role = m.role AND (g.via = m.role OR g.via IN (SELECT role FROM named))
      JOIN cdc.report_edges() e ON e.member = g.via AND (e.roleid = m.via OR e.roleid NOT IN (SELECT role FROM named))
      JOIN reach x ON x.role = e.roleid AND x.via = m.via
    WHERE m.role <> m.via
    GROUP BY m.role, m.via
  )
  SELECT c.role, c.rolname, m.via, r.rolname, r.rolsuper, r.rolreplication, r.rolcreaterole,
    CASE WHEN m.via = c.role THEN '' ELSE format('as a member of %I: ', r.rolname) END,
    m.via = c.role OR m.via IN (SELECT role FROM named), l.statements
  FROM consumer c JOIN reach m ON m.role = c.role JOIN pg_roles r ON r.oid = m.via
    LEFT JOIN leave l ON l.role = c.role AND l.via = m.via
  WHERE NOT c.rolsuper
$$;
REVOKE ALL ON FUNCTION cdc.report_memberships() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_memberships() IS
  'For cdc.security_report(): the roles of each consumer that is no superuser, itself too. own: what closes a way is taken from that role; otherwise leave, the statements that end the membership.';

CREATE FUNCTION cdc.report_redacted(OUT relid oid, OUT name text, OUT owner oid, OUT acl aclitem[], OUT columns name[], OUT list text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE covered(relid, attname) AS (  -- by rules, and what shows the same through inheritance
    SELECT k.relid, k.attname FROM cdc.redaction_covered k
    UNION
    SELECT i.inhparent, v.attname FROM covered v JOIN pg_inherits i ON i.inhrelid = v.relid
      JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = v.attname
  )
  SELECT t.oid, format('%I.%I', n.nspname, t.relname), t.relowner, t.relacl,
    array_agg(v.attname ORDER BY a.attnum), string_agg(quote_ident(v.attname), ', ' ORDER BY a.attnum)
  FROM covered v JOIN pg_class t ON t.oid = v.relid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = v.attname
  GROUP BY t.oid, n.nspname, t.relname, t.relowner, t.relacl
$$;
REVOKE ALL ON FUNCTION cdc.report_redacted() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_redacted() IS 'For cdc.security_report(): tables with columns that rules cover, and those columns.';

CREATE FUNCTION cdc.report_data_grants(OUT way text, OUT detail text, OUT what text, OUT owner oid, OUT grantee oid, OUT grantor oid, OUT grantable boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH redacted AS MATERIALIZED (SELECT r.relid, r.name, r.owner, r.acl, r.columns, r.list FROM cdc.report_redacted() r)
  -- its owner needs no grant
  SELECT 'owner of a redacted table', format('owns %s, and so reads %s: let another role be the consumer', t.name, t.list),
    NULL, t.owner, t.owner, t.owner, false
  FROM redacted t
  UNION ALL
  SELECT x.privilege_type || ' on a redacted table',
    CASE x.privilege_type WHEN 'SELECT' THEN 'reads' ELSE 'a trigger sees' END || format(' %s of %s', t.list, t.name),
    format('%s ON TABLE %s', x.privilege_type, t.name), t.owner, x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM redacted t CROSS JOIN aclexplode(t.acl) x
  WHERE x.privilege_type IN ('SELECT', 'TRIGGER') AND x.grantee <> t.owner
  GROUP BY x.privilege_type, t.list, t.name, t.owner, x.grantee, x.grantor
  UNION ALL
  SELECT 'SELECT on a redacted column',
    format('reads %s of %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name),
    format('SELECT (%s) ON TABLE %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name), t.owner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM redacted t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = ANY (t.columns) CROSS JOIN aclexplode(a.attacl) x
  WHERE x.privilege_type = 'SELECT' AND x.grantee <> t.owner
  GROUP BY t.name, t.owner, x.grantee, x.grantor
  UNION ALL
  SELECT 'the secret of hashes', format('reads secret %s, with which it can try what a hash is of', s.number),
    format('ALL ON LARGE OBJECT %s', l.oid), l.lomowner, x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object CROSS JOIN aclexplode(l.lomacl) x
  WHERE x.grantee <> l.lomowner
  GROUP BY s.number, l.oid, l.lomowner, x.grantee, x.grantor
$$;
REVOKE ALL ON FUNCTION cdc.report_data_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_data_grants() IS 'For cdc.security_report(): what is granted on redacted tables and on secrets, of whom and to whom; and, with what = NULL, who owns redacted tables.';

CREATE FUNCTION cdc.report_server_grants(OUT way text, OUT detail text, OUT what text, OUT owner oid, OUT grantee oid, OUT grantor oid, OUT grantable boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH cdc_object AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cdc'
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  )
  SELECT 'administrative functions',
    'may call ' || string_agg('cdc.' || p.proname, ', ' ORDER BY p.proname),
    'EXECUTE ON FUNCTION ' || string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.proname), p.proowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
    CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
  WHERE x.grantee <> p.proowner
    -- what consumers need; the last ones do no more than REPLICATION lets them do without
    AND p.proname NOT IN ('fetch', 'snapshot', 'snapshot_chunks', 'fingerprint', 'table_schema', 'proto', 'decode',
      'decode_json', 'set_metadata', 'set_traceparent', 'slot_counters', 'library_version', 'missing_tables', 'create_slot', 'copy_slot', 'advance_slot', 'drop_slot', 'peek', 'read')
  GROUP BY p.proowner, x.grantee, x.grantor
  UNION ALL
  SELECT 'tables of cdc', format('may %s on cdc.%I', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type), t.relname),
    format('%s ON %s cdc.%I', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type),
      CASE t.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, t.relname), t.relowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid CROSS JOIN aclexplode(t.relacl) x
  WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
  GROUP BY t.relname, t.relkind, t.relowner, x.grantee, x.grantor
  UNION ALL
  SELECT 'tables of cdc', format('may %s columns of cdc.%I', x.privilege_type, t.relname),
    format('%s (%s) ON TABLE cdc.%I', x.privilege_type, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.relname), t.relowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid
    JOIN pg_attribute a ON a.attrelid = t.oid CROSS JOIN aclexplode(a.attacl) x
  WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
  GROUP BY t.relname, t.relowner, x.privilege_type, x.grantee, x.grantor
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
$$;
REVOKE ALL ON FUNCTION cdc.report_server_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_server_grants() IS 'For cdc.security_report(): what is granted on the extension''s objects, files of the server and settings, of whom and to whom.';

CREATE FUNCTION cdc.report_owned(OUT way text, OUT detail text, OUT owner oid)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- To take an object over would let code of its owner (indexes, triggers, defaults) run as
  -- the new one: no statement does it.
  SELECT 'the secret of hashes', CASE WHEN l.lomowner = e.extowner THEN format('owns secret %s, with which it can try what a hash is of', s.number)
    ELSE format('owns secret %s, with which it can try what a hash is of; it is not used any more: SELECT cdc.rotate_redaction_secret() makes another one', s.number) END, l.lomowner
  FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object CROSS JOIN pg_extension e
  WHERE e.extname = 'cdc'
  UNION ALL
  SELECT 'owner of cdc', format('owns %s', string_agg(pg_describe_object(o.classid, o.objid, 0), ', ' ORDER BY o.classid, o.objid)), o.owner
  FROM (SELECT 'pg_extension'::regclass AS classid, e.oid AS objid, e.extowner AS owner FROM pg_extension e WHERE e.extname = 'cdc'
        UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspowner FROM pg_namespace n WHERE n.nspname = 'cdc'
        UNION ALL SELECT d.classid, d.objid, coalesce(t.relowner, p.proowner)
          FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cdc'
            LEFT JOIN pg_class t ON d.classid = 'pg_class'::regclass AND t.oid = d.objid
            LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
          WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)) o
  GROUP BY o.owner
$$;
REVOKE ALL ON FUNCTION cdc.report_owned() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_owned() IS 'For cdc.security_report(): who owns secrets and objects of the extension.';

CREATE FUNCTION cdc.report_configured(OUT name text, OUT value text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- whatever this session's are
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
  RETURN QUERY SELECT j.key, j.value FROM jsonb_each_text(configured) j;
END $$;
REVOKE ALL ON FUNCTION cdc.report_configured() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_configured() IS 'For cdc.security_report(): settings that protect, as the server''s own configuration has them.';

CREATE FUNCTION cdc.report_settings(OUT role oid, OUT name text, OUT value text, OUT is_off boolean, OUT set_by text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.role, k.name, coalesce(s.value, f.value), coalesce(s.value, f.value) ~* '^(off?|f(a(l(se?)?)?)?|no?|0)$',
    CASE WHEN s.value IS NULL THEN '' ELSE format(' (by ALTER %s SET)', s.target) END,
    CASE WHEN s.value IS NULL THEN
      CASE WHEN k.name ~ '^cdc' THEN ARRAY['LOAD ''cdc'''] ELSE '{}' END
        || ARRAY[format('ALTER SYSTEM SET %s = %s', k.name, k.safe), 'SELECT pg_reload_conf()']
    ELSE ARRAY[format('ALTER %s RESET %s', s.target, k.name)] END
  FROM cdc.report_consumers() c
    CROSS JOIN (VALUES ('cdc.check_privileges', 'on'), ('lo_compat_privileges', 'off'), ('output_plugin_libraries', 'cdc')) k(name, safe)
    LEFT JOIN cdc.report_configured() f ON f.name = k.name
    LEFT JOIN LATERAL (
      SELECT substr(e.entry, strpos(e.entry, '=') + 1) AS value,
        CASE WHEN d.setrole <> 0 AND d.setdatabase <> 0 THEN format('ROLE %I IN DATABASE %I', c.rolname, current_database())
             WHEN d.setrole <> 0 THEN format('ROLE %I', c.rolname)
             WHEN d.setdatabase <> 0 THEN format('DATABASE %I', current_database()) ELSE 'ROLE ALL' END AS target
      FROM pg_db_role_setting d CROSS JOIN unnest(d.setconfig) e(entry)
      WHERE d.setrole IN (0, c.role) AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND lower(split_part(e.entry, '=', 1)) = k.name
      ORDER BY (d.setrole <> 0 AND d.setdatabase <> 0) DESC, d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1) s ON true
  WHERE NOT c.rolsuper AND (s.value IS NOT NULL OR f.name IS NOT NULL)
$$;
REVOKE ALL ON FUNCTION cdc.report_settings() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_settings() IS 'For cdc.security_report(): settings that protect, as a consumer''s session begins with them, and the statements that make them safe.';

CREATE FUNCTION cdc.report_role_ways(OUT role oid, OUT way text, OUT detail text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH via AS MATERIALIZED (SELECT m.role, m.via_name, m.rolsuper, m.rolreplication, m.rolcreaterole, m.through, m.own, m.leave FROM cdc.report_memberships() m),
  plugins AS (                           -- others than cdc
    SELECT s.role, string_agg(l.name, ', ') AS names, s.set_by, s.statements
    FROM cdc.report_settings() s CROSS JOIN unnest(string_to_array(s.value, ',')) u(entry) CROSS JOIN trim(u.entry, ' "''') AS l(name)
    WHERE s.name = 'output_plugin_libraries' AND l.name NOT IN ('cdc', '')
    GROUP BY s.role, s.set_by, s.statements
  ), knows(plugins) AS (SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'output_plugin_libraries'))
  SELECT c.role, 'superuser', 'is one: nothing but redaction in cdc''s own output limits it',
    CASE WHEN c.role <> 10 THEN ARRAY[format('ALTER ROLE %I NOSUPERUSER', c.rolname)] END
  FROM cdc.report_consumers() c WHERE c.rolsuper
  UNION ALL
  SELECT v.role, 'superuser', v.through || 'becomes one by SET ROLE', v.leave FROM via v WHERE v.rolsuper
  UNION ALL
  SELECT v.role, 'REPLICATION', v.through || 'copies the whole cluster (BASE_BACKUP), reads from and drops any slot; cdc.fetch() needs none of that',
    CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
  FROM via v WHERE v.rolreplication AND NOT v.rolsuper
  UNION ALL
  SELECT v.role, 'other output plugins',
    v.through || CASE WHEN k.plugins THEN format('output_plugin_libraries allows %s%s', p.names, p.set_by)
      ELSE 'this server allows all; PostgreSQL 15.19, 16.15, 17.11 and 18.6 have output_plugin_libraries: install the newest minor release' END,
    CASE WHEN k.plugins THEN p.statements
         WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
  FROM via v CROSS JOIN knows k LEFT JOIN plugins p ON p.role = v.role
  WHERE v.rolreplication AND NOT v.rolsuper AND (p.role IS NOT NULL OR NOT k.plugins)
  UNION ALL
  SELECT v.role, 'CREATEROLE', v.through || 'grants itself any role but superusers, before PostgreSQL 16',
    CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOCREATEROLE', v.via_name)] ELSE v.leave END
  FROM via v WHERE v.rolcreaterole AND NOT v.rolsuper AND current_setting('server_version_num')::int < 160000
  UNION ALL
  SELECT v.role, v.via_name, k.detail, v.leave
  FROM via v JOIN (VALUES
    ('pg_read_all_data', 'reads every table'),
    ('pg_write_all_data', 'changes the rules and grants in cdc''s tables'),
    ('pg_read_server_files', 'reads the files of the server'),
    ('pg_write_server_files', 'writes the files of the server'),
    ('pg_execute_server_program', 'runs programs as the server''s user'),
    ('pg_read_all_stats', 'sees other sessions'' statements, with their values')) k(name, detail) ON k.name = v.via_name
$$;
REVOKE ALL ON FUNCTION cdc.report_role_ways() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_role_ways() IS 'For cdc.security_report(): ways around that attributes and memberships open.';

CREATE FUNCTION cdc.security_report(OUT role name, OUT way text, OUT detail text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH via AS MATERIALIZED (SELECT m.role, m.via, m.rolsuper, m.rolreplication, m.through, m.own, m.leave FROM cdc.report_memberships() m),
  grantee AS (
    SELECT v.role, v.via, v.through, v.rolsuper, CASE WHEN NOT v.own THEN v.leave END AS leave FROM via v
    UNION ALL
    SELECT DISTINCT v.role, 0::oid, 'as everyone (PUBLIC): ', false, NULL::text[] FROM via v
  ), found AS (
    SELECT r.role, r.way, r.detail, r.statements FROM cdc.report_role_ways() r
    UNION ALL
    SELECT v.role, o.way, v.through || o.detail, CASE WHEN NOT v.own THEN v.leave END
    FROM cdc.report_owned() o JOIN via v ON v.via = o.owner WHERE NOT v.rolsuper
    UNION ALL
    SELECT g.role, a.way, g.through || a.detail, CASE WHEN a.what IS NULL THEN g.leave ELSE
        CASE WHEN a.grantor <> a.owner THEN ARRAY[format('SET ROLE %I', pg_get_userbyid(a.grantor))] ELSE '{}' END
        || format('REVOKE %s FROM %s%s', a.what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                  CASE WHEN a.grantable THEN ' CASCADE' END)
        || CASE WHEN a.grantor <> a.owner THEN ARRAY['RESET ROLE'] ELSE '{}' END END
    FROM (SELECT * FROM cdc.report_data_grants() UNION ALL SELECT * FROM cdc.report_server_grants()) a
      JOIN grantee g ON g.via = a.grantee
    WHERE a.what IS NOT NULL OR NOT g.rolsuper
    UNION ALL
    SELECT s.role, 'cdc.check_privileges is off', 'having REPLICATION, is sent every table, whatever it may SELECT or was granted' || s.set_by, s.statements
    FROM cdc.report_settings() s
    WHERE s.role IN (SELECT v.role FROM via v WHERE v.rolreplication) AND s.name = 'cdc.check_privileges' AND s.is_off
    UNION ALL
    SELECT s.role, 'the secret of hashes', 'lo_compat_privileges is on: reads all large objects' || s.set_by, s.statements
    FROM cdc.report_settings() s WHERE s.name = 'lo_compat_privileges' AND NOT s.is_off
      AND EXISTS (SELECT FROM cdc.redaction_secret)
  )
  SELECT r.rolname, f.way, f.detail, f.statements
  FROM found f JOIN pg_roles r ON r.oid = f.role
  ORDER BY r.rolname, f.way, f.detail
$$;
REVOKE ALL ON FUNCTION cdc.security_report() FROM PUBLIC;
COMMENT ON FUNCTION cdc.security_report() IS
  'The ways around cdc that are open on this server, a row for each consumer and way. statements: what closes it, for a superuser (SELECT unnest(statements) FROM cdc.security_report() \gexec); NULL where no statement does. No rows: nothing is known to be open. What it looks at, and what not: docs/security.md.';

-- What rules leave open: one function for each kind of finding, over the rules that count

CREATE TYPE cdc.effective_rule AS (
  relid oid, attnum int2, column_name name, rule_id bigint, method text, rank int, path text, call text, rivals text
);
REVOKE ALL ON TYPE cdc.effective_rule FROM PUBLIC;
COMMENT ON TYPE cdc.effective_rule IS
  'The rule that counts for a column. call: what cdc.redact() is given for it after the column; rivals: the rules of the same rank that say something else, and it, if there are any.';
CREATE TYPE cdc.redaction_finding AS (
  relation regclass, column_name name, rule_id bigint, finding text, detail text, advice text
);
REVOKE ALL ON TYPE cdc.redaction_finding FROM PUBLIC;
COMMENT ON TYPE cdc.redaction_finding IS 'A row of cdc.redaction_report().';

CREATE FUNCTION cdc.effective_rules()
RETURNS SETOF cdc.effective_rule LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH rule AS MATERIALIZED (
  SELECT r.id, r.method, r.path, coalesce(m.rank, 0) AS rank,
    concat(quote_literal(r.method), ', value => ' || quote_literal(r.value), ', length => ' || r.length, ', prefix => ' || r.prefix,
      ', suffix => ' || r.suffix, ', filler => ' || quote_literal(nullif(r.filler, '*')), ', path => ' || quote_literal(r.path)) AS call
  FROM cdc.redaction_rule r LEFT JOIN cdc.redaction_methods() m ON m.name = r.method
  WHERE r.removed_at IS NULL
), covered AS (
  SELECT k.relid, k.attnum, k.attname, r.*, max(r.rank) OVER (PARTITION BY k.relid, k.attnum) AS highest
  FROM cdc.redaction_covered k JOIN rule r ON r.id = k.rule_id
)
SELECT DISTINCT ON (c.relid, c.attnum) c.relid, c.attnum, c.attname, c.id, c.method, c.rank, c.path, c.call,
  CASE WHEN min(c.call) FILTER (WHERE c.path IS NULL) OVER same <> max(c.call) FILTER (WHERE c.path IS NULL) OVER same
    THEN string_agg(c.id::text, ', ') FILTER (WHERE c.path IS NULL) OVER same END
FROM covered c
WHERE c.rank = c.highest
WINDOW same AS (PARTITION BY c.relid, c.attnum ORDER BY c.id::text ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY c.relid, c.attnum, c.id
$$;
REVOKE ALL ON FUNCTION cdc.effective_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.effective_rules() IS
  'For each column that rules of redaction cover, the one that counts. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_generated_columns(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH made AS (                           -- g of attnum: the expression depends on it, or, in newer releases, the column
  SELECT d.refobjid AS relid, d.refobjsubid AS attnum, f.adnum AS g
  FROM pg_depend d JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refobjid = f.adrelid
  WHERE d.refclassid = 'pg_class'::regclass
  UNION
  SELECT d.refobjid, d.refobjsubid, d.objsubid
  FROM pg_depend d
  WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.objid = d.refobjid
)
SELECT e.relid, g.attname, e.rule_id, 'generated column', format('made of %I, which the rule covers, and sent as it is', e.column_name),
  format('SELECT cdc.redact(%L, %L, ''drop'')', e.relid::regclass, g.attname)
FROM unnest(rules) e JOIN made m ON m.relid = e.relid AND m.attnum = e.attnum AND m.g <> e.attnum
  JOIN pg_attribute g ON g.attrelid = e.relid AND g.attnum = m.g AND g.attgenerated = 's' AND NOT g.attisdropped
WHERE NOT EXISTS (SELECT FROM unnest(rules) x WHERE x.relid = g.attrelid AND x.attnum = g.attnum)
$$;
REVOKE ALL ON FUNCTION cdc.report_generated_columns(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_generated_columns(cdc.effective_rule[]) IS
  'Generated columns that are made of redacted ones, without a rule. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_row_filters(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'row filter',
  format('the row filter of publication %I depends on it: which rows are sent shows what the value is like', p.pubname),
  'filter by another column'
FROM unnest(rules) e JOIN pg_publication_rel pr ON pr.prrelid = e.relid AND pr.prqual IS NOT NULL
  JOIN pg_publication p ON p.oid = pr.prpubid
WHERE EXISTS (
  SELECT FROM pg_depend d
  WHERE d.classid = 'pg_publication_rel'::regclass AND d.objid = pr.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = e.relid AND d.refobjsubid = e.attnum)
$$;
REVOKE ALL ON FUNCTION cdc.report_row_filters(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_row_filters(cdc.effective_rule[]) IS
  'Redacted columns that row filters of publications depend on. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_foreign_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH foreign_key AS MATERIALIZED (       -- both ways
  SELECT k.conrelid AS relid, u.attnum, k.confrelid AS other, u.other_attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
  UNION ALL
  SELECT k.confrelid, u.other_attnum, k.conrelid, u.attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
)
SELECT e.relid, e.column_name, e.rule_id, 'foreign key',
  format('%s has the same values in %I (%I), %s', t.relid::regclass, o.attname, k.conname,
    CASE WHEN x.rule_id IS NULL THEN 'and no rule' ELSE format('where %s shows more of them', x.method) END),
  format('SELECT cdc.redact(%L, %L, %s)', t.relid::regclass, o.attname, e.call)
FROM unnest(rules) e JOIN foreign_key k ON k.relid = e.relid AND k.attnum = e.attnum
  JOIN cdc.redactable_table t ON t.relid = k.other
  JOIN pg_attribute o ON o.attrelid = k.other AND o.attnum = k.other_attnum
  LEFT JOIN unnest(rules) x ON x.relid = k.other AND x.attnum = k.other_attnum
WHERE x.rule_id IS NULL OR x.rank < e.rank
$$;
REVOKE ALL ON FUNCTION cdc.report_foreign_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_foreign_keys(cdc.effective_rule[]) IS
  'Columns at the other end of a foreign key of a redacted one that show more of its values. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_few_values(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH hashed AS (
  SELECT e.relid, e.column_name, e.rule_id, t.typtype, coalesce(nullif(t.typbasetype, 0), t.oid) AS type, s.stadistinct
  FROM unnest(rules) e JOIN pg_attribute a ON a.attrelid = e.relid AND a.attnum = e.attnum JOIN pg_type t ON t.oid = a.atttypid
    -- (the view pg_stats looks at every column there is)
    LEFT JOIN pg_statistic s ON s.starelid = e.relid AND s.staattnum = e.attnum AND s.stadistinct BETWEEN 1 AND 1000
  WHERE e.method = 'hash' AND e.path IS NULL
), reason AS (
  SELECT h.*, CASE
    WHEN h.typtype = 'e' THEN 'an enum'
    WHEN h.type IN ('boolean'::regtype, '"char"'::regtype, 'smallint'::regtype, 'date'::regtype) THEN 'a ' || format_type(h.type, NULL)
    WHEN h.stadistinct IS NOT NULL THEN format('%s different values', h.stadistinct) END AS why
  FROM hashed h
)
SELECT r.relid, r.column_name, r.rule_id, 'few values',
  format('%s: who can write the table and read the stream finds out by trying which hash stands for which value', r.why),
  'use mask with a length, constant or drop'
FROM reason r WHERE r.why IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.report_few_values(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_few_values(cdc.effective_rule[]) IS
  'Hashed columns of few different values, by type or as ANALYZE has counted them. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_no_secret(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'no secret', 'the secret of hashes is not there: the value is withheld',
  'restore its large object, or SELECT cdc.rotate_redaction_secret()'
FROM unnest(rules) e
WHERE e.method = 'hash' AND NOT EXISTS (
  SELECT FROM (SELECT s.large_object FROM cdc.redaction_secret s ORDER BY s.number DESC LIMIT 1) s
    JOIN pg_largeobject_metadata l ON l.oid = s.large_object)
$$;
REVOKE ALL ON FUNCTION cdc.report_no_secret(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_no_secret(cdc.effective_rule[]) IS
  'Hashed columns, where the secret of hashes is not there. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'part of the key',
  format('method %s, so that events of the table have no key', e.method),
  'use hash, or another key (REPLICA IDENTITY USING INDEX)'
FROM unnest(rules) e
WHERE (e.method <> 'hash' OR e.path IS NOT NULL) AND (e.relid, e.attnum) IN (
  SELECT i.indrelid, unnest(i.indkey[:i.indnkeyatts - 1])
  FROM pg_index i WHERE (i.indisprimary AND i.indimmediate) OR i.indisreplident)
$$;
REVOKE ALL ON FUNCTION cdc.report_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_keys(cdc.effective_rule[]) IS
  'Redacted columns of keys that are none any more. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_partition_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'partition key',
  'rows are sent under the names of partitions, which show where the value lies',
  'a publication with publish_via_partition_root'
FROM unnest(rules) e JOIN pg_partitioned_table p ON p.partrelid = e.relid AND e.attnum = ANY (p.partattrs)
$$;
REVOKE ALL ON FUNCTION cdc.report_partition_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_partition_keys(cdc.effective_rule[]) IS
  'Redacted columns by which a table is partitioned. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_rivals(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'rules differ',
  format('rules %s are of the same rank: the value is withheld', e.rivals), 'remove all but one'
FROM unnest(rules) e WHERE e.rivals IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.report_rivals(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_rivals(cdc.effective_rule[]) IS
  'Columns with rules that contradict one another. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_idle_rules()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT to_regclass(quote_ident(r.schema_name) || '.' || quote_ident(r.table_name)), r.column_name, r.id, 'covers nothing',
  CASE WHEN r.column_pattern IS NULL THEN 'there is no such column now' ELSE format('no column matches %s now', r.column_pattern) END,
  'unredact it, unless changes of before wait to be read or the column may come again'
FROM cdc.redaction_rule r
WHERE r.removed_at IS NULL AND NOT EXISTS (SELECT FROM cdc.redaction_covered k WHERE k.rule_id = r.id)
$$;
REVOKE ALL ON FUNCTION cdc.report_idle_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_idle_rules() IS 'Rules that cover nothing. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_restored_rules()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT c.oid, NULL::name, m.rule_id, 'restored rule',
  'the rule finds the table, but none of the columns that it was for: all of the table is withheld',
  format('SELECT cdc.redact() for the right column, then SELECT cdc.confirm_rule(%s)', m.rule_id)
FROM cdc.redaction_name m JOIN cdc.redaction_rule r ON r.id = m.rule_id AND r.removed_at IS NULL
  JOIN pg_namespace n ON n.nspname = m.schema_name JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = m.table_name
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = m.column_name
WHERE NOT EXISTS (SELECT FROM cdc.redaction_column k WHERE k.rule_id = m.rule_id AND k.relation = 0)
  AND NOT EXISTS (SELECT FROM cdc.redaction_column k WHERE k.rule_id = m.rule_id AND k.relation = c.oid)
GROUP BY c.oid, m.rule_id
HAVING count(a.attname) = 0
$$;
REVOKE ALL ON FUNCTION cdc.report_restored_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_restored_rules() IS
  'Rules that a restore has brought, whose table has none of their columns. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_names(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT t.relid, a.attname, NULL::bigint, 'no rule', format('the name is like %s', min(p.pattern)), 'a rule, if it is what the name says'
FROM pg_attribute a JOIN cdc.redactable_table t ON t.relid = a.attrelid
  JOIN (VALUES
    ('%password%'), ('%passwd%'), ('%passphrase%'), ('%secret%'), ('%token%'), ('%credential%'), ('%api\_key%'), ('%apikey%'),
    ('%private\_key%'), ('%email%'), ('%e\_mail%'), ('%phone%'), ('%mobile%'), ('%birth%'), ('dob'), ('ssn'), ('ssn\_%'), ('%\_ssn'),
    ('%social\_security%'), ('%passport%'), ('%tax\_id%'), ('%iban%'), ('%card%number%'), ('%credit%card%'), ('%cvv%'), ('%cvc%'),
    ('%salary%'), ('%diagnos%')) p(pattern) ON a.attname::text ILIKE p.pattern
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
  AND NOT t.relispartition
  AND NOT EXISTS (SELECT FROM unnest(rules) e WHERE e.relid = a.attrelid AND e.attnum = a.attnum)
GROUP BY t.relid, a.attname
$$;
REVOKE ALL ON FUNCTION cdc.report_names(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_names(cdc.effective_rule[]) IS
  'Columns without a rule whose names look as if they needed one. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_triggers()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT x.relation, NULL::name, NULL::bigint, 'disabled trigger',
  format('%s does not always run: rules do not follow columns, or are not noticed', x.name), x.statement
FROM (SELECT g.tgrelid::regclass AS relation, g.tgname AS name,
        format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.tgrelid::regclass, g.tgname) AS statement
      FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cdc'::regnamespace)
        AND NOT g.tgisinternal AND g.tgenabled <> 'A'
      UNION ALL
      SELECT NULL, v.evtname, format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', v.evtname)
      FROM pg_event_trigger v JOIN pg_depend d ON d.classid = 'pg_event_trigger'::regclass AND d.objid = v.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'cdc'
      WHERE v.evtenabled <> 'A') x
$$;
REVOKE ALL ON FUNCTION cdc.report_triggers() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_triggers() IS 'Triggers of the extension that are disabled. For cdc.redaction_report().';

-- Joins are hashed: neither the arrays nor the extension's tables, which are never
-- analyzed, are known to be long, and a nested loop over them takes time by the square.
CREATE FUNCTION cdc.redaction_report(OUT relation regclass, OUT column_name name, OUT rule_id bigint,
  OUT finding text, OUT detail text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_nestloop = off
AS $$
DECLARE
  rules cdc.effective_rule[] := ARRAY(SELECT e FROM cdc.effective_rules() e);
BEGIN
  RETURN QUERY
  SELECT f.*
  FROM (SELECT * FROM cdc.report_generated_columns(rules)
        UNION ALL SELECT * FROM cdc.report_row_filters(rules)
        UNION ALL SELECT * FROM cdc.report_foreign_keys(rules)
        UNION ALL SELECT * FROM cdc.report_few_values(rules)
        UNION ALL SELECT * FROM cdc.report_no_secret(rules)
        UNION ALL SELECT * FROM cdc.report_keys(rules)
        UNION ALL SELECT * FROM cdc.report_partition_keys(rules)
        UNION ALL SELECT * FROM cdc.report_rivals(rules)
        UNION ALL SELECT * FROM cdc.report_idle_rules()
        UNION ALL SELECT * FROM cdc.report_restored_rules()
        UNION ALL SELECT * FROM cdc.report_names(rules)
        UNION ALL SELECT * FROM cdc.report_triggers()) f
  ORDER BY f.relation::text, f.column_name, f.finding, f.detail, f.rule_id;
END $$;
REVOKE ALL ON FUNCTION cdc.redaction_report() FROM PUBLIC;
COMMENT ON FUNCTION cdc.redaction_report() IS
  'What the rules of redaction still leak or do not cover, and columns without a rule that look as if they needed one. rule_id: the rule that it is about. What a hash, a mask or a part shows by its nature is not a finding. More: docs/reference.md.';

-- Registry of schemas

CREATE FUNCTION cdc.choices(what text)
RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT (CASE what
    WHEN 'mode' THEN '{none,backward,forward,full,backward_transitive,forward_transitive,full_transitive}'
    WHEN 'level' THEN '{wire,file}'
    WHEN 'enforcement' THEN '{off,warn,reject}' END)::text[]
$$;
REVOKE ALL ON FUNCTION cdc.choices(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.choices(text) IS
  'What can be given as mode and level of cdc.register(), and to cdc.set_enforcement() (enforcement). Part of the registry''s own functions.';

CREATE SEQUENCE cdc.registry_id;
REVOKE ALL ON SEQUENCE cdc.registry_id FROM PUBLIC;
COMMENT ON SEQUENCE cdc.registry_id IS 'Numbers of the rows of cdc.registered_table and cdc.schema_detail';
SELECT pg_catalog.pg_extension_config_dump('cdc.registry_id', '');

CREATE TABLE cdc.registered_table (
  id bigint PRIMARY KEY,
  -- as it was called when it was last looked at
  schema_name name NOT NULL,
  table_name name NOT NULL,
  mode text NOT NULL CHECK (mode = ANY (cdc.choices('mode'))),
  level text NOT NULL CHECK (level = ANY (cdc.choices('level'))),
  -- of cdc.schema_detail: what it is, and all that it was
  version bigint NOT NULL,
  versions bigint[] NOT NULL,
  reason text,
  registered_at timestamptz NOT NULL,
  registered_by name NOT NULL
);
CREATE INDEX registered_table_names ON cdc.registered_table (schema_name, table_name);
COMMENT ON INDEX cdc.registered_table_names IS 'Finds what a restore has brought';
REVOKE ALL ON cdc.registered_table FROM PUBLIC;
COMMENT ON TABLE cdc.registered_table IS
  'The tables whose schemas are kept, with their versions. Written by cdc.register(), cdc.unregister(), cdc.refresh_registry() and by DDL.';
SELECT pg_catalog.pg_extension_config_dump('cdc.registered_table', '');

-- Not dumped: after a restore the number is another relation's, or nobody's.
CREATE TABLE cdc.registered_relation (
  relid oid PRIMARY KEY,
  id bigint NOT NULL
);
REVOKE ALL ON cdc.registered_relation FROM PUBLIC;
COMMENT ON TABLE cdc.registered_relation IS
  'Which relation a row of cdc.registered_table is about. A row without one was restored, see cdc.refresh_registry().';

CREATE TABLE cdc.schema_detail (
  id bigint PRIMARY KEY,
  schema_name name NOT NULL,
  table_name name NOT NULL,
  sha256 bytea NOT NULL CHECK (pg_catalog.octet_length(sha256) = 32),
  major int NOT NULL CHECK (major > 0),
  minor int NOT NULL CHECK (minor >= 0),
  -- dropped: with its table, but told of what is sent still; unregistered: not told either
  status text NOT NULL CHECK (status IN ('active', 'deprecated', 'retired', 'dropped', 'unregistered')),
  grace_until timestamptz CHECK ((status = 'deprecated') = (grace_until IS NOT NULL)),
  descriptor bytea NOT NULL,
  enums jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL,
  command text,
  reason text
);
CREATE INDEX schema_detail_names ON cdc.schema_detail (schema_name, table_name);
COMMENT ON INDEX cdc.schema_detail_names IS 'Finds the versions of a table''s name';
REVOKE ALL ON cdc.schema_detail FROM PUBLIC;
COMMENT ON TABLE cdc.schema_detail IS
  'The versions: sha256, of the whole schema, by which the stream finds them; descriptor, the serialized cdc.v1.Table without values of older rows; enums, the labels of enum types of its columns; status (deprecated versions count until grace_until, retired ones do not, and those that are unregistered are not told either); who made it, by which command, and why it breaks readers, if it does.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_detail', '');

CREATE TABLE cdc.schema_reader (
  consumer text,
  id bigint,
  major int NOT NULL,
  registered_at timestamptz NOT NULL,
  registered_by name NOT NULL,
  PRIMARY KEY (consumer, id)
);
REVOKE ALL ON cdc.schema_reader FROM PUBLIC;
COMMENT ON TABLE cdc.schema_reader IS 'Which major version of a table (id: of cdc.registered_table) a consumer reads, see cdc.register_reader().';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_reader', '');

CREATE TABLE cdc.schema_enforcement (
  one boolean PRIMARY KEY CHECK (one),
  level text NOT NULL CHECK (level = ANY (cdc.choices('enforcement')))
);
REVOKE ALL ON cdc.schema_enforcement FROM PUBLIC;
COMMENT ON TABLE cdc.schema_enforcement IS 'What cdc.set_enforcement() was given; no row: warn.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_enforcement', '');

CREATE TABLE cdc.schema_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  by name NOT NULL,
  action text NOT NULL,
  relation text NOT NULL,
  version text,
  command text,
  reason text,
  findings jsonb
);
REVOKE ALL ON cdc.schema_audit FROM PUBLIC;
COMMENT ON TABLE cdc.schema_audit IS
  'Who has registered, changed, deprecated, retired or dropped which schema, when, by which command and why; findings: what it breaks. Of a command its tag and object are kept, never its text, which may have values. Written by the functions of the registry.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_audit', '');

CREATE FUNCTION cdc.audit_schema(action text, relation text, version text DEFAULT NULL, command text DEFAULT NULL,
  reason text DEFAULT NULL, findings jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT cdc.put_row(ROW(gen_random_uuid(), clock_timestamp(), session_user, action, relation, version, command, reason, findings)::cdc.schema_audit)
$$;
REVOKE ALL ON FUNCTION cdc.audit_schema(text, text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.audit_schema(text, text, text, text, text, jsonb) IS 'Adds an entry to cdc.schema_audit. Part of the registry''s own functions.';

CREATE FUNCTION cdc.describe_schema(relation regclass, OUT descriptor bytea, OUT defaults int2[])
RETURNS record LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_describe_schema';
REVOKE ALL ON FUNCTION cdc.describe_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.describe_schema(regclass) IS
  'The whole schema of a table as the registry keeps it: descriptor, its serialized cdc.v1.Table without rules, privileges and values of older rows; defaults, the attnums of the columns that have such a value. NULL for what is no table or is never sent. Takes no lock on the table.';

CREATE FUNCTION cdc.compare_schemas(before bytea, after bytea, defaults int2[] DEFAULT '{}', OUT rule text,
  OUT backward boolean, OUT forward boolean, OUT wire boolean, OUT column_name text, OUT detail text)
RETURNS SETOF record LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_compare_schemas';
REVOKE ALL ON FUNCTION cdc.compare_schemas(bytea, bytea, int2[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.compare_schemas(bytea, bytea, int2[]) IS
  'What a change from one descriptor to another breaks, a row for each finding: backward or forward, at level wire or file. column_name NULL: the table itself. defaults: see cdc.describe_schema(). docs/schema-evolution.md has the rules. NULL arguments give no rows. ERROR XX001 for what is no cdc.v1.Table.';

CREATE FUNCTION cdc.allow_breaking(reason text)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_allow_breaking';
REVOKE ALL ON FUNCTION cdc.allow_breaking(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.allow_breaking(text) IS
  'Lets the rest of the current transaction break readers of registered tables on purpose: DDL that is rejected otherwise (see cdc.set_enforcement()) gets a new major version, with this reason. NULL does nothing. ERROR 22023 for an empty reason.';

CREATE FUNCTION cdc.breaking_reason()
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_breaking_reason';
REVOKE ALL ON FUNCTION cdc.breaking_reason() FROM PUBLIC;
COMMENT ON FUNCTION cdc.breaking_reason() IS 'What cdc.allow_breaking() was given in the current transaction; NULL = it was not called.';

CREATE FUNCTION cdc.set_enforcement(level text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM cdc.require_primary('cdc.set_enforcement()');
  IF level IS NULL OR level <> ALL (cdc.choices('enforcement')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown level: %s', coalesce(quote_ident(level), 'NULL')),
      HINT = format('Levels are: %s.', array_to_string(cdc.choices('enforcement'), ', '));
  END IF;
  LOCK TABLE cdc.schema_enforcement IN SHARE ROW EXCLUSIVE MODE;
  PERFORM cdc.put_row(ROW(true, level)::cdc.schema_enforcement);
  PERFORM cdc.audit_schema('enforce', '*', NULL, level);
END $$;
REVOKE ALL ON FUNCTION cdc.set_enforcement(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.set_enforcement(text) IS
  'What happens to DDL in this database that breaks readers of a registered table: off, it is recorded; warn (as if never called), and reported; reject, it fails unless cdc.allow_breaking() was called in the transaction. No setting of a session changes it. ERROR 22023 for another level.';

CREATE FUNCTION cdc.enforcement()
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce((SELECT e.level FROM cdc.schema_enforcement e), 'warn') $$;
REVOKE ALL ON FUNCTION cdc.enforcement() FROM PUBLIC;
COMMENT ON FUNCTION cdc.enforcement() IS 'What cdc.set_enforcement() has set: off, warn or reject.';

CREATE FUNCTION cdc.enum_labels(relation regclass)
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
REVOKE ALL ON FUNCTION cdc.enum_labels(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.enum_labels(regclass) IS 'The labels of the enum types that columns of a table have, by type; {} where there are none.';

-- What breaks under a mode and a level. Enum labels are no part of a descriptor.
CREATE FUNCTION cdc.breaking_changes(before bytea, before_enums jsonb, after bytea, after_enums jsonb, defaults int2[],
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
REVOKE ALL ON FUNCTION cdc.breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) IS
  'The findings of cdc.compare_schemas() and about labels of enum types that count in a mode (none, backward, forward, full, each also _transitive) and at a level (wire: bytes alone; file: names and declarations too).';

CREATE FUNCTION cdc.schema_of(relation regclass, OUT schema_name name, OUT table_name name, OUT sha256 bytea,
  OUT descriptor bytea, OUT defaults int2[], OUT enums jsonb)
RETURNS record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT n.nspname, c.relname, sha256(d.descriptor), d.descriptor, d.defaults, cdc.enum_labels(relation)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL cdc.describe_schema(relation) d
  WHERE c.oid = relation AND d.descriptor IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.schema_of(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.schema_of(regclass) IS
  'cdc.describe_schema() with names, hash and labels of enum types; all NULL for what is no table or is never sent. Part of the registry''s own functions.';

CREATE FUNCTION cdc.versions_of(registered cdc.registered_table, counting boolean DEFAULT false)
RETURNS SETOF cdc.schema_detail LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.* FROM unnest(registered.versions) v(id) JOIN cdc.schema_detail d USING (id)
  WHERE NOT counting OR d.status = 'active' OR d.status = 'deprecated' AND d.grace_until > now()
$$;
REVOKE ALL ON FUNCTION cdc.versions_of(cdc.registered_table, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.versions_of(cdc.registered_table, boolean) IS
  'The versions of a registered table: all, or those that count for compatibility. Part of the registry''s own functions.';

-- The row of a table; waits for who writes it. That is not an UPDATE, so who has waited
-- must look again.
CREATE FUNCTION cdc.registration(relation regclass)
RETURNS cdc.registered_table LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  reg cdc.registered_table;
BEGIN
  LOOP
    SELECT t.* INTO reg FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id)
    WHERE r.relid = registration.relation FOR UPDATE OF t;
    EXIT WHEN FOUND OR NOT EXISTS (SELECT FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id) WHERE r.relid = registration.relation);
  END LOOP;
  RETURN reg;
END $$;
REVOKE ALL ON FUNCTION cdc.registration(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.registration(regclass) IS
  'The row of cdc.registered_table of a table, locked against others that write it; NULL where it is not registered, or was restored. Part of the registry''s own functions.';

CREATE FUNCTION cdc.check_registered(relation regclass)
RETURNS cdc.registered_table LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  reg cdc.registered_table;
BEGIN
  SELECT t.* INTO reg FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id) WHERE r.relid = relation;
  IF FOUND THEN
    RETURN reg;
  ELSIF EXISTS (SELECT FROM cdc.registered_table t JOIN pg_class c ON c.relname = t.table_name JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schema_name
                WHERE c.oid = relation AND NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id)) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('table %s was restored: what the registry has of it is about another server', relation),
      HINT = 'Run SELECT cdc.refresh_registry();';
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'undefined_object',
    MESSAGE = format('table %s is not registered', coalesce(relation::text, 'NULL')),
    HINT = 'cdc.register() registers it.';
END $$;
REVOKE ALL ON FUNCTION cdc.check_registered(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_registered(regclass) IS
  'The row of cdc.registered_table of a table. ERROR 42704 where it is not registered, 55000 after a restore. Part of the registry''s own functions.';

CREATE FUNCTION cdc.check_compatibility(relation regclass, mode text DEFAULT NULL,
  OUT version text, OUT rule text, OUT column_name text, OUT backward boolean, OUT forward boolean,
  OUT wire boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table := cdc.check_registered(relation);
  schema record;
BEGIN
  IF mode <> ALL (cdc.choices('mode')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode: %s', quote_ident(mode)),
      HINT = format('Modes are: %s.', array_to_string(cdc.choices('mode'), ', '));
  END IF;
  SELECT * INTO schema FROM cdc.schema_of(check_compatibility.relation);
  RETURN QUERY
  SELECT format('%s.%s', v.major, v.minor), f.rule, f.column_name, f.backward, f.forward, f.wire, f.detail
  FROM cdc.versions_of(reg, true) v
    CROSS JOIN LATERAL cdc.breaking_changes(v.descriptor, v.enums, schema.descriptor, schema.enums, schema.defaults,
      coalesce(check_compatibility.mode, reg.mode), reg.level) f
  WHERE v.sha256 <> schema.sha256
  ORDER BY v.major, v.minor;
END $$;
REVOKE ALL ON FUNCTION cdc.check_compatibility(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_compatibility(regclass, text) IS
  'Compares a registered table as it is now with all its other versions that are active, or deprecated and in their time of grace. A row for each thing that breaks readers under the mode (NULL = the table''s); no rows: compatible. Columns as of cdc.compare_schemas(). ERROR 42704 for a table that is not registered, 55000 after a restore until cdc.refresh_registry(), 22023 for an unknown mode.';

CREATE FUNCTION cdc.assert_compatible(relation regclass, mode text DEFAULT NULL)
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
REVOKE ALL ON FUNCTION cdc.assert_compatible(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.assert_compatible(regclass, text) IS
  'ERROR (55000), with all findings, if cdc.check_compatibility() has any.';

-- Reports or refuses what breaks readers. Gives the reason for which it is allowed.
CREATE FUNCTION cdc.judge_change(relation text, registered cdc.registered_table, findings jsonb)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  why text := cdc.breaking_reason();
  level text := cdc.enforcement();
  broken text;
BEGIN
  IF why IS NOT NULL OR level = 'off' THEN
    RETURN why;
  END IF;
  SELECT concat_ws(E'\n',
    (SELECT string_agg(format('%s%s (%s).', f ->> 'column_name' || ': ', f ->> 'detail', f ->> 'rule'), E'\n')
     FROM jsonb_array_elements(findings) f),
    (SELECT 'Readers: ' || string_agg(format('%s (version %s)', r.consumer, r.major), ', ' ORDER BY r.consumer) || '.'
     FROM cdc.schema_reader r WHERE r.id = registered.id)) INTO broken;
  IF level = 'reject' THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('this would break readers of table %s', relation), DETAIL = broken,
      HINT = format('To do it on purpose, with a new major version, call before, in the same transaction: SELECT cdc.allow_breaking(''why''); the table''s mode is %s.', registered.mode);
  END IF;
  RAISE WARNING USING MESSAGE = format('this breaks readers of table %s', relation), DETAIL = broken;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION cdc.judge_change(text, cdc.registered_table, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.judge_change(text, cdc.registered_table, jsonb) IS
  'Warns of findings, or raises, as cdc.set_enforcement() says. Part of the registry''s own functions.';

-- A schema that returns keeps its number, of this table or of another one that had its name.
-- Another one gets the next of all of them: a number means one thing.
CREATE FUNCTION cdc.put_version(schema record, registered cdc.registered_table, breaking boolean, command text, reason text)
RETURNS cdc.schema_detail LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v cdc.schema_detail;
  own boolean := false;
  numbers record;
BEGIN
  SELECT d.* INTO v FROM cdc.schema_detail d
  WHERE d.schema_name = schema.schema_name AND d.table_name = schema.table_name AND d.sha256 = schema.sha256
  ORDER BY d.id = ANY (registered.versions) DESC LIMIT 1;
  own := v.id = ANY (registered.versions);
  IF v.id IS NULL THEN
    SELECT coalesce(max(d.major), 0) AS most, max(d.major) FILTER (WHERE d.id = registered.version) AS current,
      -- another table that had this name
      array_agg(d.major) FILTER (WHERE d.id <> ALL (registered.versions)) AS taken INTO numbers
    FROM cdc.schema_detail d
    WHERE d.id = ANY (registered.versions) OR d.schema_name = schema.schema_name AND d.table_name = schema.table_name;
    v.major := CASE WHEN breaking OR numbers.current IS NULL OR numbers.current = ANY (numbers.taken) THEN numbers.most + 1 ELSE numbers.current END;
    SELECT coalesce(max(d.minor) + 1, 0) INTO v.minor FROM cdc.schema_detail d WHERE d.id = ANY (registered.versions) AND d.major = v.major;
  ELSIF NOT own THEN
    PERFORM cdc.drop_row(d) FROM cdc.schema_detail d
    WHERE d.schema_name = schema.schema_name AND d.table_name = schema.table_name AND d.sha256 = schema.sha256 AND d.status IN ('dropped', 'unregistered');
  END IF;
  IF own IS NOT TRUE THEN
    v := ROW(nextval('cdc.registry_id'), schema.schema_name, schema.table_name, schema.sha256, v.major, v.minor, 'active', NULL,
             schema.descriptor, schema.enums, now(), session_user, command, reason)::cdc.schema_detail;
  END IF;
  v.enums := schema.enums;
  v.status := 'active';
  v.grace_until := NULL;
  PERFORM cdc.put_row(v);
  RETURN v;
END $$;
REVOKE ALL ON FUNCTION cdc.put_version(record, cdc.registered_table, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.put_version(record, cdc.registered_table, boolean, text, text) IS
  'Finds or makes the version of a schema (of cdc.schema_of()): the next minor one of the table, or if it breaks readers the next major one. Part of the registry''s own functions.';

-- Takes up the schema that a registered table has now. Gives the version; raises where
-- it breaks readers and that is rejected.
CREATE FUNCTION cdc.record_schema(relation regclass, command text, gate boolean, reason text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  schema record;
  known cdc.schema_detail;
  findings jsonb;
BEGIN
  SELECT * INTO schema FROM cdc.schema_of(relation);
  IF schema.sha256 IS NULL THEN           -- it cannot be sent any more
    RETURN NULL;
  END IF;
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN               -- rows of the registry are gone
    RETURN NULL;
  END IF;
  SELECT d.* INTO known FROM cdc.schema_detail d WHERE d.id = reg.version;
  IF known.sha256 = schema.sha256 AND known.enums = schema.enums THEN
    RETURN format('%s.%s', known.major, known.minor);
  END IF;
  SELECT jsonb_agg(to_jsonb(f)) INTO findings
  FROM cdc.versions_of(reg, reg.mode ~ '_transitive$') v
    CROSS JOIN LATERAL cdc.breaking_changes(v.descriptor, v.enums, schema.descriptor, schema.enums, schema.defaults, reg.mode, reg.level) f
  WHERE reg.mode ~ '_transitive$' OR v.id = reg.version;
  IF findings IS NOT NULL AND gate THEN
    reason := cdc.judge_change(relation::text, reg, findings);
  END IF;
  known := cdc.put_version(schema, reg, findings IS NOT NULL OR NOT gate, command, reason);
  IF (reg.version, reg.schema_name, reg.table_name) <> (known.id, schema.schema_name, schema.table_name) OR findings IS NOT NULL THEN
    reg.version := known.id;
    reg.versions := CASE WHEN known.id = ANY (reg.versions) THEN reg.versions ELSE reg.versions || known.id END;
    reg.schema_name := schema.schema_name;
    reg.table_name := schema.table_name;
    PERFORM cdc.put_row(reg);
    PERFORM cdc.audit_schema('change', relation::text, format('%s.%s', known.major, known.minor), command, reason, findings);
  END IF;
  RETURN format('%s.%s', known.major, known.minor);
END $$;
REVOKE ALL ON FUNCTION cdc.record_schema(regclass, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_schema(regclass, text, boolean, text) IS
  'Takes up the schema that a registered table has now, as a new minor version, or a new major one where it breaks readers; one that returns has its former number. gate: cdc.set_enforcement() counts; without it, which is after a restore, another schema is always a new major version. Part of the registry''s own functions.';

CREATE FUNCTION cdc.end_registration(registered cdc.registered_table, status text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v cdc.schema_detail;
BEGIN
  FOR v IN SELECT * FROM cdc.versions_of(registered) LOOP
    v.status := end_registration.status;
    v.grace_until := NULL;
    PERFORM cdc.put_row(v);
  END LOOP;
  PERFORM cdc.drop_row(s) FROM cdc.schema_reader s WHERE s.id = registered.id;
  PERFORM cdc.drop_row(s) FROM cdc.registered_relation s WHERE s.id = registered.id;
  PERFORM cdc.drop_row(registered);
END $$;
REVOKE ALL ON FUNCTION cdc.end_registration(cdc.registered_table, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.end_registration(cdc.registered_table, text) IS
  'Keeps a table''s schemas no longer; status is that of its versions: dropped or unregistered. Part of the registry''s own functions.';

-- Begins, or goes on with what a restore has brought.
CREATE FUNCTION cdc.begin_registration(relation regclass, mode text, level text, reason text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  schema record;
  reg cdc.registered_table;
  v cdc.schema_detail;
BEGIN
  SELECT * INTO schema FROM cdc.schema_of(relation);
  IF schema.sha256 IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('"%s" is not a table whose changes are sent', coalesce(relation::text, 'NULL'));
  END IF;
  SELECT t.* INTO reg FROM cdc.registered_table t
  WHERE t.schema_name = schema.schema_name AND t.table_name = schema.table_name AND NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id);
  IF FOUND THEN
    PERFORM cdc.put_row(ROW(relation, reg.id)::cdc.registered_relation);
    RETURN cdc.record_schema(relation, NULL, false, coalesce(reason, 'restored'));
  END IF;
  reg := ROW(nextval('cdc.registry_id'), schema.schema_name, schema.table_name, mode, level, 0, '{}', reason, now(), session_user)::cdc.registered_table;
  v := cdc.put_version(schema, reg, false, NULL, reason);
  reg.version := v.id;
  reg.versions := ARRAY[v.id];
  PERFORM cdc.put_row(reg), cdc.put_row(ROW(relation, reg.id)::cdc.registered_relation);
  RETURN format('%s.%s', v.major, v.minor);
END $$;
REVOKE ALL ON FUNCTION cdc.begin_registration(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.begin_registration(regclass, text, text, text) IS
  'What cdc.register() and cdc.refresh_registry() do with a table that is not registered here. Part of the registry''s own functions.';

CREATE FUNCTION cdc.check_registrable(relation regclass)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kind text := (SELECT CASE c.relpersistence WHEN 't' THEN 'temporary' WHEN 'u' THEN 'unlogged' END
                FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p'));
BEGIN
  IF kind IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s table %s cannot be registered', kind, relation),
      DETAIL = 'Its changes are never sent.';
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.check_registrable(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_registrable(regclass) IS 'ERROR (42809) for temporary and unlogged tables. Part of the registry''s own functions.';

CREATE FUNCTION cdc.register(relation regclass, mode text DEFAULT 'full', level text DEFAULT 'file', reason text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  version text;
BEGIN
  PERFORM cdc.require_primary('cdc.register()');
  IF mode IS NULL OR mode <> ALL (cdc.choices('mode')) OR level IS NULL OR level <> ALL (cdc.choices('level')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode or level: %s, %s', mode, level),
      HINT = format('Modes are: %s; levels: %s.', array_to_string(cdc.choices('mode'), ', '), array_to_string(cdc.choices('level'), ', '));
  END IF;
  PERFORM cdc.check_registrable(relation);
  PERFORM cdc.hold_relation(relation);
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN
    version := cdc.begin_registration(relation, mode, level, reason);
    reg := cdc.registration(relation);
  END IF;
  reg.mode := mode;
  reg.level := level;
  reg.reason := coalesce(reason, reg.reason);
  PERFORM cdc.put_row(reg);
  SELECT format('%s.%s', d.major, d.minor) INTO version FROM cdc.schema_detail d WHERE d.id = reg.version;
  PERFORM cdc.audit_schema('register', relation::text, version, format('mode %s, level %s', mode, level), reason);
  RETURN version;
END $$;
REVOKE ALL ON FUNCTION cdc.register(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.register(regclass, text, text, text) IS
  'Keeps the versions of a table''s schema from now on, and returns the one that it is; of a registered table it changes mode and level. mode: backward, forward, full, each also with _transitive, or none; level: wire or file: docs/schema-evolution.md. ERROR 42809 for what is no table, or never sent; 22023 for an unknown mode or level.';

CREATE FUNCTION cdc.unregister(relation regclass, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
BEGIN
  PERFORM cdc.require_primary('cdc.unregister()');
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN
    reg := cdc.check_registered(relation);
  END IF;
  PERFORM cdc.end_registration(reg, 'unregistered');
  PERFORM cdc.audit_schema('unregister', relation::text, NULL, NULL, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.unregister(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.unregister(regclass, text) IS
  'Keeps a table''s schemas no longer: its versions are told no more, and their numbers not used again. ERROR 42704 for a table that is not registered, 55000 after a restore until cdc.refresh_registry().';

CREATE FUNCTION cdc.register_reader(consumer text, relation regclass, version int DEFAULT NULL, fingerprint text DEFAULT NULL)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  found int;
BEGIN
  PERFORM cdc.require_primary('cdc.register_reader()');
  reg := cdc.registration(relation);
  IF consumer IS NULL OR num_nonnulls(version, fingerprint) <> 1 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'consumer and either version or fingerprint must be given';
  END IF;
  SELECT max(v.major) INTO found FROM cdc.versions_of(reg) v
  WHERE v.major = version OR left(encode(v.sha256, 'hex'), 16) = fingerprint;
  IF found IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('table %s has no version %s', relation, coalesce(version::text, 'with fingerprint ' || fingerprint)),
      HINT = 'The view cdc.schema_versions lists those that there are. Where a stream leaves columns out, or has values of older rows, give the version, which it tells.';
  END IF;
  PERFORM cdc.put_row(ROW(consumer, reg.id, found, now(), session_user)::cdc.schema_reader);
  RETURN found;
END $$;
REVOKE ALL ON FUNCTION cdc.register_reader(text, regclass, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.register_reader(text, regclass, int, text) IS
  'Records that a consumer reads a major version of a table, given by its number or by the fingerprint of a whole schema (16 hexadecimal digits), and returns the number. A consumer has one version of each table; cdc.readers shows who would break. ERROR 42704 for a version that there is not, 22023 unless one of both is given.';

CREATE FUNCTION cdc.retire_version(relation regclass, version int, grace interval DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  v cdc.schema_detail;
BEGIN
  PERFORM cdc.require_primary('cdc.retire_version()');
  reg := cdc.registration(relation);
  IF EXISTS (SELECT FROM cdc.schema_detail d WHERE d.id = reg.version AND d.major = version) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('version %s is what table %s is now', version, relation);
  END IF;
  FOR v IN SELECT * FROM cdc.versions_of(reg) d WHERE d.major = version LOOP
    v.status := CASE WHEN grace IS NULL THEN 'retired' ELSE 'deprecated' END;
    v.grace_until := now() + grace;
    PERFORM cdc.put_row(v);
  END LOOP;
  IF v.id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('table %s has no version %s', relation, version);
  END IF;
  PERFORM cdc.audit_schema(CASE WHEN grace IS NULL THEN 'retire' ELSE 'deprecate' END, relation::text, version::text, NULL, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.retire_version(regclass, int, interval, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.retire_version(regclass, int, interval, text) IS
  'Ends a major version of a table: at once, or with grace when that time has passed, until when it is deprecated. Retired versions no longer count for compatibility. ERROR 55000 for the version that the table has now, 42704 for one that there is not.';

-- A table that is gone, by an event trigger or found later.
CREATE FUNCTION cdc.record_drop(registered cdc.registered_table, command text, reason text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  version text := (SELECT format('%s.%s', d.major, d.minor) FROM cdc.schema_detail d WHERE d.id = registered.version);
BEGIN
  PERFORM cdc.end_registration(registered, 'dropped');
  PERFORM cdc.audit_schema('drop', format('%I.%I', registered.schema_name, registered.table_name), version, command, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.record_drop(cdc.registered_table, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_drop(cdc.registered_table, text, text) IS 'Takes up that a registered table is gone. Part of the registry''s own functions.';

CREATE FUNCTION cdc.refresh_registry(forget boolean DEFAULT false)
RETURNS TABLE (relation regclass, version text) LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table;
BEGIN
  PERFORM cdc.require_primary('cdc.refresh_registry()');
  LOCK TABLE cdc.registered_relation IN SHARE UPDATE EXCLUSIVE MODE;
  -- dropped where no event trigger saw it
  FOR reg IN
    SELECT t.* FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id)
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid)
  LOOP
    PERFORM cdc.record_drop(reg, NULL, 'found by cdc.refresh_registry()');
  END LOOP;
  FOR reg IN
    SELECT t.* FROM cdc.registered_table t WHERE NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id) ORDER BY t.id
  LOOP
    relation := to_regclass(format('%I.%I', reg.schema_name, reg.table_name));
    version := NULL;
    IF EXISTS (SELECT FROM cdc.schema_of(relation) n WHERE n.sha256 IS NOT NULL) THEN
      version := cdc.begin_registration(relation, reg.mode, reg.level, NULL);
      RETURN NEXT;
    ELSIF forget THEN
      PERFORM cdc.record_drop(reg, NULL, 'not restored');
    ELSE
      RAISE WARNING USING MESSAGE = format('registered table %I.%I is not there', reg.schema_name, reg.table_name),
        HINT = 'Restore it and call cdc.refresh_registry() again, or SELECT cdc.refresh_registry(forget => true).';
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.refresh_registry(boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.refresh_registry(boolean) IS
  'To be called after a dump was restored: finds the registered tables again by their names, and returns them with their versions. One whose columns have other numbers than before gets a new major version. Those that are not there are a WARNING each; forget: they are registered no more. Until then DDL on restored tables is not looked at.';

CREATE FUNCTION cdc.changed_relations()
RETURNS oid[] LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_changed_relations';
REVOKE ALL ON FUNCTION cdc.changed_relations() FROM PUBLIC;
COMMENT ON FUNCTION cdc.changed_relations() IS
  'The relations that were changed or dropped in the current transaction since the last call, and perhaps some that others have changed. Part of the registry''s own functions.';

CREATE FUNCTION cdc.hold_relation(relation regclass)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_hold_relation';
REVOKE ALL ON FUNCTION cdc.hold_relation(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.hold_relation(regclass) IS
  'Keeps a table from being altered, or registered by others, until the end of the transaction; waits for who does so. Part of the registry''s own functions.';

CREATE FUNCTION cdc.dependent_relations(classids oid[], objids oid[])
RETURNS oid[] LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE changed(classid, objid) AS (
    SELECT * FROM unnest(classids, objids)
    UNION
    -- types of them, arrays of these, domains over them
    SELECT d.classid, d.objid FROM changed c JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.objid
    WHERE d.classid = 'pg_type'::regclass)
  SELECT ARRAY(
    SELECT DISTINCT d.objid FROM changed c JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.objid
    WHERE d.classid = 'pg_class'::regclass)
$$;
REVOKE ALL ON FUNCTION cdc.dependent_relations(oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.dependent_relations(oid[], oid[]) IS
  'The relations that are in schemas, belong to extensions, or have columns of types (by catalog and OID), or of types made of these. Part of the registry''s own functions.';

-- Not the command says what it has changed, but the catalogs: all commands are alike.
CREATE FUNCTION cdc.record_schemas()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  touched oid[] := cdc.changed_relations();
  others record;
  t record;
  reg cdc.registered_table;
  why text := cdc.breaking_reason();
  command text;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.registered_relation) THEN
    RETURN;
  END IF;
  -- names of types and schemas are in no catalog of relations, nor are enum labels
  SELECT array_agg(c.classid) AS classids, array_agg(c.objid) AS objids INTO others
  FROM pg_event_trigger_ddl_commands() c WHERE c.classid IN ('pg_type'::regclass, 'pg_namespace'::regclass, 'pg_extension'::regclass);
  IF others.objids IS NOT NULL THEN
    touched := touched || cdc.dependent_relations(others.classids, others.objids);
  END IF;
  FOR t IN
    SELECT r.relid, c.oid IS NOT NULL AS there FROM cdc.registered_relation r LEFT JOIN pg_class c ON c.oid = r.relid
    WHERE r.relid = ANY (touched) ORDER BY r.id
  LOOP
    command := coalesce((SELECT concat_ws(' ', c.command_tag, c.object_identity) FROM pg_event_trigger_ddl_commands() c WHERE c.objid IS NOT NULL LIMIT 1), tg_tag);
    IF t.there THEN
      PERFORM cdc.record_schema(t.relid, command, true, NULL);
      CONTINUE;
    END IF;
    reg := cdc.registration(t.relid);
    IF reg.mode <> 'none' AND why IS NULL AND cdc.enforcement() = 'reject' THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('this would drop the registered table %I.%I', reg.schema_name, reg.table_name),
        HINT = 'Call cdc.unregister() before, or in the same transaction cdc.allow_breaking(''why'').';
    ELSIF reg.id IS NOT NULL THEN
      PERFORM cdc.record_drop(reg, command, why);
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.record_schemas() FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_schemas() IS 'Event trigger function: takes up what a command made of registered tables, or refuses it.';
CREATE EVENT TRIGGER cdc_record_schemas ON ddl_command_end EXECUTE FUNCTION cdc.record_schemas();
ALTER EVENT TRIGGER cdc_record_schemas ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_record_schemas IS 'Takes up what commands make of registered tables, or refuses it, see cdc.set_enforcement().';

CREATE VIEW cdc.schema_versions AS
SELECT r.relid::pg_catalog.regclass AS relation, d.major, d.minor, pg_catalog.left(pg_catalog.encode(d.sha256, 'hex'), 16) AS fingerprint,
       d.id = t.version AS current,
       CASE WHEN d.status = 'deprecated' AND d.grace_until <= pg_catalog.now() THEN 'retired' ELSE d.status END AS status,
       d.grace_until, d.created_at, d.created_by, d.command, d.reason
FROM cdc.registered_relation r JOIN pg_catalog.pg_class c ON c.oid = r.relid
  JOIN cdc.registered_table t ON t.id = r.id
  CROSS JOIN LATERAL pg_catalog.unnest(t.versions) v(id) JOIN cdc.schema_detail d ON d.id = v.id;
REVOKE ALL ON cdc.schema_versions FROM PUBLIC;
COMMENT ON VIEW cdc.schema_versions IS
  'The versions of registered tables. fingerprint: of the whole schema, without values of older rows; current: what the table is now; status: active, deprecated until grace_until, or retired; command: the tag and object of the command that made it.';
COMMENT ON COLUMN cdc.schema_versions.relation IS 'The registered table.';
COMMENT ON COLUMN cdc.schema_versions.major IS 'Grows with changes that break readers.';
COMMENT ON COLUMN cdc.schema_versions.minor IS 'Grows with other changes.';
COMMENT ON COLUMN cdc.schema_versions.fingerprint IS 'Of the whole schema, without values of older rows.';
COMMENT ON COLUMN cdc.schema_versions.current IS 'What the table is now.';
COMMENT ON COLUMN cdc.schema_versions.status IS 'active, deprecated until grace_until, or retired.';
COMMENT ON COLUMN cdc.schema_versions.grace_until IS 'Until when a deprecated version can be asked for.';
COMMENT ON COLUMN cdc.schema_versions.created_at IS 'When it came to be.';
COMMENT ON COLUMN cdc.schema_versions.created_by IS 'Whose command made it.';
COMMENT ON COLUMN cdc.schema_versions.command IS 'Tag and object of the command that made it.';
COMMENT ON COLUMN cdc.schema_versions.reason IS 'What cdc.allow_breaking() or cdc.register() was given.';

CREATE VIEW cdc.readers AS
SELECT s.consumer, r.relid::pg_catalog.regclass AS relation, s.major AS reads, actual.major AS current,
       ARRAY(SELECT f.detail
             FROM cdc.describe_schema(r.relid) n
               CROSS JOIN LATERAL (
                 SELECT d.* FROM pg_catalog.unnest(t.versions) v(id) JOIN cdc.schema_detail d ON d.id = v.id
                 WHERE d.major = s.major ORDER BY d.minor DESC LIMIT 1) d
               CROSS JOIN LATERAL cdc.breaking_changes(d.descriptor, d.enums, n.descriptor, cdc.enum_labels(r.relid), n.defaults, 'forward', t.level) f) AS breaks,
       s.registered_at, s.registered_by
FROM cdc.schema_reader s JOIN cdc.registered_table t ON t.id = s.id JOIN cdc.registered_relation r ON r.id = t.id
  JOIN pg_catalog.pg_class c ON c.oid = r.relid JOIN cdc.schema_detail actual ON actual.id = t.version;
REVOKE ALL ON cdc.readers FROM PUBLIC;
COMMENT ON VIEW cdc.readers IS
  'Who reads which major version of which table. breaks: what such a reader meets in data of the table as it is now, {} = nothing. Needs EXECUTE on the functions that compare.';
COMMENT ON COLUMN cdc.readers.consumer IS 'Who reads.';
COMMENT ON COLUMN cdc.readers.relation IS 'The registered table.';
COMMENT ON COLUMN cdc.readers.reads IS 'The major version that it reads.';
COMMENT ON COLUMN cdc.readers.current IS 'The major version that the table has.';
COMMENT ON COLUMN cdc.readers.breaks IS 'What such a reader meets in data of the table as it is now; {} = nothing.';
COMMENT ON COLUMN cdc.readers.registered_at IS 'When cdc.register_reader() was called.';
COMMENT ON COLUMN cdc.readers.registered_by IS 'Who called it.';

CREATE FUNCTION cdc.export_schemas()
RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('schema', d.schema_name, 'table', d.table_name, 'version', format('%s.%s', d.major, d.minor),
    'mode', t.mode, 'level', t.level, 'enums', d.enums, 'descriptor', encode(d.descriptor, 'hex'))::text
  FROM cdc.registered_table t JOIN cdc.schema_detail d ON d.id = t.version
    JOIN cdc.registered_relation r ON r.id = t.id JOIN pg_class c ON c.oid = r.relid
  ORDER BY d.schema_name, d.table_name
$$;
REVOKE ALL ON FUNCTION cdc.export_schemas() FROM PUBLIC;
COMMENT ON FUNCTION cdc.export_schemas() IS
  'The current versions of all registered tables, a line of JSON for each: what scripts/schema-check compares another database with.';

CREATE FUNCTION cdc.check_export(line text, OUT relation text, OUT version text, OUT rule text, OUT column_name text,
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
REVOKE ALL ON FUNCTION cdc.check_export(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_export(text) IS
  'Compares the table of this name, registered or not, with a line that cdc.export_schemas() gave elsewhere. A row for each thing that breaks readers; no rows: compatible. NULL gives no rows. ERROR 22023 for another text.';

CREATE FUNCTION cdc.check_mapping(relation regclass, version int)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_check_mapping';
REVOKE ALL ON FUNCTION cdc.check_mapping(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_mapping(regclass, int) IS
  'Whether rows of a registered table, as it is now, can be sent in an older major version by the option "versions": NULL = they can, otherwise why not. ERROR 42704 for a version that there is not, 55000 for one that is retired or whose time of grace is over. NULL arguments give NULL.';

-- Metadata of transactions

CREATE FUNCTION cdc.set_metadata(key text, value text)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_set_metadata';
REVOKE ALL ON FUNCTION cdc.set_metadata(text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.set_metadata(text, text) IS
  'Attaches an entry to the current transaction, which consumers get with its changes; setting a key again replaces its value, ROLLBACK TO SAVEPOINT takes it back. At most 64 entries and 4096 bytes (keys and values, UTF-8) for a transaction: a single larger one is ERROR 54000, the rest beyond is left out. ERROR 22004 for NULL, 22023 for an empty key. A transaction without changes sends none.';

CREATE FUNCTION cdc.set_traceparent(traceparent text)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_set_traceparent';
REVOKE ALL ON FUNCTION cdc.set_traceparent(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.set_traceparent(text) IS
  'cdc.set_metadata(''traceparent'', ...) for a W3C Trace Context value, whose form is checked (ERROR 22023; 22004 for NULL).';

-- What commands have changed, for streams

CREATE TABLE cdc.message_secret (
  number int PRIMARY KEY CHECK (number = 1),
  secret bytea NOT NULL CHECK (pg_catalog.octet_length(secret) = 32)
);
REVOKE ALL ON cdc.message_secret FROM PUBLIC;
COMMENT ON TABLE cdc.message_secret IS
  'The secret by which a stream knows the messages of cdc.track_schema(): who can read it can have streams look at tables for nothing, but not say what has not happened. Made by CREATE EXTENSION; in no dump.';
SELECT cdc.put_row(ROW(1, pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) OPERATOR(pg_catalog.||) pg_catalog.uuid_send(pg_catalog.gen_random_uuid()))::cdc.message_secret);

CREATE FUNCTION cdc.track_schema()
RETURNS event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'cdc_track_schema_sql';
REVOKE ALL ON FUNCTION cdc.track_schema() FROM PUBLIC;
COMMENT ON FUNCTION cdc.track_schema() IS
  'Event trigger function: notes in the WAL which tables a command may have changed, for OP_SCHEMA events of streams; unless cdc.track_schema is off, and not for temporary tables.';
CREATE EVENT TRIGGER cdc_track_schema ON ddl_command_end EXECUTE FUNCTION cdc.track_schema();
ALTER EVENT TRIGGER cdc_track_schema ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_track_schema IS 'Notes in the WAL which tables commands have changed.';

-- Of all tables: other plugins decode nothing of them, and SQL writes them in a restore alone
DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_catalog.pg_class c
           WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cdc'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'r' LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY NOTHING', t);
    EXECUTE pg_catalog.format('CREATE TRIGGER table_written AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION cdc.table_written()', t);
    EXECUTE pg_catalog.format('CREATE TRIGGER refuse_sql BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION cdc.table_written()', t);
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER table_written, ENABLE ALWAYS TRIGGER refuse_sql', t);
  END LOOP;
END $$;

-- Since when rules and grants are known
SELECT cdc.put_row(ROW(true, pg_catalog.pg_current_wal_insert_lsn())::cdc.installation);
SELECT cdc.positions_at_commit();
