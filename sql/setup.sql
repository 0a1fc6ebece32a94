-- What the other tests use.
CREATE EXTENSION cdc;

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
