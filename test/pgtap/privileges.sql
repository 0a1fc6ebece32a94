-- What roles can do: nothing without a grant, with one what it says, and
-- never more than PostgreSQL itself lets them.
SET client_min_messages = warning;
DROP ROLE IF EXISTS cdc_pgtap_nobody, cdc_pgtap_granted, cdc_pgtap_replication, cdc_pgtap_consumer;
CREATE ROLE cdc_pgtap_nobody;
CREATE ROLE cdc_pgtap_granted;
CREATE ROLE cdc_pgtap_replication REPLICATION;
CREATE ROLE cdc_pgtap_consumer REPLICATION;
GRANT USAGE ON SCHEMA cdc TO cdc_pgtap_granted, cdc_pgtap_replication, cdc_pgtap_consumer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_pgtap_granted, cdc_pgtap_consumer;
GRANT SELECT ON ALL TABLES IN SCHEMA cdc TO cdc_pgtap_granted, cdc_pgtap_consumer;
CREATE TABLE pgtap_table (id int PRIMARY KEY, v text);
CREATE TABLE pgtap_given (id int PRIMARY KEY, v text);
SELECT slot_name AS bound FROM cdc.create_slot('cdc_pgtap_bound', reader => 'cdc_pgtap_granted') \gset
SELECT slot_name AS shared FROM cdc.create_slot('cdc_pgtap_shared') \gset
SELECT slot_name AS victim FROM cdc.create_slot('cdc_pgtap_victim') \gset
INSERT INTO pgtap_table VALUES (1, 'x');
DO $$ BEGIN
  PERFORM cdc.grant_read('pgtap_given', 'cdc_pgtap_granted');
  PERFORM cdc.grant_read('pgtap_given', 'cdc_pgtap_consumer');
END $$;
SELECT cdc.rotate_redaction_secret() AS secret \gset

-- Runs a statement as a role: 'ok', or the SQLSTATE that it ended with.
CREATE FUNCTION attempt(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('role', role, true);
  EXECUTE statement;
  PERFORM set_config('role', 'none', true);
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;

SELECT no_plan();

-- {nobody, REPLICATION alone, all grants without REPLICATION, both}
CREATE TEMP TABLE cases (statement text, nobody text, replication text, granted text, consumer text);
INSERT INTO cases VALUES
  ($$SELECT cdc.create_slot('cdc_pgtap_made')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.copy_slot('cdc_pgtap_shared', 'cdc_pgtap_copied')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.alter_slot('cdc_pgtap_shared', '{old,full}')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.advance_slot('cdc_pgtap_victim', 'FFFFFFFF/0')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.drop_slot('cdc_pgtap_victim')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.missing_tables('public.none', NULL)$$, '42501', 'ok', 'ok', 'ok'),
  ($$SELECT * FROM cdc.slots$$, '42501', '42501', 'ok', 'ok'),
  -- 55000: not preloaded
  ($$SELECT * FROM cdc.stats$$, '42501', '42501', '55000', '55000'),
  ($$SELECT cdc.slot_counters('cdc_pgtap_shared')$$, '42501', '42501', '55000', '55000'),
  ($$SELECT * FROM cdc.peek('cdc_pgtap_shared')$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT * FROM cdc.read('cdc_pgtap_shared', upto_nchanges => 1)$$, '42501', '42501', '42501', 'ok'),
  ($$SELECT cdc.decode('')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.decode_json('')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.library_version()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.snapshot('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.snapshot_chunks('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.fetch('cdc_pgtap_shared')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.fetch('cdc_pgtap_bound')$$, '42501', '42501', 'ok', '42501'),
  ($$SELECT cdc.fingerprint('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.table_schema('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.proto('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.fingerprint('public.pgtap_given')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.table_schema('public.pgtap_given')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.proto('public.pgtap_given')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.proto('public.pgtap_given', 1)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.proto_files('public')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.proto_files()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.converter('public.pgtap_given', 1, 2, 'go')$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.snapshot('public.pgtap_given')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT * FROM public.pgtap_given$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.grant_read('public.pgtap_table', 'cdc_pgtap_consumer')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.revoke_read('public.pgtap_given', 'cdc_pgtap_consumer')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.bind_grants()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.prune_grants()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT * FROM cdc.read_grants$$, '42501', '42501', 'ok', 'ok'),
  ($$INSERT INTO cdc.read_grant (role_name, prefix, granted_at, granted_by) VALUES ('cdc_pgtap_consumer', 'x', now(), 'x')$$, '42501', '42501', '42501', '42501'),
  ($$DELETE FROM cdc.read_grant$$, '42501', '42501', '42501', '42501'),
  ($$INSERT INTO cdc.read_grant_dropped VALUES (1, '0/0')$$, '42501', '42501', '42501', '42501'),
  ($$INSERT INTO cdc.slot_option VALUES ('x', 'reader', '10', now(), 'x')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.redact('public.pgtap_table', 'v', 'mask')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.redact_matching('never%', 'mask')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.unredact(0)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.rotate_redaction_secret()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT * FROM cdc.security_report()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_edges()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_reach()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_consumers()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_memberships()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_redacted()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_data_grants()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_server_grants()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_owned()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_configured()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_settings()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT count(*) FROM cdc.report_role_ways()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT * FROM cdc.redaction_report()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.effective_rules()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_generated_columns('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_row_filters('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_foreign_keys('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_few_values('{}')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.report_no_secret('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_keys('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_partition_keys('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_rivals('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_names('{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_idle_rules()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_restored_rules()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.report_triggers()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.redaction_methods()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.check_method('mask', NULL, NULL, NULL, NULL, NULL)$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.check_path('$.a', 'json')$$, '42501', '42501', 'ok', 'ok'),
  ($$DELETE FROM cdc.redaction_rule$$, '42501', '42501', '42501', '42501'),
  ($$INSERT INTO cdc.redaction_audit (about, action, rule) VALUES ('x', 'x', '{}')$$, '42501', '42501', '42501', '42501'),
  ($$UPDATE cdc.redaction_audit SET by = 'x'$$, '42501', '42501', '42501', '42501'),
  ($$SELECT lo_get(large_object) FROM cdc.redaction_secret$$, '42501', '42501', '42501', '42501'),
  ($$SELECT FROM cdc.sequences()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT secret FROM cdc.message_secret$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.register('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.describe_schema('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.compare_schemas('', '')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.choices('mode')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.enum_labels('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.breaking_changes('', '{}', '', '{}', '{}', 'full', 'file')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.check_compatibility('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.assert_compatible('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.record_schema('public.pgtap_table', NULL, false, NULL)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.unregister('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.register_reader('x', 'public.pgtap_table', 1)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.retire_version('public.pgtap_table', 1)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.require_primary('x')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.put_row(ROW(1, 2))$$, '42501', '42501', '42809', '42809'),
  ($$SELECT cdc.audit_rule('x', 'x', '{}')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.add_rule(NULL, NULL)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.protect(1, 'public.pgtap_table'::regclass, 'v')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT count(*) FROM cdc.rule_columns()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.confirm(1)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.confirm_rule(0)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.existing_rule(0)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.prune_rules()$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.positions_at_commit()$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.lock_table('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.drop_row(ROW(1, 2))$$, '42501', '42501', '42809', '42809'),
  ($$SELECT cdc.put_row(ROW('x', 'tables', 'public.*', now(), 'x')::cdc.slot_option)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.drop_row(ROW('x', 'tables', 'public.*', now(), 'x')::cdc.slot_option)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.check_mapping('public.pgtap_table', 1)$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.refresh_registry()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.allow_breaking('x')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.breaking_reason()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.export_schemas()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.check_export('{}')$$, '42501', '42501', '22023', '22023'),
  ($$SELECT * FROM cdc.schema_versions$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT * FROM cdc.readers$$, '42501', '42501', 'ok', 'ok'),
  ($$DELETE FROM cdc.schema_audit$$, '42501', '42501', '42501', '42501'),
  ($$UPDATE cdc.schema_detail SET major = 9$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.set_enforcement('off')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.enforcement()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.changed_relations()$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.hold_relation('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.schema_of('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.dependent_relations('{}', '{}')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.check_registered('public.pgtap_table')$$, '42501', '42501', '42704', '42704'),
  ($$SELECT cdc.check_registrable('public.pgtap_table')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.registration('public.pgtap_table')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.versions_of(t) FROM cdc.registered_table t$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.judge_change('x', NULL, '[]')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.audit_schema('x', 'y')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.put_version(n, NULL, false, NULL, NULL) FROM cdc.schema_of('public.pgtap_table') n$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.begin_registration('public.pgtap_table', 'full', 'file', NULL)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.end_registration(ROW(0, '', '', 'full', 'file', 0, '{}', '', now(), '')::cdc.registered_table, 'dropped')$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.record_drop(ROW(0, '', '', 'full', 'file', 0, '{}', '', now(), '')::cdc.registered_table, NULL, NULL)$$, '42501', '42501', '42501', '42501'),
  ($$SELECT cdc.set_metadata('k', 'v')$$, '42501', '42501', 'ok', 'ok'),
  ($$SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')$$, '42501', '42501', 'ok', 'ok');

-- every function is in the table
SELECT is_empty($$
  SELECT proname FROM pg_proc WHERE pronamespace = 'cdc'::regnamespace AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND NOT EXISTS (SELECT FROM cases WHERE statement ~ format('\mcdc\.%s\(', proname)) $$, 'every function is tried');

SELECT is(attempt('cdc_pgtap_nobody', statement), nobody, 'without any grant: ' || statement) FROM cases;
SELECT is(attempt('cdc_pgtap_replication', statement), replication, 'REPLICATION and no grant: ' || statement) FROM cases;
SELECT is(attempt('cdc_pgtap_granted', statement), granted, 'granted, without REPLICATION: ' || statement) FROM cases;
-- (slots first: they cannot be made where something was written)
SELECT is(attempt('cdc_pgtap_consumer', statement), consumer, 'granted, with REPLICATION: ' || statement) FROM cases WHERE statement ~ 'create_slot';
SELECT is(attempt('cdc_pgtap_consumer', statement), consumer, 'granted, with REPLICATION: ' || statement) FROM cases WHERE statement ~ 'copy_slot';
SELECT is(attempt('cdc_pgtap_consumer', statement), consumer, 'granted, with REPLICATION: ' || statement) FROM cases WHERE statement !~ 'create_slot|copy_slot';

-- one grant gives one function
GRANT EXECUTE ON FUNCTION cdc.create_slot(name, boolean, boolean, boolean, text[], name) TO cdc_pgtap_replication;
SELECT is(attempt('cdc_pgtap_replication', $$SELECT cdc.create_slot('cdc_pgtap_own')$$), 'ok', 'a single grant serves');
SELECT is(attempt('cdc_pgtap_replication', $$SELECT cdc.drop_slot('cdc_pgtap_own')$$), '42501', 'for that function alone');
SELECT is((SELECT count(*) FROM cdc.slots WHERE slot_name = 'cdc_pgtap_own'), 1::bigint, 'the slot is there');

SELECT * FROM finish();
SELECT cdc.unredact(id) FROM cdc.redaction_rules;
SELECT cdc.drop_slot(slot_name) FROM cdc.slots WHERE slot_name LIKE 'cdc\_pgtap%';
DROP TABLE pgtap_table, pgtap_given;
DROP FUNCTION attempt;
DROP OWNED BY cdc_pgtap_granted, cdc_pgtap_replication, cdc_pgtap_consumer;
DROP ROLE cdc_pgtap_nobody, cdc_pgtap_granted, cdc_pgtap_replication, cdc_pgtap_consumer;
