-- cdc.redaction_report() beside thousands of rules: its time grows with their number,
-- not with its square.
BEGIN;
SELECT plan(3);
CREATE TABLE pgtap_wide (id int);
DO $$ BEGIN
  EXECUTE (SELECT 'ALTER TABLE pgtap_wide ' || string_agg(format('ADD c%s int', i), ', ') FROM generate_series(1, 1000) i);
END $$;
INSERT INTO cdc.redaction_rule (schema_name, table_name, column_name, method, created_at, created_by)
SELECT 'public', 'pgtap_wide', format('c%s', 1 + i % 1000), CASE WHEN i = 1000 THEN 'hash' ELSE 'drop' END, now(), user
FROM generate_series(1, 6000) i;
INSERT INTO cdc.redaction_name SELECT r.schema_name, r.table_name, r.column_name, r.id
FROM cdc.redaction_rule r WHERE r.table_name = 'pgtap_wide';
INSERT INTO cdc.redaction_column SELECT a.attrelid, a.attnum, r.id
FROM cdc.redaction_rule r JOIN pg_attribute a ON a.attrelid = 'pgtap_wide'::regclass AND a.attname = r.column_name;
-- (it takes far below a second on a machine that does nothing else)
SET LOCAL statement_timeout = '15s';
SELECT lives_ok('SELECT count(*) FROM cdc.redaction_report()', 'the report is quick');
SELECT lives_ok('SELECT count(*) FROM cdc.redaction_rules', 'as is the view of the rules');
SELECT is_empty($$ SELECT * FROM cdc.redaction_report() WHERE relation = 'pgtap_wide'::regclass $$, 'and has nothing to say');
SELECT * FROM finish();
ROLLBACK;
