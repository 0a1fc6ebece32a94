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
