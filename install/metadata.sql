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
