-- The SQL surface: what there is, who may use it, how it is declared. A new
-- object fails here until it is entered in the table of expectations.
BEGIN;
SELECT no_plan();

CREATE TEMP TABLE expected (name text, args text, result text, lang text, volatility "char", strict bool, parallel "char", returns_set bool);
INSERT INTO expected VALUES
  ('put_row', '"row" record', 'void', 'c', 'v', true, 'u', false),
  ('drop_row', '"row" record', 'boolean', 'c', 'v', true, 'u', false),
  ('table_written', '', 'trigger', 'c', 'v', false, 'u', false),
  ('create_slot', 'INOUT slot_name name, temporary boolean DEFAULT false, two_phase boolean DEFAULT false, failover boolean DEFAULT false, options text[] DEFAULT ''{}''::text[], reader name DEFAULT NULL::name', 'record', 'c', 'v', false, 'u', false),
  ('require_primary', 'function text', 'void', 'c', 'v', true, 'u', false),
  ('missing_tables', 'tables text, versions text', 'text', 'c', 's', false, 's', false),
  ('alter_slot', 'slot_name name, options text[] DEFAULT ''{}''::text[], reader name DEFAULT NULL::name, standby boolean DEFAULT false', 'void', 'c', 'v', false, 'u', false),
  ('copy_slot', 'INOUT slot_name name, new_name name, temporary boolean DEFAULT false', 'record', 'c', 'v', true, 'u', false),
  ('advance_slot', 'INOUT slot_name name, upto_lsn pg_lsn', 'record', 'c', 'v', true, 'u', false),
  ('drop_slot', 'slot_name name, force boolean DEFAULT false', 'void', 'c', 'v', true, 'u', false),
  ('decode_json', 'data bytea', 'json', 'c', 'i', true, 's', true),
  ('decode', 'data bytea', 'record', 'c', 'i', true, 'u', true),
  ('peek', 'slot_name name, upto_lsn pg_lsn DEFAULT NULL::pg_lsn, upto_nchanges integer DEFAULT NULL::integer, options text[] DEFAULT ''{}''::text[]', 'record', 'plpgsql', 'v', false, 'u', true),
  ('read', 'slot_name name, upto_lsn pg_lsn DEFAULT NULL::pg_lsn, upto_nchanges integer DEFAULT NULL::integer, options text[] DEFAULT ''{}''::text[]', 'record', 'plpgsql', 'v', false, 'u', true),
  ('snapshot', 'relation regclass, from_key text[] DEFAULT NULL::text[], to_key text[] DEFAULT NULL::text[], from_block bigint DEFAULT NULL::bigint, to_block bigint DEFAULT NULL::bigint, options text[] DEFAULT ''{}''::text[], slot_name name DEFAULT NULL::name', 'bytea', 'c', 'v', false, 'u', true),
  ('snapshot_chunks', 'relation regclass, max_rows bigint DEFAULT 100000', 'record', 'c', 'v', true, 'u', true),
  ('slot_counters', 'slot_name name', 'record', 'c', 'v', true, 'r', false),
  ('fetch', 'slot_name name, confirmed_lsn pg_lsn DEFAULT NULL::pg_lsn, start_lsn pg_lsn DEFAULT NULL::pg_lsn, max_bytes bigint DEFAULT 16777216, timeout interval DEFAULT ''00:00:00''::interval, options text[] DEFAULT ''{}''::text[]', 'record', 'c', 'v', false, 'u', true),
  ('grant_read', 'relation regclass DEFAULT NULL::regclass, role regrole DEFAULT NULL::regrole, columns name[] DEFAULT NULL::name[], prefix text DEFAULT NULL::text, reason text DEFAULT NULL::text', 'void', 'c', 'v', false, 'u', false),
  ('revoke_read', 'relation regclass DEFAULT NULL::regclass, role regrole DEFAULT NULL::regrole, columns name[] DEFAULT NULL::name[], prefix text DEFAULT NULL::text, reason text DEFAULT NULL::text', 'void', 'c', 'v', false, 'u', false),
  ('bind_grants', '', 'bigint', 'plpgsql', 'v', false, 'u', false),
  ('prune_grants', '', 'void', 'plpgsql', 'v', false, 'u', false),
  ('forget_grants', '', 'event_trigger', 'plpgsql', 'v', false, 'u', false),
  ('bind_grants_before', '', 'event_trigger', 'plpgsql', 'v', false, 'u', false),
  ('redact', 'relation regclass, column_name name, method text, value text DEFAULT NULL::text, length integer DEFAULT NULL::integer, prefix integer DEFAULT NULL::integer, suffix integer DEFAULT NULL::integer, filler text DEFAULT NULL::text, path text DEFAULT NULL::text, reason text DEFAULT NULL::text, force boolean DEFAULT false', 'bigint', 'plpgsql', 'v', false, 'u', false),
  ('redact_matching', 'column_pattern text, method text, value text DEFAULT NULL::text, length integer DEFAULT NULL::integer, prefix integer DEFAULT NULL::integer, suffix integer DEFAULT NULL::integer, filler text DEFAULT NULL::text, reason text DEFAULT NULL::text', 'bigint', 'plpgsql', 'v', false, 'u', false),
  ('unredact', 'rule_id bigint, reason text DEFAULT NULL::text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('rotate_redaction_secret', '', 'integer', 'c', 'v', false, 'u', false),
  ('redaction_methods', '', 'record', 'c', 'i', false, 's', true),
  ('check_method', 'method text, value text, length integer, prefix integer, suffix integer, filler text', 'void', 'plpgsql', 'i', false, 's', false),
  ('check_path', 'path text, type regtype', 'void', 'c', 'i', true, 's', false),
  ('audit_rule', 'about name, action text, rule jsonb, former jsonb DEFAULT NULL::jsonb', 'void', 'plpgsql', 'v', false, 'u', false),
  ('add_rule', 'rule cdc.redaction_rule, relation oid', 'bigint', 'plpgsql', 'v', false, 'u', false),
  ('protect', 'rule_id bigint, relation oid, column_name name', 'void', 'c', 'v', true, 'u', false),
  ('rule_columns', '', 'record', 'c', 's', false, 'u', true),
  ('confirm', 'rule_id bigint', 'void', 'c', 'v', true, 'u', false),
  ('confirm_rule', 'rule_id bigint, reason text DEFAULT NULL::text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('existing_rule', 'rule_id bigint', 'cdc.redaction_rule', 'plpgsql', 's', false, 'u', false),
  ('prune_rules', '', 'void', 'c', 'v', true, 'u', false),
  ('positions_at_commit', '', 'void', 'c', 'v', true, 'u', false),
  ('lock_table', 'relation regclass', 'void', 'plpgsql', 'v', false, 'u', false),
  ('follow_rules', '', 'event_trigger', 'c', 'v', false, 'u', false),
  ('security_report', '', 'record', 'sql', 's', false, 'u', true),
  ('report_edges', '', 'record', 'sql', 's', false, 'u', true),
  ('report_reach', '', 'record', 'sql', 's', false, 'u', true),
  ('report_consumers', '', 'record', 'sql', 's', false, 'u', true),
  ('report_memberships', '', 'record', 'sql', 's', false, 'u', true),
  ('report_redacted', '', 'record', 'sql', 's', false, 'u', true),
  ('report_data_grants', '', 'record', 'sql', 's', false, 'u', true),
  ('report_server_grants', '', 'record', 'sql', 's', false, 'u', true),
  ('report_owned', '', 'record', 'sql', 's', false, 'u', true),
  ('report_configured', '', 'record', 'plpgsql', 's', false, 'u', true),
  ('report_settings', '', 'record', 'sql', 's', false, 'u', true),
  ('report_role_ways', '', 'record', 'sql', 's', false, 'u', true),
  ('effective_rules', '', 'cdc.effective_rule', 'sql', 's', false, 'u', true),
  ('report_generated_columns', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_row_filters', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_foreign_keys', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_few_values', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_no_secret', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_keys', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_partition_keys', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_rivals', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_names', 'rules cdc.effective_rule[]', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_idle_rules', '', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_restored_rules', '', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('report_triggers', '', 'cdc.redaction_finding', 'sql', 's', false, 'u', true),
  ('redaction_report', '', 'record', 'plpgsql', 's', false, 'u', true),
  ('fingerprint', 'relation regclass', 'text', 'c', 's', true, 'u', false),
  ('table_schema', 'relation regclass', 'jsonb', 'c', 's', true, 'u', false),
  ('proto', 'relation regclass, version integer DEFAULT NULL::integer', 'text', 'c', 's', false, 'u', false),
  ('proto_files', 'schema regnamespace DEFAULT NULL::regnamespace', 'record', 'plpgsql', 's', false, 'u', true),
  ('converter', 'relation regclass, from_version integer, to_version integer, language text', 'text', 'c', 's', true, 'u', false),
  ('describe_schema', 'relation regclass', 'record', 'c', 's', true, 'u', false),
  ('compare_schemas', 'before bytea, after bytea, defaults smallint[] DEFAULT ''{}''::smallint[]', 'record', 'c', 'i', true, 's', true),
  ('allow_breaking', 'reason text', 'void', 'c', 'v', true, 'u', false),
  ('breaking_reason', '', 'text', 'c', 'v', false, 'u', false),
  ('choices', 'what text', 'text[]', 'sql', 'i', false, 's', false),
  ('enum_labels', 'relation regclass', 'jsonb', 'sql', 's', false, 's', false),
  ('breaking_changes', 'before bytea, before_enums jsonb, after bytea, after_enums jsonb, defaults smallint[], mode text, level text', 'record', 'sql', 's', false, 's', true),
  ('check_compatibility', 'relation regclass, mode text DEFAULT NULL::text', 'record', 'plpgsql', 's', false, 'u', true),
  ('assert_compatible', 'relation regclass, mode text DEFAULT NULL::text', 'void', 'plpgsql', 's', false, 'u', false),
  ('audit_schema', 'action text, relation text, version text DEFAULT NULL::text, command text DEFAULT NULL::text, reason text DEFAULT NULL::text, findings jsonb DEFAULT NULL::jsonb', 'void', 'sql', 'v', false, 'u', false),
  ('set_enforcement', 'level text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('enforcement', '', 'text', 'sql', 's', false, 's', false),
  ('schema_of', 'relation regclass', 'record', 'sql', 's', false, 'u', false),
  ('versions_of', 'registered cdc.registered_table, counting boolean DEFAULT false', 'cdc.schema_detail', 'sql', 's', false, 's', true),
  ('registration', 'relation regclass', 'cdc.registered_table', 'plpgsql', 'v', false, 'u', false),
  ('check_registered', 'relation regclass', 'cdc.registered_table', 'plpgsql', 's', false, 'u', false),
  ('judge_change', 'relation text, registered cdc.registered_table, findings jsonb', 'text', 'plpgsql', 'v', false, 'u', false),
  ('put_version', 'schema record, registered cdc.registered_table, breaking boolean, command text, reason text', 'cdc.schema_detail', 'plpgsql', 'v', false, 'u', false),
  ('record_schema', 'relation regclass, command text, gate boolean, reason text', 'text', 'plpgsql', 'v', false, 'u', false),
  ('end_registration', 'registered cdc.registered_table, status text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('begin_registration', 'relation regclass, mode text, level text, reason text', 'text', 'plpgsql', 'v', false, 'u', false),
  ('check_registrable', 'relation regclass', 'void', 'plpgsql', 's', false, 'u', false),
  ('record_drop', 'registered cdc.registered_table, command text, reason text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('watch_commands', '', 'event_trigger', 'c', 'v', false, 'u', false),
  ('changed_relations', '', 'oid[]', 'c', 'v', false, 'u', false),
  ('hold_relation', 'relation regclass', 'void', 'c', 'v', true, 'u', false),
  ('dependent_relations', 'classids oid[], objids oid[]', 'oid[]', 'sql', 's', false, 's', false),
  ('register', 'relation regclass, mode text DEFAULT ''full''::text, level text DEFAULT ''file''::text, reason text DEFAULT NULL::text', 'text', 'plpgsql', 'v', false, 'u', false),
  ('unregister', 'relation regclass, reason text DEFAULT NULL::text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('register_reader', 'consumer text, relation regclass, version integer DEFAULT NULL::integer, fingerprint text DEFAULT NULL::text', 'integer', 'plpgsql', 'v', false, 'u', false),
  ('retire_version', 'relation regclass, version integer, grace interval DEFAULT NULL::interval, reason text DEFAULT NULL::text', 'void', 'plpgsql', 'v', false, 'u', false),
  ('refresh_registry', 'forget boolean DEFAULT false', 'record', 'plpgsql', 'v', false, 'u', true),
  ('record_schemas', '', 'event_trigger', 'plpgsql', 'v', false, 'u', false),
  ('export_schemas', '', 'text', 'sql', 's', false, 's', true),
  ('check_export', 'line text', 'record', 'plpgsql', 's', true, 'u', true),
  ('check_mapping', 'relation regclass, version integer', 'text', 'c', 's', true, 'u', false),
  ('set_metadata', 'key text, value text', 'void', 'c', 'v', false, 'u', false),
  ('refuse_catalog_tables', '', 'event_trigger', 'c', 'v', false, 'u', false),
  ('sequences', '', 'record', 'sql', 'v', false, 'r', true),
  ('track_schema', '', 'event_trigger', 'c', 'v', false, 'u', false),
  ('dropping_extension', '', 'event_trigger', 'c', 'v', false, 'u', false),
  ('set_traceparent', 'traceparent text', 'void', 'c', 'v', false, 'u', false),
  ('library_version', '', 'text', 'c', 's', true, 's', false);

-- everything of the extension, by its dependencies
CREATE TEMP VIEW object AS
  SELECT classid, objid, pg_describe_object(classid, objid, 0) AS description
  FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdc');
CREATE TEMP VIEW function AS
  SELECT p.* FROM pg_proc p JOIN object ON classid = 'pg_proc'::regclass AND objid = p.oid;
CREATE TEMP VIEW relation AS
  SELECT c.* FROM pg_class c JOIN object ON classid = 'pg_class'::regclass AND objid = c.oid;

SELECT has_extension('cdc');
SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'cdc'),
          (SELECT default_version FROM pg_available_extensions WHERE name = 'cdc'), 'the version of the control file');
SELECT has_schema('cdc');
SELECT is(extrelocatable, false, 'the schema is fixed') FROM pg_extension WHERE extname = 'cdc';

-- what there is
SELECT set_eq('SELECT proname::text FROM function', 'SELECT name FROM expected', 'the functions');
SELECT set_eq('SELECT relname::text FROM relation WHERE relkind NOT IN (''t'', ''i'', ''S'')', ARRAY['slots', 'read_grants', 'read_grant_dropped', 'slot_option', 'redaction_rule', 'redaction_rules', 'redaction_name', 'redaction_column', 'redaction_covered', 'redactable_table', 'installation', 'redaction_audit', 'redaction_secret', 'message_secret', 'read_grant', 'stats', 'registered_table', 'registered_relation', 'schema_detail', 'schema_reader', 'schema_enforcement', 'schema_audit', 'schema_versions', 'readers'], 'the relations');
SELECT is(nspname, 'cdc', proname || ' is in schema cdc') FROM function f JOIN pg_namespace n ON n.oid = pronamespace ORDER BY proname;

-- how functions are declared
SELECT is(to_jsonb(ROW((SELECT coalesce(string_agg(a, ', ' ORDER BY o), '') FROM unnest(string_to_array(pg_get_function_arguments(f.oid), ', ')) WITH ORDINALITY x(a, o)
               WHERE a !~ '^OUT '),
              format_type(prorettype, NULL), lanname::text, provolatile, proisstrict, proparallel, proretset))::text,
          to_jsonb(ROW(args, result, lang, volatility, strict, parallel, returns_set))::text,
          'declaration of ' || name)
FROM expected e LEFT JOIN function f ON proname = name LEFT JOIN pg_language l ON l.oid = prolang ORDER BY name;
SELECT is(prosecdef, proname IN ('redact', 'prune_grants', 'bind_grants_before', 'bind_grants', 'redact_matching', 'unredact', 'confirm_rule', 'forget_grants', 'security_report', 'redaction_report',
  'check_compatibility', 'register', 'unregister', 'register_reader', 'retire_version', 'refresh_registry', 'record_schemas', 'track_schema', 'set_enforcement'), proname || ' is SECURITY INVOKER, unless it writes or reports on the extension''s tables')
FROM function ORDER BY proname;
SELECT is(proleakproof, false, proname || ' is not LEAKPROOF') FROM function ORDER BY proname;
SELECT ok(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], proname || ' has a fixed search_path')
FROM function JOIN pg_language l ON l.oid = prolang WHERE lanname <> 'c' AND lanname <> 'internal' ORDER BY proname;
SELECT is(proconfig, CASE WHEN proname = 'track_schema' THEN '{"search_path=pg_catalog, pg_temp"}'::text[] END, proname || ' has no settings, unless it runs SQL')
FROM function JOIN pg_language l ON l.oid = prolang WHERE lanname = 'c' ORDER BY proname;
-- functions that read streams return the same columns
SELECT is(proargnames[pronargs + 1:], '{position,xid,commit_time,op,relation,fingerprint,key,new_key,old,new,metadata,event}'::text[], 'columns of ' || proname)
FROM function WHERE proname IN ('decode', 'peek', 'read') ORDER BY proname;
SELECT is(proallargtypes[pronargs + 1:], '{text,xid,timestamptz,text,text,text,jsonb,jsonb,jsonb,jsonb,jsonb,jsonb}'::regtype[]::oid[], 'their types in ' || proname)
FROM function WHERE proname IN ('decode', 'peek', 'read') ORDER BY proname;
SELECT function_returns('cdc', 'create_slot', '{name,boolean,boolean,boolean,text[],name}'::name[], 'record');

SELECT columns_are('cdc', 'slots', ARRAY['slot_name', 'active', 'active_pid', 'temporary', 'wal_status', 'invalidation', 'restart_lsn',
  'confirmed_flush_lsn', 'catalog_xmin', 'catalog_xmin_age', 'lag_bytes', 'retained_bytes', 'safe_wal_size', 'two_phase', 'failover', 'synced', 'options', 'reader', 'missing', 'total_txns', 'total_bytes', 'spill_txns',
  'spill_count', 'spill_bytes', 'stream_txns', 'stream_count', 'stream_bytes']);
SELECT col_type_is('cdc', 'slots', c::name, t, 'type of slots.' || c)
FROM (VALUES ('slot_name', 'name'), ('active', 'boolean'), ('active_pid', 'integer'), ('wal_status', 'text'), ('invalidation', 'text'),
             ('restart_lsn', 'pg_lsn'), ('confirmed_flush_lsn', 'pg_lsn'), ('lag_bytes', 'bigint'), ('retained_bytes', 'bigint'),
             ('safe_wal_size', 'bigint'), ('total_bytes', 'bigint')) x(c, t);

-- tables have a primary key: a publication FOR ALL TABLES would break them otherwise
SELECT is_empty($$
  SELECT oid::regclass FROM relation c WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) $$,
  'tables have a primary key');

-- who may: nobody but the owner, and for what monitoring reads pg_monitor
SELECT is(ARRAY(SELECT format('%s %s %s', f.proname, a.grantee::regrole, a.privilege_type)
  FROM function f, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee <> proowner ORDER BY f.proname),
  '{missing_tables - EXECUTE,slot_counters pg_monitor EXECUTE}', 'no function is granted to anyone else, PUBLIC included');
SELECT is(ARRAY(SELECT format('%s %s %s', c.relname, a.grantee::regrole, a.privilege_type)
  FROM relation c, aclexplode(coalesce(relacl, acldefault('r', relowner))) a WHERE a.grantee <> relowner ORDER BY c.relname),
  '{slots pg_monitor SELECT,stats pg_monitor SELECT}', 'no relation');
SELECT is_empty($$
  SELECT t.oid::regtype, a.privilege_type
  FROM object JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid
       LEFT JOIN relation r ON r.oid = t.typrelid, aclexplode(coalesce(typacl, acldefault('T', typowner))) a
  WHERE a.grantee <> typowner AND r.oid IS NULL AND t.typelem = 0 $$, 'no type');
SELECT is(ARRAY(SELECT format('%s %s', a.grantee::regrole, a.privilege_type)
  FROM pg_namespace n, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a WHERE nspname = 'cdc' AND a.grantee <> nspowner),
  '{pg_monitor USAGE}', 'nor the schema');

-- what it is, is said
SELECT is_empty($$
  SELECT description FROM object
  WHERE classid NOT IN ('pg_type'::regclass, 'pg_rewrite'::regclass)
    AND coalesce(length(obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid))), 0) < 20 $$,
  'every object has a comment');
SELECT is_empty($$
  SELECT r.oid::regclass, a.attname FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
  WHERE r.relkind = 'v' AND coalesce(length(col_description(r.oid, a.attnum)), 0) < 8 $$,
  'every column of a view has one');
SELECT is_empty($$
  SELECT o.description, length(d.description) FROM object o JOIN pg_description d ON d.objoid = o.objid AND d.classoid = o.classid
  WHERE length(d.description) > 400 $$,
  'none is longer than \df+ can show; docs/reference.md has the rest');
SELECT is_empty('SELECT oid::regprocedure FROM function WHERE regexp_count(prosrc, E''\n'') > 80', 'no function is longer than 80 lines');
SELECT ok(length(obj_description(oid, 'pg_extension')) > 20, 'the extension has a comment') FROM pg_extension WHERE extname = 'cdc';
SELECT is_empty($$
  SELECT description FROM object WHERE classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass, 'pg_rewrite'::regclass, 'pg_event_trigger'::regclass) $$,
  'nothing else is installed');

SELECT * FROM finish();
ROLLBACK;
