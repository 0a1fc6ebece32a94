-- What the other tests use.
CREATE EXTENSION cdc;
-- Most tests are about rows: those of OP_SCHEMA (schema_changes.sql) turn it on.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cdc.track_schema = off', current_database()); END $$;

-- Consumes a slot and shows its events without what differs between runs.
CREATE FUNCTION changes(slot name, VARIADIC options text[] DEFAULT '{}')
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT regexp_replace(
           regexp_replace(data, '^\{"position":"[^"]*",("xid":\d+,"commit_time":"[^"]*",)?', '{'),
           ',"fingerprint":"[0-9a-f]{16}"', '')
  FROM pg_logical_slot_get_changes(slot, NULL, NULL,
         VARIADIC ARRAY['format', 'json'] || options)
  WHERE data NOT LIKE '{"xid":%'
$$;
