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
