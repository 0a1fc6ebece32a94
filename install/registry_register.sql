CREATE FUNCTION cdc.check_registrable(relation regclass)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kind text := (SELECT CASE c.relpersistence WHEN 't' THEN 'temporary' WHEN 'u' THEN 'unlogged' END
                FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p'));
BEGIN
  IF kind IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s table %s cannot be registered', kind, relation),
      DETAIL = 'Its changes are never sent.';
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.check_registrable(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_registrable(regclass) IS 'ERROR (42809) for temporary and unlogged tables. Part of the registry''s own functions.';

CREATE FUNCTION cdc.register(relation regclass, mode text DEFAULT 'full', level text DEFAULT 'file', reason text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  version text;
BEGIN
  PERFORM cdc.require_primary('cdc.register()');
  IF mode IS NULL OR mode <> ALL (cdc.choices('mode')) OR level IS NULL OR level <> ALL (cdc.choices('level')) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown mode or level: %s, %s', mode, level),
      HINT = format('Modes are: %s; levels: %s.', array_to_string(cdc.choices('mode'), ', '), array_to_string(cdc.choices('level'), ', '));
  END IF;
  PERFORM cdc.check_registrable(relation);
  PERFORM cdc.hold_relation(relation);
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN
    version := cdc.begin_registration(relation, mode, level, reason);
    reg := cdc.registration(relation);
  END IF;
  reg.mode := mode;
  reg.level := level;
  reg.reason := coalesce(reason, reg.reason);
  PERFORM cdc.put_row(reg);
  SELECT format('%s.%s', d.major, d.minor) INTO version FROM cdc.schema_detail d WHERE d.id = reg.version;
  PERFORM cdc.audit_schema('register', relation::text, version, format('mode %s, level %s', mode, level), reason);
  RETURN version;
END $$;
REVOKE ALL ON FUNCTION cdc.register(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.register(regclass, text, text, text) IS
  'Keeps the versions of a table''s schema from now on, and returns the one that it is; of a registered table it changes mode and level. mode: backward, forward, full, each also with _transitive, or none; level: wire or file: docs/schema-evolution.md. ERROR 42809 for what is no table, or never sent; 22023 for an unknown mode or level.';

CREATE FUNCTION cdc.unregister(relation regclass, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
BEGIN
  PERFORM cdc.require_primary('cdc.unregister()');
  reg := cdc.registration(relation);
  IF reg.id IS NULL THEN
    reg := cdc.check_registered(relation);
  END IF;
  PERFORM cdc.end_registration(reg, 'unregistered');
  PERFORM cdc.audit_schema('unregister', relation::text, NULL, NULL, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.unregister(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.unregister(regclass, text) IS
  'Keeps a table''s schemas no longer: its versions are told no more, and their numbers not used again. ERROR 42704 for a table that is not registered, 55000 after a restore until cdc.refresh_registry().';

CREATE FUNCTION cdc.register_reader(consumer text, relation regclass, version int DEFAULT NULL, fingerprint text DEFAULT NULL)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  found int;
BEGIN
  PERFORM cdc.require_primary('cdc.register_reader()');
  reg := cdc.registration(relation);
  IF consumer IS NULL OR num_nonnulls(version, fingerprint) <> 1 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'consumer and either version or fingerprint must be given';
  END IF;
  SELECT max(v.major) INTO found FROM cdc.versions_of(reg) v
  WHERE v.major = version OR left(encode(v.sha256, 'hex'), 16) = fingerprint;
  IF found IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('table %s has no version %s', relation, coalesce(version::text, 'with fingerprint ' || fingerprint)),
      HINT = 'The view cdc.schema_versions lists those that there are. Where a stream leaves columns out, or has values of older rows, give the version, which it tells.';
  END IF;
  PERFORM cdc.put_row(ROW(consumer, reg.id, found, now(), session_user)::cdc.schema_reader);
  RETURN found;
END $$;
REVOKE ALL ON FUNCTION cdc.register_reader(text, regclass, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.register_reader(text, regclass, int, text) IS
  'Records that a consumer reads a major version of a table, given by its number or by the fingerprint of a whole schema (16 hexadecimal digits), and returns the number. A consumer has one version of each table; cdc.readers shows who would break. ERROR 42704 for a version that there is not, 22023 unless one of both is given.';

CREATE FUNCTION cdc.retire_version(relation regclass, version int, grace interval DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  reg cdc.registered_table;
  v cdc.schema_detail;
BEGIN
  PERFORM cdc.require_primary('cdc.retire_version()');
  reg := cdc.registration(relation);
  IF EXISTS (SELECT FROM cdc.schema_detail d WHERE d.id = reg.version AND d.major = version) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('version %s is what table %s is now', version, relation);
  END IF;
  FOR v IN SELECT * FROM cdc.versions_of(reg) d WHERE d.major = version LOOP
    v.status := CASE WHEN grace IS NULL THEN 'retired' ELSE 'deprecated' END;
    v.grace_until := now() + grace;
    PERFORM cdc.put_row(v);
  END LOOP;
  IF v.id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('table %s has no version %s', relation, version);
  END IF;
  PERFORM cdc.audit_schema(CASE WHEN grace IS NULL THEN 'retire' ELSE 'deprecate' END, relation::text, version::text, NULL, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.retire_version(regclass, int, interval, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.retire_version(regclass, int, interval, text) IS
  'Ends a major version of a table: at once, or with grace when that time has passed, until when it is deprecated. Retired versions no longer count for compatibility. ERROR 55000 for the version that the table has now, 42704 for one that there is not.';

-- A table that is gone, by an event trigger or found later.
CREATE FUNCTION cdc.record_drop(registered cdc.registered_table, command text, reason text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  version text := (SELECT format('%s.%s', d.major, d.minor) FROM cdc.schema_detail d WHERE d.id = registered.version);
BEGIN
  PERFORM cdc.end_registration(registered, 'dropped');
  PERFORM cdc.audit_schema('drop', format('%I.%I', registered.schema_name, registered.table_name), version, command, reason);
END $$;
REVOKE ALL ON FUNCTION cdc.record_drop(cdc.registered_table, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_drop(cdc.registered_table, text, text) IS 'Takes up that a registered table is gone. Part of the registry''s own functions.';

CREATE FUNCTION cdc.refresh_registry(forget boolean DEFAULT false)
RETURNS TABLE (relation regclass, version text) LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  reg cdc.registered_table;
BEGIN
  PERFORM cdc.require_primary('cdc.refresh_registry()');
  LOCK TABLE cdc.registered_relation IN SHARE UPDATE EXCLUSIVE MODE;
  -- dropped where no event trigger saw it
  FOR reg IN
    SELECT t.* FROM cdc.registered_relation r JOIN cdc.registered_table t USING (id)
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid)
  LOOP
    PERFORM cdc.record_drop(reg, NULL, 'found by cdc.refresh_registry()');
  END LOOP;
  FOR reg IN
    SELECT t.* FROM cdc.registered_table t WHERE NOT EXISTS (SELECT FROM cdc.registered_relation r WHERE r.id = t.id) ORDER BY t.id
  LOOP
    relation := to_regclass(format('%I.%I', reg.schema_name, reg.table_name));
    version := NULL;
    IF EXISTS (SELECT FROM cdc.schema_of(relation) n WHERE n.sha256 IS NOT NULL) THEN
      version := cdc.begin_registration(relation, reg.mode, reg.level, NULL);
      RETURN NEXT;
    ELSIF forget THEN
      PERFORM cdc.record_drop(reg, NULL, 'not restored');
    ELSE
      RAISE WARNING USING MESSAGE = format('registered table %I.%I is not there', reg.schema_name, reg.table_name),
        HINT = 'Restore it and call cdc.refresh_registry() again, or SELECT cdc.refresh_registry(forget => true).';
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.refresh_registry(boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.refresh_registry(boolean) IS
  'To be called after a dump was restored: finds the registered tables again by their names, and returns them with their versions. One whose columns have other numbers than before gets a new major version. Those that are not there are a WARNING each; forget: they are registered no more. Until then DDL on restored tables is not looked at.';
