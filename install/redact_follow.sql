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
