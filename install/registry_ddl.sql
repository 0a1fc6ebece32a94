CREATE FUNCTION cdc.changed_relations()
RETURNS oid[] LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_changed_relations';
REVOKE ALL ON FUNCTION cdc.changed_relations() FROM PUBLIC;
COMMENT ON FUNCTION cdc.changed_relations() IS
  'The relations that were changed or dropped in the current transaction since the last call, and perhaps some that others have changed. Part of the registry''s own functions.';

CREATE FUNCTION cdc.hold_relation(relation regclass)
RETURNS void LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_hold_relation';
REVOKE ALL ON FUNCTION cdc.hold_relation(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.hold_relation(regclass) IS
  'Keeps a table from being altered, or registered by others, until the end of the transaction; waits for who does so. Part of the registry''s own functions.';

CREATE FUNCTION cdc.dependent_relations(classids oid[], objids oid[])
RETURNS oid[] LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE changed(classid, objid) AS (
    SELECT * FROM unnest(classids, objids)
    UNION
    -- types of them, arrays of these, domains over them
    SELECT d.classid, d.objid FROM changed c JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.objid
    WHERE d.classid = 'pg_type'::regclass)
  SELECT ARRAY(
    SELECT DISTINCT d.objid FROM changed c JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.objid
    WHERE d.classid = 'pg_class'::regclass)
$$;
REVOKE ALL ON FUNCTION cdc.dependent_relations(oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.dependent_relations(oid[], oid[]) IS
  'The relations that are in schemas, belong to extensions, or have columns of types (by catalog and OID), or of types made of these. Part of the registry''s own functions.';

-- Not the command says what it has changed, but the catalogs: all commands are alike.
CREATE FUNCTION cdc.record_schemas()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  touched oid[] := cdc.changed_relations();
  others record;
  t record;
  reg cdc.registered_table;
  why text := cdc.breaking_reason();
  command text;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.registered_relation) THEN
    RETURN;
  END IF;
  -- names of types and schemas are in no catalog of relations, nor are enum labels
  SELECT array_agg(c.classid) AS classids, array_agg(c.objid) AS objids INTO others
  FROM pg_event_trigger_ddl_commands() c WHERE c.classid IN ('pg_type'::regclass, 'pg_namespace'::regclass, 'pg_extension'::regclass);
  IF others.objids IS NOT NULL THEN
    touched := touched || cdc.dependent_relations(others.classids, others.objids);
  END IF;
  FOR t IN
    SELECT r.relid, c.oid IS NOT NULL AS there FROM cdc.registered_relation r LEFT JOIN pg_class c ON c.oid = r.relid
    WHERE r.relid = ANY (touched) ORDER BY r.id
  LOOP
    command := coalesce((SELECT concat_ws(' ', c.command_tag, c.object_identity) FROM pg_event_trigger_ddl_commands() c WHERE c.objid IS NOT NULL LIMIT 1), tg_tag);
    IF t.there THEN
      PERFORM cdc.record_schema(t.relid, command, true, NULL);
      CONTINUE;
    END IF;
    reg := cdc.registration(t.relid);
    IF reg.mode <> 'none' AND why IS NULL AND cdc.enforcement() = 'reject' THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('this would drop the registered table %I.%I', reg.schema_name, reg.table_name),
        HINT = 'Call cdc.unregister() before, or in the same transaction cdc.allow_breaking(''why'').';
    ELSIF reg.id IS NOT NULL THEN
      PERFORM cdc.record_drop(reg, command, why);
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.record_schemas() FROM PUBLIC;
COMMENT ON FUNCTION cdc.record_schemas() IS 'Event trigger function: takes up what a command made of registered tables, or refuses it.';
CREATE EVENT TRIGGER cdc_record_schemas ON ddl_command_end EXECUTE FUNCTION cdc.record_schemas();
ALTER EVENT TRIGGER cdc_record_schemas ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_record_schemas IS 'Takes up what commands make of registered tables, or refuses it, see cdc.set_enforcement().';
