-- Schemas

CREATE FUNCTION cdc.fingerprint(relation regclass)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_fingerprint_sql';
REVOKE ALL ON FUNCTION cdc.fingerprint(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.fingerprint(regclass) IS
  'Address of the table''s schema as it is now, 16 hexadecimal digits: the first 8 bytes of the SHA-256 of its serialized cdc.v1.Table. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION cdc.table_schema(relation regclass)
RETURNS jsonb LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_table_schema';
REVOKE ALL ON FUNCTION cdc.table_schema(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.table_schema(regclass) IS
  'The table''s cdc.v1.Table as it is now. missing: the value of rows older than the column. NULL gives NULL. ERROR 42809 for what is no table.';

CREATE FUNCTION cdc.proto(relation regclass, version int DEFAULT NULL)
RETURNS text LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_proto';
REVOKE ALL ON FUNCTION cdc.proto(regclass, int) FROM PUBLIC;
COMMENT ON FUNCTION cdc.proto(regclass, int) IS
  'A .proto file with a message for the table''s rows as they are now, or in a major version that the registry has. Field number = attnum; what was dropped is reserved. Package: schema, table, major version. NULL gives NULL. ERROR 42809 for what is no table, 42501 for what the caller may not be sent, 42704 for an unknown version, 55000 for a retired one. More: docs/reference.md.';

CREATE FUNCTION cdc.proto_files(schema regnamespace DEFAULT NULL, OUT path text, OUT content text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  relations regclass[];
  relation regclass;
  package text;
BEGIN
  -- two ways, since the registry is not for everyone to read
  IF schema IS NULL THEN
    relations := ARRAY(SELECT v.relation FROM cdc.schema_versions v WHERE v.current ORDER BY v.relation::text COLLATE "C");
  ELSE
    relations := ARRAY(SELECT c.oid FROM pg_class c
                       WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
                       ORDER BY c.relname COLLATE "C");
  END IF;
  FOREACH relation IN ARRAY relations LOOP
    BEGIN
      content := cdc.proto(relation);
    EXCEPTION WHEN insufficient_privilege THEN
      CONTINUE;
    END;
    package := substring(content FROM E'\npackage ([^;]*);');
    path := replace(package, '.', '/') || '/' || substring(package FROM '([^.]*)\.v[0-9]+$') || '.proto';
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.proto_files(regnamespace) FROM PUBLIC;
COMMENT ON FUNCTION cdc.proto_files(regnamespace) IS
  'The files of cdc.proto() for all tables of a schema, or with NULL for all registered tables, for which the caller must be able to read cdc.schema_versions; without those that the caller may not be sent. path: where protoc and buf expect a file of that package; they import cdc/v1/cdc.proto.';

CREATE FUNCTION cdc.converter(relation regclass, from_version int, to_version int, language text)
RETURNS text LANGUAGE c STRICT STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_converter';
REVOKE ALL ON FUNCTION cdc.converter(regclass, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.converter(regclass, int, int, text) IS
  'A skeleton of code that makes rows of one major version of a registered table rows of another: equal columns are taken over, integers cast, all else is marked TODO. language: sql, go (messages of protoc-gen-go) or rust (of prost), generated from cdc.proto(relation, version). NULL arguments give NULL. ERROR as cdc.proto(), 22023 for another language.';
