CREATE FUNCTION cdc.versions_of(registered cdc.registered_table, counting boolean DEFAULT false)
RETURNS SETOF cdc.schema_detail LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.* FROM unnest(registered.versions) v(id) JOIN cdc.schema_detail d USING (id)
  WHERE NOT counting OR d.status = 'active' OR d.status = 'deprecated' AND d.grace_until > now()
$$;
REVOKE ALL ON FUNCTION cdc.versions_of(cdc.registered_table, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.versions_of(cdc.registered_table, boolean) IS
  'The versions of a registered table: all, or those that count for compatibility. Part of the registry''s own functions.';

-- The row of a table; waits for who writes it. That is not an UPDATE, so who has waited
-- must look again.
CREATE FUNCTION cdc.registration(relation regclass)
RETURNS cdc.registered_table LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  reg cdc.registered_table;
BEGIN
  LOOP
    SELECT t.* INTO reg FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id)
    WHERE r.relid = registration.relation FOR UPDATE OF t;
    EXIT WHEN FOUND OR NOT EXISTS (SELECT FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id) WHERE r.relid = registration.relation);
  END LOOP;
  RETURN reg;
END $$;
REVOKE ALL ON FUNCTION cdc.registration(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.registration(regclass) IS
  'The row of cdc.registered_table of a table, locked against others that write it; NULL where it is not registered, or was restored. Part of the registry''s own functions.';

CREATE FUNCTION cdc.check_registered(relation regclass)
RETURNS cdc.registered_table LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  reg cdc.registered_table;
BEGIN
  SELECT t.* INTO reg FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id) WHERE r.relid = relation;
  IF FOUND THEN
    RETURN reg;
  ELSIF EXISTS (SELECT FROM cdc.registered_table t JOIN pg_class c ON c.relname = t.table_name JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schema_name
                WHERE c.oid = relation AND NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id)) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('table %s was restored: what the registry has of it is about another server', relation),
      HINT = 'Run SELECT cdc.refresh_registry();';
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'undefined_object',
    MESSAGE = format('table %s is not registered', coalesce(relation::text, 'NULL')),
    HINT = 'cdc.register() registers it.';
END $$;
REVOKE ALL ON FUNCTION cdc.check_registered(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_registered(regclass) IS
  'The row of cdc.registered_table of a table. ERROR 42704 where it is not registered, 55000 after a restore. Part of the registry''s own functions.';

CREATE FUNCTION cdc.check_compatibility(relation regclass, mode text DEFAULT NULL,
  OUT version text, OUT rule text, OUT column_name text, OUT backward boolean, OUT forward boolean,
  OUT wire boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table := cdc.check_registered(relation);
  schema record;
BEGIN
  IF mode <> ALL (cdc.choices('mode')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode: %s', quote_ident(mode)),
      HINT = format('Modes are: %s.', array_to_string(cdc.choices('mode'), ', '));
  END IF;
  SELECT * INTO schema FROM cdc.schema_of(check_compatibility.relation);
  RETURN QUERY
  SELECT format('%s.%s', v.major, v.minor), f.rule, f.column_name, f.backward, f.forward, f.wire, f.detail
  FROM cdc.versions_of(reg, true) v
    CROSS JOIN LATERAL cdc.breaking_changes(v.descriptor, v.enums, schema.descriptor, schema.enums, schema.defaults,
      coalesce(check_compatibility.mode, reg.mode), reg.level) f
  WHERE v.sha256 <> schema.sha256
  ORDER BY v.major, v.minor;
END $$;
REVOKE ALL ON FUNCTION cdc.check_compatibility(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_compatibility(regclass, text) IS
  'Compares a registered table as it is now with all its other versions that are active, or deprecated and in their time of grace. A row for each thing that breaks readers under the mode (NULL = the table''s); no rows: compatible. Columns as of cdc.compare_schemas(). ERROR 42704 for a table that is not registered, 55000 after a restore until cdc.refresh_registry(), 22023 for an unknown mode.';

CREATE FUNCTION cdc.assert_compatible(relation regclass, mode text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  findings text;
BEGIN
  SELECT string_agg(format('Version %s: %s%s (%s).', c.version, c.column_name || ': ', c.detail, c.rule), E'\n')
  INTO findings FROM cdc.check_compatibility(relation, mode) c;
  IF findings IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('table %s is not compatible with its earlier versions', relation), DETAIL = findings,
      HINT = 'Retire versions that nobody reads any more by cdc.retire_version().';
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.assert_compatible(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.assert_compatible(regclass, text) IS
  'ERROR (55000), with all findings, if cdc.check_compatibility() has any.';
