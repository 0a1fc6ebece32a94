CREATE FUNCTION cdc.describe_schema(relation regclass, OUT descriptor bytea, OUT defaults int2[])
RETURNS record LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_describe_schema';
REVOKE ALL ON FUNCTION cdc.describe_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.describe_schema(regclass) IS
  'The whole schema of a table as the registry keeps it: descriptor, its serialized cdc.v1.Table without rules, privileges and values of older rows; defaults, the attnums of the columns that have such a value. NULL for what is no table or is never sent. Takes no lock on the table.';

CREATE FUNCTION cdc.compare_schemas(before bytea, after bytea, defaults int2[] DEFAULT '{}', OUT rule text,
  OUT backward boolean, OUT forward boolean, OUT wire boolean, OUT column_name text, OUT detail text)
RETURNS SETOF record LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_compare_schemas';
REVOKE ALL ON FUNCTION cdc.compare_schemas(bytea, bytea, int2[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.compare_schemas(bytea, bytea, int2[]) IS
  'What a change from one descriptor to another breaks, a row for each finding: backward or forward, at level wire or file. column_name NULL: the table itself. defaults: see cdc.describe_schema(). docs/schema-evolution.md has the rules. NULL arguments give no rows. ERROR XX001 for what is no cdc.v1.Table.';

CREATE FUNCTION cdc.allow_breaking(reason text)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_allow_breaking';
REVOKE ALL ON FUNCTION cdc.allow_breaking(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.allow_breaking(text) IS
  'Lets the rest of the current transaction break readers of registered tables on purpose: DDL that is rejected otherwise (see cdc.set_enforcement()) gets a new major version, with this reason. NULL does nothing. ERROR 22023 for an empty reason.';

CREATE FUNCTION cdc.breaking_reason()
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_breaking_reason';
REVOKE ALL ON FUNCTION cdc.breaking_reason() FROM PUBLIC;
COMMENT ON FUNCTION cdc.breaking_reason() IS 'What cdc.allow_breaking() was given in the current transaction; NULL = it was not called.';

CREATE FUNCTION cdc.set_enforcement(level text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM cdc.require_primary('cdc.set_enforcement()');
  IF level IS NULL OR level <> ALL (cdc.choices('enforcement')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown level: %s', coalesce(quote_ident(level), 'NULL')),
      HINT = format('Levels are: %s.', array_to_string(cdc.choices('enforcement'), ', '));
  END IF;
  LOCK TABLE cdc.schema_enforcement IN SHARE ROW EXCLUSIVE MODE;
  PERFORM cdc.put_row(ROW(true, level)::cdc.schema_enforcement);
  PERFORM cdc.audit_schema('enforce', '*', NULL, level);
END $$;
REVOKE ALL ON FUNCTION cdc.set_enforcement(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.set_enforcement(text) IS
  'What happens to DDL in this database that breaks readers of a registered table: off, it is recorded; warn (as if never called), and reported; reject, it fails unless cdc.allow_breaking() was called in the transaction. No setting of a session changes it. ERROR 22023 for another level.';

CREATE FUNCTION cdc.enforcement()
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce((SELECT e.level FROM cdc.schema_enforcement e), 'warn') $$;
REVOKE ALL ON FUNCTION cdc.enforcement() FROM PUBLIC;
COMMENT ON FUNCTION cdc.enforcement() IS 'What cdc.set_enforcement() has set: off, warn or reject.';

CREATE FUNCTION cdc.enum_labels(relation regclass)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE used(oid) AS (
    SELECT atttypid FROM pg_attribute WHERE attrelid = enum_labels.relation AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
    FROM used JOIN pg_type t USING (oid) WHERE t.typtype = 'd' OR t.typcategory = 'A')
  SELECT coalesce(jsonb_object_agg(name, labels), '{}')
  FROM (SELECT format_type(e.enumtypid, NULL) AS name, jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) AS labels
        FROM pg_enum e JOIN used ON used.oid = e.enumtypid GROUP BY e.enumtypid) l
$$;
REVOKE ALL ON FUNCTION cdc.enum_labels(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.enum_labels(regclass) IS 'The labels of the enum types that columns of a table have, by type; {} where there are none.';

-- What breaks under a mode and a level. Enum labels are no part of a descriptor.
CREATE FUNCTION cdc.breaking_changes(before bytea, before_enums jsonb, after bytea, after_enums jsonb, defaults int2[],
  mode text, level text, OUT rule text, OUT backward boolean, OUT forward boolean, OUT wire boolean,
  OUT column_name text, OUT detail text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.* FROM (
    SELECT * FROM cdc.compare_schemas(before, after, defaults)
    UNION ALL
    SELECT 'enum_label_added', false, true, false, NULL, format('type %s has label %s now', t.key, l.value)
    FROM jsonb_each(after_enums) t, jsonb_array_elements_text(t.value) l
    WHERE before_enums ? t.key AND NOT before_enums -> t.key ? l.value
    UNION ALL
    SELECT 'enum_label_renamed', true, true, false, NULL, format('type %s has no label %s any more', t.key, l.value)
    FROM jsonb_each(before_enums) t, jsonb_array_elements_text(t.value) l
    WHERE after_enums ? t.key AND NOT after_enums -> t.key ? l.value) f
  WHERE (f.wire OR level = 'file')
    AND (f.backward AND mode ~ '^(backward|full)' OR f.forward AND mode ~ '^(forward|full)')
$$;
REVOKE ALL ON FUNCTION cdc.breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.breaking_changes(bytea, jsonb, bytea, jsonb, int2[], text, text) IS
  'The findings of cdc.compare_schemas() and about labels of enum types that count in a mode (none, backward, forward, full, each also _transitive) and at a level (wire: bytes alone; file: names and declarations too).';

CREATE FUNCTION cdc.schema_of(relation regclass, OUT schema_name name, OUT table_name name, OUT sha256 bytea,
  OUT descriptor bytea, OUT defaults int2[], OUT enums jsonb)
RETURNS record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT n.nspname, c.relname, sha256(d.descriptor), d.descriptor, d.defaults, cdc.enum_labels(relation)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL cdc.describe_schema(relation) d
  WHERE c.oid = relation AND d.descriptor IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.schema_of(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.schema_of(regclass) IS
  'cdc.describe_schema() with names, hash and labels of enum types; all NULL for what is no table or is never sent. Part of the registry''s own functions.';
