CREATE FUNCTION cdc.rule_columns(OUT rule_id bigint, OUT relid oid, OUT attnum smallint)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10000
AS 'MODULE_PATHNAME', 'cdc_rule_columns';
REVOKE ALL ON FUNCTION cdc.rule_columns() FROM PUBLIC;
COMMENT ON FUNCTION cdc.rule_columns() IS
  'The columns that each rule of redaction covers now, some more than once. For the extension''s own views and functions.';

CREATE VIEW cdc.redaction_covered AS
SELECT DISTINCT k.rule_id, k.relid, k.attnum, t.nspname, t.relname, a.attname
FROM cdc.rule_columns() k
  JOIN cdc.redactable_table t ON t.relid OPERATOR(pg_catalog.=) k.relid
  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) k.relid AND a.attnum OPERATOR(pg_catalog.=) k.attnum AND NOT a.attisdropped;
REVOKE ALL ON cdc.redaction_covered FROM PUBLIC;
COMMENT ON VIEW cdc.redaction_covered IS 'The columns that each rule of redaction covers now. For cdc.redaction_rules and the reports.';
COMMENT ON COLUMN cdc.redaction_covered.rule_id IS 'Number of the rule.';
COMMENT ON COLUMN cdc.redaction_covered.relid IS 'The table.';
COMMENT ON COLUMN cdc.redaction_covered.attnum IS 'The column.';
COMMENT ON COLUMN cdc.redaction_covered.nspname IS 'Schema of the table.';
COMMENT ON COLUMN cdc.redaction_covered.relname IS 'Name of the table.';
COMMENT ON COLUMN cdc.redaction_covered.attname IS 'Name of the column.';

CREATE VIEW cdc.redaction_rules AS
SELECT r.id, r.method, pg_catalog.to_regclass(pg_catalog.quote_ident(r.schema_name) || '.' || pg_catalog.quote_ident(r.table_name)) AS relation,
       r.column_name, r.column_pattern, coalesce(k.covers, '{}') AS covers,
       r.path, r.value, r.length, r.prefix, r.suffix, r.filler, r.reason, r.created_at, r.created_by
FROM cdc.redaction_rule r
  LEFT JOIN (SELECT v.rule_id, pg_catalog.array_agg(pg_catalog.format('%I.%I.%I', v.nspname, v.relname, v.attname)
                                          ORDER BY v.nspname, v.relname, v.attname) AS covers
             FROM cdc.redaction_covered v GROUP BY v.rule_id) k ON k.rule_id OPERATOR(pg_catalog.=) r.id
WHERE r.removed_at IS NULL;
REVOKE ALL ON cdc.redaction_rules FROM PUBLIC;
COMMENT ON VIEW cdc.redaction_rules IS
  'The rules of redaction, and the columns that each covers now (schema.table.column; partitions are listed by themselves). relation: what bears the name for which it was made, NULL = nothing does.';
COMMENT ON COLUMN cdc.redaction_rules.id IS 'Number of the rule, for cdc.unredact().';
COMMENT ON COLUMN cdc.redaction_rules.method IS 'What stands for the values, see cdc.redact().';
COMMENT ON COLUMN cdc.redaction_rules.relation IS 'What bears the name for which the rule was made; NULL = nothing does, or it is for a pattern.';
COMMENT ON COLUMN cdc.redaction_rules.column_name IS 'The column for which it was made; NULL = for a pattern.';
COMMENT ON COLUMN cdc.redaction_rules.column_pattern IS 'The pattern of cdc.redact_matching().';
COMMENT ON COLUMN cdc.redaction_rules.covers IS 'The columns that it covers now, schema.table.column; partitions are listed by themselves.';
COMMENT ON COLUMN cdc.redaction_rules.path IS 'The parts of json and jsonb values that it is about; NULL = whole values.';
COMMENT ON COLUMN cdc.redaction_rules.value IS 'The constant.';
COMMENT ON COLUMN cdc.redaction_rules.length IS 'Characters of a mask, or that are kept.';
COMMENT ON COLUMN cdc.redaction_rules.prefix IS 'Characters that are kept at the start.';
COMMENT ON COLUMN cdc.redaction_rules.suffix IS 'Characters that are kept at the end.';
COMMENT ON COLUMN cdc.redaction_rules.filler IS 'What stands in place of characters.';
COMMENT ON COLUMN cdc.redaction_rules.reason IS 'What was given as the reason.';
COMMENT ON COLUMN cdc.redaction_rules.created_at IS 'When it was made.';
COMMENT ON COLUMN cdc.redaction_rules.created_by IS 'Who made it.';
