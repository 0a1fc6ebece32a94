-- What rules leave open: one function for each kind of finding, over the rules that count

CREATE TYPE cdc.effective_rule AS (
  relid oid, attnum int2, column_name name, rule_id bigint, method text, rank int, path text, call text, rivals text
);
REVOKE ALL ON TYPE cdc.effective_rule FROM PUBLIC;
COMMENT ON TYPE cdc.effective_rule IS
  'The rule that counts for a column. call: what cdc.redact() is given for it after the column; rivals: the rules of the same rank that say something else, and it, if there are any.';
CREATE TYPE cdc.redaction_finding AS (
  relation regclass, column_name name, rule_id bigint, finding text, detail text, advice text
);
REVOKE ALL ON TYPE cdc.redaction_finding FROM PUBLIC;
COMMENT ON TYPE cdc.redaction_finding IS 'A row of cdc.redaction_report().';

CREATE FUNCTION cdc.effective_rules()
RETURNS SETOF cdc.effective_rule LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH rule AS MATERIALIZED (
  SELECT r.id, r.method, r.path, coalesce(m.rank, 0) AS rank,
    concat(quote_literal(r.method), ', value => ' || quote_literal(r.value), ', length => ' || r.length, ', prefix => ' || r.prefix,
      ', suffix => ' || r.suffix, ', filler => ' || quote_literal(nullif(r.filler, '*')), ', path => ' || quote_literal(r.path)) AS call
  FROM cdc.redaction_rule r LEFT JOIN cdc.redaction_methods() m ON m.name = r.method
  WHERE r.removed_at IS NULL
), covered AS (
  SELECT k.relid, k.attnum, k.attname, r.*, max(r.rank) OVER (PARTITION BY k.relid, k.attnum) AS highest
  FROM cdc.redaction_covered k JOIN rule r ON r.id = k.rule_id
)
SELECT DISTINCT ON (c.relid, c.attnum) c.relid, c.attnum, c.attname, c.id, c.method, c.rank, c.path, c.call,
  CASE WHEN min(c.call) FILTER (WHERE c.path IS NULL) OVER same <> max(c.call) FILTER (WHERE c.path IS NULL) OVER same
    THEN string_agg(c.id::text, ', ') FILTER (WHERE c.path IS NULL) OVER same END
FROM covered c
WHERE c.rank = c.highest
WINDOW same AS (PARTITION BY c.relid, c.attnum ORDER BY c.id::text ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY c.relid, c.attnum, c.id
$$;
REVOKE ALL ON FUNCTION cdc.effective_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.effective_rules() IS
  'For each column that rules of redaction cover, the one that counts. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_generated_columns(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH made AS (                           -- g of attnum: the expression depends on it, or, in newer releases, the column
  SELECT d.refobjid AS relid, d.refobjsubid AS attnum, f.adnum AS g
  FROM pg_depend d JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refobjid = f.adrelid
  WHERE d.refclassid = 'pg_class'::regclass
  UNION
  SELECT d.refobjid, d.refobjsubid, d.objsubid
  FROM pg_depend d
  WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.objid = d.refobjid
)
SELECT e.relid, g.attname, e.rule_id, 'generated column', format('made of %I, which the rule covers, and sent as it is', e.column_name),
  format('SELECT cdc.redact(%L, %L, ''drop'')', e.relid::regclass, g.attname)
FROM unnest(rules) e JOIN made m ON m.relid = e.relid AND m.attnum = e.attnum AND m.g <> e.attnum
  JOIN pg_attribute g ON g.attrelid = e.relid AND g.attnum = m.g AND g.attgenerated = 's' AND NOT g.attisdropped
WHERE NOT EXISTS (SELECT FROM unnest(rules) x WHERE x.relid = g.attrelid AND x.attnum = g.attnum)
$$;
REVOKE ALL ON FUNCTION cdc.report_generated_columns(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_generated_columns(cdc.effective_rule[]) IS
  'Generated columns that are made of redacted ones, without a rule. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_row_filters(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'row filter',
  format('the row filter of publication %I depends on it: which rows are sent shows what the value is like', p.pubname),
  'filter by another column'
FROM unnest(rules) e JOIN pg_publication_rel pr ON pr.prrelid = e.relid AND pr.prqual IS NOT NULL
  JOIN pg_publication p ON p.oid = pr.prpubid
WHERE EXISTS (
  SELECT FROM pg_depend d
  WHERE d.classid = 'pg_publication_rel'::regclass AND d.objid = pr.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = e.relid AND d.refobjsubid = e.attnum)
$$;
REVOKE ALL ON FUNCTION cdc.report_row_filters(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_row_filters(cdc.effective_rule[]) IS
  'Redacted columns that row filters of publications depend on. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_foreign_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH foreign_key AS MATERIALIZED (       -- both ways
  SELECT k.conrelid AS relid, u.attnum, k.confrelid AS other, u.other_attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
  UNION ALL
  SELECT k.confrelid, u.other_attnum, k.conrelid, u.attnum, k.conname
  FROM pg_constraint k CROSS JOIN unnest(k.conkey, k.confkey) u(attnum, other_attnum)
  WHERE k.contype = 'f' AND k.conparentid = 0
)
SELECT e.relid, e.column_name, e.rule_id, 'foreign key',
  format('%s has the same values in %I (%I), %s', t.relid::regclass, o.attname, k.conname,
    CASE WHEN x.rule_id IS NULL THEN 'and no rule' ELSE format('where %s shows more of them', x.method) END),
  format('SELECT cdc.redact(%L, %L, %s)', t.relid::regclass, o.attname, e.call)
FROM unnest(rules) e JOIN foreign_key k ON k.relid = e.relid AND k.attnum = e.attnum
  JOIN cdc.redactable_table t ON t.relid = k.other
  JOIN pg_attribute o ON o.attrelid = k.other AND o.attnum = k.other_attnum
  LEFT JOIN unnest(rules) x ON x.relid = k.other AND x.attnum = k.other_attnum
WHERE x.rule_id IS NULL OR x.rank < e.rank
$$;
REVOKE ALL ON FUNCTION cdc.report_foreign_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_foreign_keys(cdc.effective_rule[]) IS
  'Columns at the other end of a foreign key of a redacted one that show more of its values. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_few_values(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH hashed AS (
  SELECT e.relid, e.column_name, e.rule_id, t.typtype, coalesce(nullif(t.typbasetype, 0), t.oid) AS type, s.stadistinct
  FROM unnest(rules) e JOIN pg_attribute a ON a.attrelid = e.relid AND a.attnum = e.attnum JOIN pg_type t ON t.oid = a.atttypid
    -- (the view pg_stats looks at every column there is)
    LEFT JOIN pg_statistic s ON s.starelid = e.relid AND s.staattnum = e.attnum AND s.stadistinct BETWEEN 1 AND 1000
  WHERE e.method = 'hash' AND e.path IS NULL
), reason AS (
  SELECT h.*, CASE
    WHEN h.typtype = 'e' THEN 'an enum'
    WHEN h.type IN ('boolean'::regtype, '"char"'::regtype, 'smallint'::regtype, 'date'::regtype) THEN 'a ' || format_type(h.type, NULL)
    WHEN h.stadistinct IS NOT NULL THEN format('%s different values', h.stadistinct) END AS why
  FROM hashed h
)
SELECT r.relid, r.column_name, r.rule_id, 'few values',
  format('%s: who can write the table and read the stream finds out by trying which hash stands for which value', r.why),
  'use mask with a length, constant or drop'
FROM reason r WHERE r.why IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.report_few_values(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_few_values(cdc.effective_rule[]) IS
  'Hashed columns of few different values, by type or as ANALYZE has counted them. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_no_secret(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'no secret', 'the secret of hashes is not there: the value is withheld',
  'restore its large object, or SELECT cdc.rotate_redaction_secret()'
FROM unnest(rules) e
WHERE e.method = 'hash' AND NOT EXISTS (
  SELECT FROM (SELECT s.large_object FROM cdc.redaction_secret s ORDER BY s.number DESC LIMIT 1) s
    JOIN pg_largeobject_metadata l ON l.oid = s.large_object)
$$;
REVOKE ALL ON FUNCTION cdc.report_no_secret(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_no_secret(cdc.effective_rule[]) IS
  'Hashed columns, where the secret of hashes is not there. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'part of the key',
  format('method %s, so that events of the table have no key', e.method),
  'use hash, or another key (REPLICA IDENTITY USING INDEX)'
FROM unnest(rules) e
WHERE (e.method <> 'hash' OR e.path IS NOT NULL) AND (e.relid, e.attnum) IN (
  SELECT i.indrelid, unnest(i.indkey[:i.indnkeyatts - 1])
  FROM pg_index i WHERE (i.indisprimary AND i.indimmediate) OR i.indisreplident)
$$;
REVOKE ALL ON FUNCTION cdc.report_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_keys(cdc.effective_rule[]) IS
  'Redacted columns of keys that are none any more. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_partition_keys(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'partition key',
  'rows are sent under the names of partitions, which show where the value lies',
  'a publication with publish_via_partition_root'
FROM unnest(rules) e JOIN pg_partitioned_table p ON p.partrelid = e.relid AND e.attnum = ANY (p.partattrs)
$$;
REVOKE ALL ON FUNCTION cdc.report_partition_keys(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_partition_keys(cdc.effective_rule[]) IS
  'Redacted columns by which a table is partitioned. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_rivals(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT e.relid, e.column_name, e.rule_id, 'rules differ',
  format('rules %s are of the same rank: the value is withheld', e.rivals), 'remove all but one'
FROM unnest(rules) e WHERE e.rivals IS NOT NULL
$$;
REVOKE ALL ON FUNCTION cdc.report_rivals(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_rivals(cdc.effective_rule[]) IS
  'Columns with rules that contradict one another. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_idle_rules()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT to_regclass(quote_ident(r.schema_name) || '.' || quote_ident(r.table_name)), r.column_name, r.id, 'covers nothing',
  CASE WHEN r.column_pattern IS NULL THEN 'there is no such column now' ELSE format('no column matches %s now', r.column_pattern) END,
  'unredact it, unless changes of before wait to be read or the column may come again'
FROM cdc.redaction_rule r
WHERE r.removed_at IS NULL AND NOT EXISTS (SELECT FROM cdc.redaction_covered k WHERE k.rule_id = r.id)
$$;
REVOKE ALL ON FUNCTION cdc.report_idle_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_idle_rules() IS 'Rules that cover nothing. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_restored_rules()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT c.oid, NULL::name, m.rule_id, 'restored rule',
  'the rule finds the table, but none of the columns that it was for: all of the table is withheld',
  format('SELECT cdc.redact() for the right column, then SELECT cdc.confirm_rule(%s)', m.rule_id)
FROM cdc.redaction_name m JOIN cdc.redaction_rule r ON r.id = m.rule_id AND r.removed_at IS NULL
  JOIN pg_namespace n ON n.nspname = m.schema_name JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = m.table_name
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = m.column_name
WHERE NOT EXISTS (SELECT FROM cdc.redaction_column k WHERE k.rule_id = m.rule_id AND k.relation = 0)
  AND NOT EXISTS (SELECT FROM cdc.redaction_column k WHERE k.rule_id = m.rule_id AND k.relation = c.oid)
GROUP BY c.oid, m.rule_id
HAVING count(a.attname) = 0
$$;
REVOKE ALL ON FUNCTION cdc.report_restored_rules() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_restored_rules() IS
  'Rules that a restore has brought, whose table has none of their columns. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_names(rules cdc.effective_rule[])
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT t.relid, a.attname, NULL::bigint, 'no rule', format('the name is like %s', min(p.pattern)), 'a rule, if it is what the name says'
FROM pg_attribute a JOIN cdc.redactable_table t ON t.relid = a.attrelid
  JOIN (VALUES
    ('%password%'), ('%passwd%'), ('%passphrase%'), ('%secret%'), ('%token%'), ('%credential%'), ('%api\_key%'), ('%apikey%'),
    ('%private\_key%'), ('%email%'), ('%e\_mail%'), ('%phone%'), ('%mobile%'), ('%birth%'), ('dob'), ('ssn'), ('ssn\_%'), ('%\_ssn'),
    ('%social\_security%'), ('%passport%'), ('%tax\_id%'), ('%iban%'), ('%card%number%'), ('%credit%card%'), ('%cvv%'), ('%cvc%'),
    ('%salary%'), ('%diagnos%')) p(pattern) ON a.attname::text ILIKE p.pattern
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
  AND NOT t.relispartition
  AND NOT EXISTS (SELECT FROM unnest(rules) e WHERE e.relid = a.attrelid AND e.attnum = a.attnum)
GROUP BY t.relid, a.attname
$$;
REVOKE ALL ON FUNCTION cdc.report_names(cdc.effective_rule[]) FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_names(cdc.effective_rule[]) IS
  'Columns without a rule whose names look as if they needed one. For cdc.redaction_report().';

CREATE FUNCTION cdc.report_triggers()
RETURNS SETOF cdc.redaction_finding LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT x.relation, NULL::name, NULL::bigint, 'disabled trigger',
  format('%s does not always run: rules do not follow columns, or are not noticed', x.name), x.statement
FROM (SELECT g.tgrelid::regclass AS relation, g.tgname AS name,
        format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.tgrelid::regclass, g.tgname) AS statement
      FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cdc'::regnamespace)
        AND NOT g.tgisinternal AND g.tgenabled <> 'A'
      UNION ALL
      SELECT NULL, v.evtname, format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', v.evtname)
      FROM pg_event_trigger v JOIN pg_depend d ON d.classid = 'pg_event_trigger'::regclass AND d.objid = v.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'cdc'
      WHERE v.evtenabled <> 'A') x
$$;
REVOKE ALL ON FUNCTION cdc.report_triggers() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_triggers() IS 'Triggers of the extension that are disabled. For cdc.redaction_report().';

-- Joins are hashed: neither the arrays nor the extension's tables, which are never
-- analyzed, are known to be long, and a nested loop over them takes time by the square.
CREATE FUNCTION cdc.redaction_report(OUT relation regclass, OUT column_name name, OUT rule_id bigint,
  OUT finding text, OUT detail text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_nestloop = off
AS $$
DECLARE
  rules cdc.effective_rule[] := ARRAY(SELECT e FROM cdc.effective_rules() e);
BEGIN
  RETURN QUERY
  SELECT f.*
  FROM (SELECT * FROM cdc.report_generated_columns(rules)
        UNION ALL SELECT * FROM cdc.report_row_filters(rules)
        UNION ALL SELECT * FROM cdc.report_foreign_keys(rules)
        UNION ALL SELECT * FROM cdc.report_few_values(rules)
        UNION ALL SELECT * FROM cdc.report_no_secret(rules)
        UNION ALL SELECT * FROM cdc.report_keys(rules)
        UNION ALL SELECT * FROM cdc.report_partition_keys(rules)
        UNION ALL SELECT * FROM cdc.report_rivals(rules)
        UNION ALL SELECT * FROM cdc.report_idle_rules()
        UNION ALL SELECT * FROM cdc.report_restored_rules()
        UNION ALL SELECT * FROM cdc.report_names(rules)
        UNION ALL SELECT * FROM cdc.report_triggers()) f
  ORDER BY f.relation::text, f.column_name, f.finding, f.detail, f.rule_id;
END $$;
REVOKE ALL ON FUNCTION cdc.redaction_report() FROM PUBLIC;
COMMENT ON FUNCTION cdc.redaction_report() IS
  'What the rules of redaction still leak or do not cover, and columns without a rule that look as if they needed one. rule_id: the rule that it is about. What a hash, a mask or a part shows by its nature is not a finding. More: docs/reference.md.';
