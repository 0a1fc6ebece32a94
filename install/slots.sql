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
