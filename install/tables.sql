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
