-- Reports or refuses what breaks readers. Gives the reason for which it is allowed.
CREATE FUNCTION cdc.judge_change(relation text, registered cdc.registered_table, findings jsonb)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  why text := cdc.breaking_reason();
  level text := cdc.enforcement();
  broken text;
BEGIN
  IF why IS NOT NULL OR level = 'off' THEN
    RETURN why;
  END IF;
  SELECT concat_ws(E'\n',
    (SELECT string_agg(format('%s%s (%s).', f ->> 'column_name' || ': ', f ->> 'detail', f ->> 'rule'), E'\n')
     FROM jsonb_array_elements(findings) f),
    (SELECT 'Readers: ' || string_agg(format('%s (version %s)', r.consumer, r.major), ', ' ORDER BY r.consumer) || '.'
     FROM cdc.schema_reader r WHERE r.id = registered.id)) INTO broken;
  IF level = 'reject' THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('this would break readers of table %s', relation), DETAIL = broken,
      HINT = format('To do it on purpose, with a new major version, call before, in the same transaction: SELECT cdc.allow_breaking(''why''); the table''s mode is %s.', registered.mode);
  END IF;
  RAISE WARNING USING MESSAGE = format('this breaks readers of table %s', relation), DETAIL = broken;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION cdc.judge_change(text, cdc.registered_table, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.judge_change(text, cdc.registered_table, jsonb) IS
  'Warns of findings, or raises, as cdc.set_enforcement() says. Part of the registry''s own functions.';

-- A schema that returns keeps its number, of this table or of another one that had its name.
-- Another one gets the next of all of them: a number means one thing.
CREATE FUNCTION cdc.put_version(schema record, registered cdc.registered_table, breaking boolean, command text, reason text)
RETURNS cdc.schema_detail LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v cdc.schema_detail;
  own boolean := false;
  numbers record;
BEGIN
  SELECT d.* INTO v FROM cdc.schema_detail d
  WHERE d.schema_name = schema.schema_name AND d.table_name = schema.table_name AND d.sha256 = schema.sha256
  ORDER BY d.id = ANY (registered.versions) DESC LIMIT 1;
  own := v.id = ANY (registered.versions);
  IF v.id IS NULL THEN
    SELECT coalesce(max(d.major), 0) AS most, max(d.major) FILTER (WHERE d.id = registered.version) AS current,
      -- another table that had this name
      array_agg(d.major) FILTER (WHERE d.id <> ALL (registered.versions)) AS taken INTO numbers
    FROM cdc.schema_detail d
    WHERE d.id = ANY (registered.versions) OR d.schema_name = schema.schema_name AND d.table_name = schema.table_name;
    v.major := CASE WHEN breaking OR numbers.current IS NULL OR numbers.current = ANY (numbers.taken) THEN numbers.most + 1 ELSE numbers.current END;
    SELECT coalesce(max(d.minor) + 1, 0) INTO v.minor FROM cdc.schema_detail d WHERE d.id = ANY (registered.versions) AND d.major = v.major;
  ELSIF NOT own THEN
    PERFORM cdc.drop_row(d) FROM cdc.schema_detail d
    WHERE d.schema_name = schema.schema_name AND d.table_name = schema.table_name AND d.sha256 = schema.sha256 AND d.status IN ('dropped', 'unregistered');
  END IF;
  IF own IS NOT TRUE THEN
    v := ROW(nextval('cdc.registry_id'), schema.schema_name, schema.table_name, schema.sha256, v.major, v.minor, 'active', NULL,
             schema.descriptor, schema.enums, now(), session_user, command, reason)::cdc.schema_detail;
  END IF;
  v.enums := schema.enums;
  v.status := 'active';
  v.grace_until := NULL;
  PERFORM cdc.put_row(v);
  RETURN v;
END $$;
REVOKE ALL ON FUNCTION cdc.put_version(record, cdc.registered_table, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.put_version(record, cdc.registered_table, boolean, text, text) IS
  'Finds or makes the version of a schema (of cdc.schema_of()): the next minor one of the table, or if it breaks readers the next major one. Part of the registry''s own functions.';

-- Takes up the schema that a registered table has now. Gives the version; raises where
-- it breaks readers and that is rejected.
CREATE FUNCTION cdc.record_schema(relation regclass, command text, gate boolean, reason text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  schema record;
  known cdc.schema_detail;
  findings jsonb;
BEGIN
  SELECT * INTO schema FROM cdc.schema_of(relation);
  IF schema.sha256 IS NULL THEN           -- it cannot be sent any more
    RETURN NULL;
  END IF;
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN               -- rows of the registry are gone
    RETURN NULL;
  END IF;
  SELECT d.* INTO known FROM cdc.schema_detail d WHERE d.id = reg.version;
  IF known.sha256 = schema.sha256 AND known.enums = schema.enums THEN
    RETURN format('%s.%s', known.major, known.minor);
  END IF;
  SELECT jsonb_agg(to_jsonb(f)) INTO findings
  FROM cdc.versions_of(reg, reg.mode ~ '_transitive$') v
    CROSS JOIN LATERAL cdc.breaking_changes(v.descriptor, v.enums, schema.descriptor, schema.enums, schema.defaults, reg.mode, reg.level) f
  WHERE reg.mode ~ '_transitive$' OR v.id = reg.version;
  IF findings IS NOT NULL AND gate THEN
    reason := cdc.judge_change(relation::text, reg, findings);
  END IF;
  known := cdc.put_version(schema, reg, findings IS NOT NULL OR NOT gate, command, reason);
  IF (reg.version, reg.schema_name, reg.table_name) <> (known.id, schema.schema_name, schema.table_name) OR findings IS NOT NULL THEN
    reg.version := known.id;
    reg.versions := CASE WHEN known.id = ANY (reg.versions) THEN reg.versions ELSE reg.versions || known.id END;
    reg.schema_name := schema.schema_name;
    reg.table_name := schema.table_name;
    PERFORM cdc.put_row(reg);
    PERFORM cdc.audit_schema('change', relation::text, format('%s.%s', known.major, known.minor), command, reason, findings);
  END IF;
  RETURN format('%s.%s', known.major, known.minor);
END $$;
REVOKE ALL ON FUNCTION cdc.record_schema(regclass, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_schema(regclass, text, boolean, text) IS
  'Takes up the schema that a registered table has now, as a new minor version, or a new major one where it breaks readers; one that returns has its former number. gate: cdc.set_enforcement() counts; without it, which is after a restore, another schema is always a new major version. Part of the registry''s own functions.';

CREATE FUNCTION cdc.end_registration(registered cdc.registered_table, status text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v cdc.schema_detail;
BEGIN
  FOR v IN SELECT * FROM cdc.versions_of(registered) LOOP
    v.status := end_registration.status;
    v.grace_until := NULL;
    PERFORM cdc.put_row(v);
  END LOOP;
  PERFORM cdc.drop_row(s) FROM cdc.schema_reader s WHERE s.id = registered.id;
  PERFORM cdc.drop_row(s) FROM cdc.registered_relation s WHERE s.id = registered.id;
  PERFORM cdc.drop_row(registered);
END $$;
REVOKE ALL ON FUNCTION cdc.end_registration(cdc.registered_table, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.end_registration(cdc.registered_table, text) IS
  'Keeps a table''s schemas no longer; status is that of its versions: dropped or unregistered. Part of the registry''s own functions.';

-- Begins, or goes on with what a restore has brought.
CREATE FUNCTION cdc.begin_registration(relation regclass, mode text, level text, reason text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  schema record;
  reg cdc.registered_table;
  v cdc.schema_detail;
BEGIN
  SELECT * INTO schema FROM cdc.schema_of(relation);
  IF schema.sha256 IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('"%s" is not a table whose changes are sent', coalesce(relation::text, 'NULL'));
  END IF;
  SELECT t.* INTO reg FROM cdc.registered_table t
  WHERE t.schema_name = schema.schema_name AND t.table_name = schema.table_name AND NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id);
  IF FOUND THEN
    PERFORM cdc.put_row(ROW(relation, reg.id)::cdc.registered_relation);
    RETURN cdc.record_schema(relation, NULL, false, coalesce(reason, 'restored'));
  END IF;
  reg := ROW(nextval('cdc.registry_id'), schema.schema_name, schema.table_name, mode, level, 0, '{}', reason, now(), session_user)::cdc.registered_table;
  v := cdc.put_version(schema, reg, false, NULL, reason);
  reg.version := v.id;
  reg.versions := ARRAY[v.id];
  PERFORM cdc.put_row(reg), cdc.put_row(ROW(relation, reg.id)::cdc.registered_relation);
  RETURN format('%s.%s', v.major, v.minor);
END $$;
REVOKE ALL ON FUNCTION cdc.begin_registration(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.begin_registration(regclass, text, text, text) IS
  'What cdc.register() and cdc.refresh_registry() do with a table that is not registered here. Part of the registry''s own functions.';
