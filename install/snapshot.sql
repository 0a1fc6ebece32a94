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

CREATE FUNCTION cdc.sequences()
RETURNS TABLE (sequence regclass, relation regclass, column_name name, identity text, data_type regtype, start_value bigint,
  increment_by bigint, min_value bigint, max_value bigint, cycle boolean, last_value bigint, "position" pg_lsn, statement text)
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
  -- first the position: what was taken before it is in the values that are read next
  WITH here AS MATERIALIZED (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn),
  used AS (
    -- by a column that owns it, or whose default names it
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum, d.deptype = 'i' AS of_identity
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid, a.adrelid, a.adnum, false
    FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' JOIN pg_attrdef a ON a.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass)
  SELECT c.oid, u.relation, a.attname,
    CASE WHEN NOT u.of_identity THEN NULL WHEN a.attidentity = 'a' THEN 'always' WHEN a.attidentity = 'd' THEN 'by default' END,
    s.seqtypid, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, v.value, here.lsn,
    CASE WHEN v.value IS NOT NULL THEN format('SELECT pg_catalog.setval(%L, %s);', format('%I.%I', n.nspname, c.relname), v.value) END
  FROM here CROSS JOIN pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN used u ON u.sequence = c.oid
    LEFT JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attnum
    CROSS JOIN LATERAL (SELECT CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE') THEN pg_sequence_last_value(c.oid) END) v(value)
  WHERE c.relpersistence = 'p' AND n.nspname <> 'cdc'
  ORDER BY n.nspname, c.relname, u.relation, u.attnum
$$;
REVOKE ALL ON FUNCTION cdc.sequences() FROM PUBLIC;
COMMENT ON FUNCTION cdc.sequences() IS
  'The sequences of this database that are in its WAL, with the columns that use them (NULL: none, or a default outside of tables), and their values: last_value is at least what rows have taken that were committed before position; NULL: nothing was taken, or the caller may not read it. statement: sets a copy''s sequence of that name to it; NULL as last_value. More: docs/migrate.md.';
