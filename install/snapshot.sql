-- Reading tables as they are

CREATE FUNCTION cdc.snapshot(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL,
  from_block bigint DEFAULT NULL, to_block bigint DEFAULT NULL,
  options text[] DEFAULT '{}', slot_name name DEFAULT NULL)
RETURNS SETOF bytea LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot';
REVOKE ALL ON FUNCTION cdc.snapshot(regclass, text[], text[], bigint, bigint, text[], name) FROM PUBLIC;
COMMENT ON FUNCTION cdc.snapshot(regclass, text[], text[], bigint, bigint, text[], name) IS
  'The rows of a table as READ events, in delimited batches like those of the stream. from_key (inclusive), to_key (exclusive): text values of the key columns; from_block, to_block: blocks, in REPEATABLE READ only; NULL = open. options: as of the stream; those stored for slot_name count, too. Reads what the caller may SELECT, or was given by cdc.grant_read(). More: docs/reference.md.';

CREATE FUNCTION cdc.snapshot_chunks(relation regclass, max_rows bigint DEFAULT 100000,
  OUT from_key text[], OUT to_key text[], OUT from_block bigint, OUT to_block bigint,
  OUT key_columns text[])
RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_snapshot_chunks';
REVOKE ALL ON FUNCTION cdc.snapshot_chunks(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION cdc.snapshot_chunks(regclass, bigint) IS
  'Ranges for cdc.snapshot() that together are the whole table, whatever is inserted later: by key (key_columns), each with max_rows rows at the moment, or without a key by block, with about as many. Reads the key of every row. A key that is redacted or withheld counts as none; a table that is withheld is an ERROR (42501). NULL arguments give no rows.';
