CREATE FUNCTION cdc.redaction_methods(OUT name text, OUT rank int, OUT takes text, OUT needs text)
RETURNS SETOF record LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 8
AS 'MODULE_PATHNAME', 'cdc_redaction_methods';
REVOKE ALL ON FUNCTION cdc.redaction_methods() FROM PUBLIC;
COMMENT ON FUNCTION cdc.redaction_methods() IS
  'The methods of redaction, the strictest first: of two rules for a column the one with the higher rank counts. takes, needs: parameters, with commas between them. For the extension''s own functions.';

CREATE FUNCTION cdc.check_method(method text, value text, length int, prefix int, suffix int, filler text)
RETURNS void LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  allowed text[];
  needed text[];
  given text[] := array_remove(ARRAY[
    CASE WHEN value IS NOT NULL THEN 'value' END, CASE WHEN length IS NOT NULL THEN 'length' END,
    CASE WHEN prefix IS NOT NULL THEN 'prefix' END, CASE WHEN suffix IS NOT NULL THEN 'suffix' END,
    CASE WHEN filler IS NOT NULL THEN 'filler' END], NULL);
BEGIN
  SELECT string_to_array(m.takes, ','), string_to_array(m.needs, ',') INTO allowed, needed
  FROM cdc.redaction_methods() m WHERE m.name = method;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('unknown method of redaction: %s', coalesce(quote_ident(method), 'NULL')),
      HINT = format('Methods are: %s.', (SELECT string_agg(m.name, ', ') FROM cdc.redaction_methods() m));
  END IF;
  IF NOT given <@ allowed THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s does not take %s', method,
        (SELECT string_agg(g, ', ') FROM unnest(given) g WHERE g <> ALL (allowed))),
      HINT = CASE WHEN allowed = '{}' THEN 'It takes no parameters.'
             ELSE format('It takes: %s.', array_to_string(allowed, ', ')) END;
  END IF;
  IF NOT needed <@ given THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method %s needs %s', method, array_to_string(needed, ' and '));
  END IF;
  IF length NOT BETWEEN 0 AND 10000 OR prefix NOT BETWEEN 0 AND 10000 OR suffix NOT BETWEEN 0 AND 10000 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'length, prefix and suffix must be between 0 and 10000 characters';
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.check_method(text, text, int, int, int, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_method(text, text, int, int, int, text) IS
  'ERROR (22023) unless there is such a method of redaction, and it takes these parameters.';

CREATE FUNCTION cdc.check_path(path text, type regtype)
RETURNS void LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_check_path';
REVOKE ALL ON FUNCTION cdc.check_path(text, regtype) FROM PUBLIC;
COMMENT ON FUNCTION cdc.check_path(text, regtype) IS
  'ERROR (22023) unless the type is json, jsonb or a domain over them, and it is a path into its values as cdc.redact() takes them. NULL is fine.';

CREATE FUNCTION cdc.add_rule(rule cdc.redaction_rule, relation oid)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF rule.method = 'hash' AND NOT EXISTS (SELECT FROM cdc.redaction_secret) THEN
    PERFORM cdc.rotate_redaction_secret();
  END IF;
  IF EXISTS (SELECT FROM cdc.redaction_methods() m WHERE m.name = rule.method AND m.takes ~ '\mfiller\M') THEN
    rule.filler := coalesce(rule.filler, '*');
  END IF;
  rule.id := nextval('cdc.redaction_rule_id_seq');
  PERFORM cdc.put_row(rule);
  PERFORM cdc.protect(rule.id, relation, rule.column_name);
  PERFORM cdc.audit_rule('redaction_rule', 'INSERT', to_jsonb(rule));
  RETURN rule.id;
END $$;
REVOKE ALL ON FUNCTION cdc.add_rule(cdc.redaction_rule, oid) FROM PUBLIC;
COMMENT ON FUNCTION cdc.add_rule(cdc.redaction_rule, oid) IS
  'Writes a rule, and what it protects of a table (NULL: of none, it is by pattern), and returns its number. For the extension''s own functions.';

CREATE FUNCTION cdc.redact(relation regclass, column_name name, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  path text DEFAULT NULL, reason text DEFAULT NULL, force boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  col record;
BEGIN
  PERFORM cdc.require_primary('cdc.redact()');
  PERFORM cdc.check_method(method, value, length, prefix, suffix, filler);
  -- no DDL beside it is missed: what follows sees what was committed before the lock
  PERFORM cdc.lock_table(relation);
  SELECT c.relkind, n.nspname, c.relname, a.attnum, a.atttypid,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)
            AND (i.indisreplident OR i.indisprimary)) AS is_key
  INTO col
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = redact.column_name AND a.attnum > 0
      AND NOT a.attisdropped
  WHERE c.oid = redact.relation;
  IF NOT FOUND OR col.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('"%s" is not a table', coalesce(relation::text, 'NULL'));
  END IF;
  IF NOT EXISTS (SELECT FROM cdc.redactable_table t WHERE t.relid = relation) THEN
    RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
      MESSAGE = format('changes of table %s are never sent', relation),
      DETAIL = 'Temporary and unlogged tables, catalogs and the tables of cdc are in no stream.';
  END IF;
  IF col.attnum IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_column',
      MESSAGE = format('column "%s" of table %s does not exist', column_name, relation);
  END IF;
  PERFORM cdc.check_path(path, col.atttypid);
  IF col.is_key AND (method <> 'hash' OR path IS NOT NULL) AND NOT force THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('column "%s" is part of the key of table %s', column_name, relation),
      DETAIL = 'Consumers find rows by the key; one that is not sent whole or hashed is none, and then they have no way to tell which row an UPDATE or DELETE has met.',
      HINT = 'Use method hash for the whole value, which keeps equal keys equal, or force => true.';
  END IF;
  RETURN cdc.add_rule(ROW(0, col.nspname, col.relname, column_name, NULL, method, value, length, prefix, suffix, filler, path,
    NULL, reason, now(), session_user)::cdc.redaction_rule, relation);
END $$;
REVOKE ALL ON FUNCTION cdc.redact(regclass, name, text, text, int, int, int, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION cdc.redact(regclass, name, text, text, int, int, int, text, text, text, boolean) IS
  'Adds a rule: what stands for the values of a column in every stream, snapshot and schema. Methods: drop, null, constant (value), mask (filler, length), hash, partial (prefix, suffix, filler), email, truncate (length). With path it is about parts of json and jsonb values. Returns the rule''s id. ERROR 22023 for a wrong argument, 55000 for a key column, see force. More: docs/reference.md.';

CREATE FUNCTION cdc.redact_matching(column_pattern text, method text, value text DEFAULT NULL,
  length int DEFAULT NULL, prefix int DEFAULT NULL, suffix int DEFAULT NULL, filler text DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  PERFORM cdc.require_primary('cdc.redact_matching()');
  PERFORM cdc.check_method(method, value, length, prefix, suffix, filler);
  IF coalesce(column_pattern, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'column_pattern must not be empty',
      HINT = 'For example: ''%email%''.';
  END IF;
  -- LIKE raises an error at it, so that the rules could not be shown any more
  IF column_pattern ~ '(^|[^\\])(\\\\)*\\$' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'column_pattern must not end with a single backslash',
      HINT = 'Two of them are a backslash.';
  END IF;
  RETURN cdc.add_rule(ROW(0, NULL, NULL, NULL, column_pattern, method, value, length, prefix, suffix, filler, NULL,
    NULL, reason, now(), session_user)::cdc.redaction_rule, NULL);
END $$;
REVOKE ALL ON FUNCTION cdc.redact_matching(text, text, text, int, int, int, text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.redact_matching(text, text, text, int, int, int, text, text) IS
  'Adds a rule for every column, now and later, whose name matches: % is any characters, _ is one, letters A to Z match both cases. Methods and the rest as for cdc.redact(); key columns that match are redacted, too, and are no key then unless hashed.';

CREATE FUNCTION cdc.existing_rule(rule_id bigint)
RETURNS cdc.redaction_rule LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule;
BEGIN
  SELECT * INTO rule FROM cdc.redaction_rule r WHERE r.id = rule_id AND r.removed_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('rule %s does not exist', coalesce(rule_id::text, 'NULL')),
      HINT = 'The view cdc.redaction_rules lists those that do.';
  END IF;
  RETURN rule;
END $$;
REVOKE ALL ON FUNCTION cdc.existing_rule(bigint) FROM PUBLIC;
COMMENT ON FUNCTION cdc.existing_rule(bigint) IS
  'The rule with this number. For the extension''s own functions. ERROR 42704 where there is none, or it was removed.';

CREATE FUNCTION cdc.unredact(rule_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule := cdc.existing_rule(rule_id);
BEGIN
  PERFORM cdc.require_primary('cdc.unredact()');
  -- the audit has the reason of the removal beside that of the rule
  rule.reason := concat_ws('; removed: ', rule.reason, unredact.reason);
  rule.removed_at := pg_current_wal_insert_lsn();
  PERFORM cdc.put_row(rule);
  PERFORM cdc.positions_at_commit();
  PERFORM cdc.audit_rule('redaction_rule', 'DELETE', to_jsonb(rule));
  PERFORM cdc.prune_rules();
END $$;
REVOKE ALL ON FUNCTION cdc.unredact(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.unredact(bigint, text) IS
  'Removes a rule. What is committed before the removal is stays redacted, whenever it is read. The transaction cannot be prepared (ERROR 0A000). ERROR 42704 where there is no such rule.';

CREATE FUNCTION cdc.lock_table(relation regclass)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) THEN
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.lock_table(regclass) FROM PUBLIC;
COMMENT ON FUNCTION cdc.lock_table(regclass) IS
  'Lets other DDL on a table, its partitions and what inherits from it wait until the transaction ends; what writes it does not. For the extension''s own functions.';

CREATE FUNCTION cdc.confirm_rule(rule_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule cdc.redaction_rule := cdc.existing_rule(rule_id);
BEGIN
  PERFORM cdc.require_primary('cdc.confirm_rule()');
  PERFORM cdc.confirm(rule_id);
  rule.reason := concat_ws('; confirmed: ', rule.reason, confirm_rule.reason);
  PERFORM cdc.audit_rule('redaction_rule', 'CONFIRM', to_jsonb(rule));
END $$;
REVOKE ALL ON FUNCTION cdc.confirm_rule(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.confirm_rule(bigint, text) IS
  'Says that a rule which a restore has brought is right: it protects the columns that bear its names now. Until then it withholds all of a table that bears its name but has none of its columns. Does nothing for a rule that was made here. ERROR 42704 where there is no such rule.';
