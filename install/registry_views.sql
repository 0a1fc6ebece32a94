CREATE VIEW cdc.schema_versions AS
SELECT r.relid::pg_catalog.regclass AS relation, d.major, d.minor, pg_catalog.left(pg_catalog.encode(d.sha256, 'hex'), 16) AS fingerprint,
       d.id = t.version AS current,
       CASE WHEN d.status = 'deprecated' AND d.grace_until <= pg_catalog.now() THEN 'retired' ELSE d.status END AS status,
       d.grace_until, d.created_at, d.created_by, d.command, d.reason
FROM cdc.registered_relation r JOIN pg_catalog.pg_class c ON c.oid = r.relid
  JOIN cdc.registered_table t ON t.id = r.id
  CROSS JOIN LATERAL pg_catalog.unnest(t.versions) v(id) JOIN cdc.schema_detail d ON d.id = v.id;
REVOKE ALL ON cdc.schema_versions FROM PUBLIC;
COMMENT ON VIEW cdc.schema_versions IS
  'The versions of registered tables. fingerprint: of the whole schema, without values of older rows; current: what the table is now; status: active, deprecated until grace_until, or retired; command: the tag and object of the command that made it.';
COMMENT ON COLUMN cdc.schema_versions.relation IS 'The registered table.';
COMMENT ON COLUMN cdc.schema_versions.major IS 'Grows with changes that break readers.';
COMMENT ON COLUMN cdc.schema_versions.minor IS 'Grows with other changes.';
COMMENT ON COLUMN cdc.schema_versions.fingerprint IS 'Of the whole schema, without values of older rows.';
COMMENT ON COLUMN cdc.schema_versions.current IS 'What the table is now.';
COMMENT ON COLUMN cdc.schema_versions.status IS 'active, deprecated until grace_until, or retired.';
COMMENT ON COLUMN cdc.schema_versions.grace_until IS 'Until when a deprecated version can be asked for.';
COMMENT ON COLUMN cdc.schema_versions.created_at IS 'When it came to be.';
COMMENT ON COLUMN cdc.schema_versions.created_by IS 'Whose command made it.';
COMMENT ON COLUMN cdc.schema_versions.command IS 'Tag and object of the command that made it.';
COMMENT ON COLUMN cdc.schema_versions.reason IS 'What cdc.allow_breaking() or cdc.register() was given.';

CREATE VIEW cdc.readers AS
SELECT s.consumer, r.relid::pg_catalog.regclass AS relation, s.major AS reads, actual.major AS current,
       ARRAY(SELECT f.detail
             FROM cdc.describe_schema(r.relid) n
               CROSS JOIN LATERAL (
                 SELECT d.* FROM pg_catalog.unnest(t.versions) v(id) JOIN cdc.schema_detail d ON d.id = v.id
                 WHERE d.major = s.major ORDER BY d.minor DESC LIMIT 1) d
               CROSS JOIN LATERAL cdc.breaking_changes(d.descriptor, d.enums, n.descriptor, cdc.enum_labels(r.relid), n.defaults, 'forward', t.level) f) AS breaks,
       s.registered_at, s.registered_by
FROM cdc.schema_reader s JOIN cdc.registered_table t ON t.id = s.id JOIN cdc.registered_relation r ON r.id = t.id
  JOIN pg_catalog.pg_class c ON c.oid = r.relid JOIN cdc.schema_detail actual ON actual.id = t.version;
REVOKE ALL ON cdc.readers FROM PUBLIC;
COMMENT ON VIEW cdc.readers IS
  'Who reads which major version of which table. breaks: what such a reader meets in data of the table as it is now, {} = nothing. Needs EXECUTE on the functions that compare.';
COMMENT ON COLUMN cdc.readers.consumer IS 'Who reads.';
COMMENT ON COLUMN cdc.readers.relation IS 'The registered table.';
COMMENT ON COLUMN cdc.readers.reads IS 'The major version that it reads.';
COMMENT ON COLUMN cdc.readers.current IS 'The major version that the table has.';
COMMENT ON COLUMN cdc.readers.breaks IS 'What such a reader meets in data of the table as it is now; {} = nothing.';
COMMENT ON COLUMN cdc.readers.registered_at IS 'When cdc.register_reader() was called.';
COMMENT ON COLUMN cdc.readers.registered_by IS 'Who called it.';

CREATE FUNCTION cdc.export_schemas()
RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('schema', d.schema_name, 'table', d.table_name, 'version', format('%s.%s', d.major, d.minor),
    'mode', t.mode, 'level', t.level, 'enums', d.enums, 'descriptor', encode(d.descriptor, 'hex'))::text
  FROM cdc.registered_table t JOIN cdc.schema_detail d ON d.id = t.version
    JOIN cdc.registered_relation r ON r.id = t.id JOIN pg_class c ON c.oid = r.relid
  ORDER BY d.schema_name, d.table_name
$$;
REVOKE ALL ON FUNCTION cdc.export_schemas() FROM PUBLIC;
COMMENT ON FUNCTION cdc.export_schemas() IS
  'The current versions of all registered tables, a line of JSON for each: what scripts/schema-check compares another database with.';

CREATE FUNCTION cdc.check_export(line text, OUT relation text, OUT version text, OUT rule text, OUT column_name text,
  OUT backward boolean, OUT forward boolean, OUT wire boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  before jsonb;
  t regclass;
BEGIN
  BEGIN
    before := line::jsonb;
  EXCEPTION WHEN data_exception THEN
    before := '{}';
  END;
  IF NOT before ?& '{schema,table,version,mode,level,enums,descriptor}' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'line is none that cdc.export_schemas() gives';
  END IF;
  relation := format('%I.%I', before ->> 'schema', before ->> 'table');
  version := before ->> 'version';
  t := to_regclass(relation);
  IF t IS NULL AND before ->> 'mode' <> 'none' THEN
    RETURN QUERY SELECT relation, version, 'table_dropped', NULL, true, true, true, 'there is no such table';
  END IF;
  RETURN QUERY
  SELECT relation, version, f.rule, f.column_name, f.backward, f.forward, f.wire, f.detail
  FROM cdc.describe_schema(t) n
    CROSS JOIN LATERAL cdc.breaking_changes(decode(before ->> 'descriptor', 'hex'), before -> 'enums', n.descriptor,
      cdc.enum_labels(t), n.defaults, before ->> 'mode', before ->> 'level') f;
END $$;
REVOKE ALL ON FUNCTION cdc.check_export(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_export(text) IS
  'Compares the table of this name, registered or not, with a line that cdc.export_schemas() gave elsewhere. A row for each thing that breaks readers; no rows: compatible. NULL gives no rows. ERROR 22023 for another text.';

CREATE FUNCTION cdc.check_mapping(relation regclass, version int)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_check_mapping';
REVOKE ALL ON FUNCTION cdc.check_mapping(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_mapping(regclass, int) IS
  'Whether rows of a registered table, as it is now, can be sent in an older major version by the option "versions": NULL = they can, otherwise why not. ERROR 42704 for a version that there is not, 55000 for one that is retired or whose time of grace is over. NULL arguments give NULL.';
