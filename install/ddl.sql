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
