-- What DDL changes, see changed.c

CREATE FUNCTION cdc.watch_commands()
RETURNS event_trigger LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_watch_commands';
REVOKE ALL ON FUNCTION cdc.watch_commands() FROM PUBLIC;
COMMENT ON FUNCTION cdc.watch_commands() IS 'Event trigger function: has the session note which relations commands change.';
CREATE EVENT TRIGGER cdc_watch_commands ON ddl_command_start EXECUTE FUNCTION cdc.watch_commands();
ALTER EVENT TRIGGER cdc_watch_commands ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_watch_commands IS 'Notes which relations commands change, for cdc_follow_rules and cdc_record_schemas.';
