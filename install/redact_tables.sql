-- Redaction

CREATE TABLE cdc.installation (
  one boolean PRIMARY KEY CHECK (one),
  since pg_lsn NOT NULL
);
REVOKE ALL ON cdc.installation FROM PUBLIC;
COMMENT ON TABLE cdc.installation IS
  'Since which position of the WAL this installation knows the rules of redaction and what roles may be sent: what was committed before is withheld from all but superusers. Not dumped.';

CREATE TABLE cdc.redaction_rule (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schema_name name,
  table_name name,
  column_name name,
  column_pattern text,
  method text NOT NULL,
  value text,
  length int,
  prefix int,
  suffix int,
  filler text,
  path text,
  removed_at pg_lsn,
  reason text,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL,
  CONSTRAINT by_column_or_pattern CHECK (pg_catalog.num_nulls(schema_name, table_name, column_name)
    = CASE WHEN column_pattern IS NULL THEN 0 ELSE 3 END),
  -- what decoding reads must not be stored out of line
  CONSTRAINT parameters_are_short CHECK (pg_catalog.length(pg_catalog.concat(column_pattern, method, value, filler, path)) <= 1000)
);
ALTER TABLE cdc.redaction_rule
  ALTER column_pattern SET STORAGE MAIN, ALTER method SET STORAGE MAIN, ALTER value SET STORAGE MAIN,
  ALTER filler SET STORAGE MAIN, ALTER path SET STORAGE MAIN;
REVOKE ALL ON cdc.redaction_rule FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_rule IS
  'The rules of redaction, with the names for which each was made; what it protects is in redaction_column and redaction_name. A rule counts from the moment its row is there. removed_at: position in the WAL of the removal''s COMMIT; the rule counts for what was committed before. Such a row is removed once no slot needs it. Written by cdc.redact(), cdc.redact_matching() and cdc.unredact().';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_rule', 'WHERE removed_at IS NULL');
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_rule_id_seq', '');
COMMENT ON SEQUENCE cdc.redaction_rule_id_seq IS 'Numbers of the rules of redaction';

CREATE TABLE cdc.redaction_name (
  schema_name name,
  table_name name,
  column_name name,
  rule_id bigint,
  PRIMARY KEY (schema_name, table_name, column_name, rule_id)
);
REVOKE ALL ON cdc.redaction_name FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_name IS
  'The names that columns which a rule protects have, or have had since it was made: what stands at one of them is protected. Written by cdc.redact() and by DDL.';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_name',
  'WHERE rule_id IN (SELECT id FROM cdc.redaction_rule WHERE removed_at IS NULL)');

CREATE TABLE cdc.redaction_column (
  relation oid,
  attnum int2,
  rule_id bigint,
  dropped_at pg_lsn,
  PRIMARY KEY (relation, attnum, rule_id)
);
REVOKE ALL ON cdc.redaction_column FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_column IS
  'The columns that a rule protects, by number: they stay protected under other names. relation 0: the rule was made in this database, or confirmed. dropped_at: position in the WAL; the row is removed once no slot needs it. Not dumped: after a restore names count. Written by cdc.redact() and by DDL.';

CREATE TABLE cdc.redaction_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  by name NOT NULL DEFAULT session_user,
  about name NOT NULL,
  action text NOT NULL,
  rule jsonb NOT NULL,
  former jsonb
);
REVOKE ALL ON cdc.redaction_audit FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_audit IS
  'Who has added, changed or removed which rule of redaction (about redaction_rule) or what a role may be sent (about read_grant), and when. Rows are added by the functions that do it; nobody but the owner can change them.';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_audit', '');

CREATE FUNCTION cdc.audit_rule(about name, action text, rule jsonb, former jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM cdc.put_row(ROW(gen_random_uuid(), clock_timestamp(), session_user, about, action, rule, former)::cdc.redaction_audit);
END $$;
REVOKE ALL ON FUNCTION cdc.audit_rule(name, text, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.audit_rule(name, text, jsonb, jsonb) IS 'Writes cdc.redaction_audit. For the extension''s own functions.';

CREATE VIEW cdc.redactable_table AS
SELECT c.oid AS relid, n.nspname, c.relname, c.relispartition
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc');
REVOKE ALL ON cdc.redactable_table FROM PUBLIC;
COMMENT ON VIEW cdc.redactable_table IS 'The tables that rules of redaction can be about: changes of others are never sent. For the extension''s own functions.';
COMMENT ON COLUMN cdc.redactable_table.relid IS 'The table.';
COMMENT ON COLUMN cdc.redactable_table.nspname IS 'Its schema.';
COMMENT ON COLUMN cdc.redactable_table.relname IS 'Its name.';
COMMENT ON COLUMN cdc.redactable_table.relispartition IS 'It is a partition.';
