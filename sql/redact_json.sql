-- Rules of redaction with paths into json and jsonb.
\set SHOW_CONTEXT never
SELECT slot_name FROM cdc.create_slot('cdc_regress_json');
SELECT cdc.rotate_redaction_secret() > 0 AS secret;
CREATE DOMAIN doc AS jsonb;
CREATE TABLE t (id int PRIMARY KEY, j json, b jsonb, d doc, v text);
ALTER TABLE t REPLICA IDENTITY FULL;
-- what a value looks like under rules, of which each is the rest of a call
CREATE FUNCTION under(value text, VARIADIC rules text[]) RETURNS text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
  rule text;
  col text := CASE WHEN rules[1] ~ '^[jbd]$' THEN rules[1] ELSE 'j' END;
  result jsonb;
BEGIN
  FOREACH rule IN ARRAY rules LOOP
    IF rule !~ '^[jbd]$' THEN EXECUTE format('SELECT cdc.redact(''t'', %L, %s)', col, rule); END IF;
  END LOOP;
  EXECUTE format('INSERT INTO t (id, %I) VALUES (1, %L)', col, value);
  SELECT event->'redacted'->col INTO result FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
  DELETE FROM t;
  PERFORM cdc.unredact(r.id) FROM cdc.redaction_rules r;
  RETURN CASE result->>'method' WHEN 'path' THEN
    CASE result->>'new' WHEN '' THEN 'withheld' ELSE regexp_replace(result->>'new', '\d+:[0-9a-f]{64}', 'HASH', 'g') END
    ELSE result->>'method' END;
END $$;

-- what a path leads to
SELECT path, value, under(value, format('''mask'', path => %L', path)) AS mask, under(value, format('''drop'', path => %L', path)) AS drop
FROM (VALUES
  ('$.a', '{"a": "x1", "b": "y1"}'), ('$.a', ' { "b" : [ 1 , 2 ] , "a" : "x1" } '), ('$.a', '{}'), ('$.a', '[]'), ('$.a', '{"b": {"a": "kept"}}'),
  ('$.a', '{"a": null}'), ('$.a', 'null'), ('$.a', '{"A": "kept"}'), ('$.a', '{"a": 12.50e3}'), ('$.a', '{"a": true, "c": false}'),
  ('$.a', '{"a": "one", "b": 1, "a": "two"}'), ('$.a', '{"ab": "kept", "a": "x1"}'), ('$.a', '{"\u0061": "x1"}'), ('$.a', '[{"a": "x1"}, {"b": 2}, [{"a": "x2"}], null]'), ('$.a', '{"a": ""}'),
  ('$.a.b', '{"a": {"b": "x1", "c": "y"}, "b": "kept"}'), ('$.a.b', '{"a": null}'), ('$.a.b', '{"a": [{"b": 1}, {"b": [2]}]}'), ('$.a.b', '{"a": []}'),
  ('$."a b"', '{"a b": "x1"}'), ('$."\"\u00e4\n"', '{"\"ä\u000a": "x1", "ä": "kept"}'), ('$."\ud834\udd1e"', '{"𝄞": "x1"}'), ('$.ä_1$', '{"\u00e4_1$": "x1"}'), ('$."*"', '{"*": "x1", "a": "kept"}'),
  ('$[*]', '["x1", 2, null, true]'), ('$[*]', '"x1"'), ('$[*]', '[]'), ('$[*]', 'null'), ('$[*][*]', '[["x1"], "x2", null]'), ('$[*].a', '[{"a": "x1"}, {"b": 1}]'), ('$[*].a', '{"a": "x1"}'),
  ('$.a[*]', '{"a": ["x1", "x2"]}'), ('$.a[*]', '{"a": "x1"}'), ('$.a[*].b', '{"a": [{"b": "x1"}, {"b": null}]}'), ('$.*', '{"a": "x1", "\u0000": 1}'), ('$.*', '[{"a": "x1"}]'), ('$.*.a', '{"p": {"a": "x1"}, "q": {"b": 1}}'),
  ('$.a.*[*].b', '{"a": {"p": [{"b": "x1"}], "q": {"b": "x2", "c": 0}}, "c": [{"b": 1}]}')) x(path, value);
-- not what a path expects
SELECT path, value, under(value, format('''mask'', path => %L', path)) AS mask, under(value, format('''constant'', value => ''"'', path => %L', path)) AS constant, under(value, format('''null'', path => %L', path)) AS "null"
FROM (VALUES
  ('$.a', '{"a": {"b": 1}}'), ('$.a', '{"a": []}'), ('$.a', '"a"'), ('$.a', '5'), ('$.a', '[{"a": 1}, 2]'), ('$.a.b', '{"a": "x"}'), ('$.a.b', '{"a": [[[false]]]}'),
  ('$[*]', '[["x"]]'), ('$.*', '1'), ('$.*.a', '{"x": 1}'),
  ('$.a', '{"\u0000": "x"}'), ('$.a', '{"\ud800": "x"}'), ('$.a', '{"a": "\u0000"}'), ('$.a', '{"a": "\udc00"}'), ('$.a', '{"a": "\ud834x"}'),
  ('$.a', '{"b": {"\u0000": "\ud800"}}')) x(path, value);
SELECT under('"x"', '''drop'', path => ''$[*]''') AS no_member_to_drop;
-- (with a warning)
CREATE TABLE warned (id int PRIMARY KEY, j json);
SELECT cdc.redact('warned', 'j', 'drop', path => '$[*]') > 0 AS made;
INSERT INTO warned VALUES (1, '"x"'), (2, '["y", 1]');
SELECT event->'redacted'->'j'->>'new' AS new FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('warned') b));
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
DROP TABLE warned;
-- deeper than any stack
SELECT left(under(repeat('[', 5000) || '{"a":"x1"}' || repeat(']', 5000), '''mask'', path => ''$.a'''), 1) AS open, strpos(under(repeat('{"a":', 5000) || '"x1"' || repeat('}', 5000), '''mask'', path => ''$.b'''), 'x1') AS found;

-- what stands there
SELECT v, under(v, 'b', '''partial'', prefix => 1, suffix => 1, path => ''$.a''') AS partial, under(v, '''email'', filler => ''"\'', path => ''$.a''') AS email,
  under(v, 'd', '''truncate'', length => 2, path => ''$.a''') AS truncate, under(v, '''hash'', path => ''$.a''') AS hash
FROM (VALUES ('{"a": "anna@example.org"}'), ('{"a": "\"\\\u0001\t"}'), ('{"a": "äöü𝄞"}'), ('{"a": "\u00e4\u00F6\ud834\udd1e"}'), ('{"a": -1.5}'), ('{"a": false}'), ('{"a": ""}')) x(v);
-- the hash is that of the same text elsewhere
CREATE TABLE same (id int PRIMARY KEY, v text, j json);
INSERT INTO same VALUES (1, E'a"\né', '{"v": "a\u0022\n\u00E9"}'), (2, '12.50', '{"v": 12.50}');
SELECT cdc.redact('same', 'v', 'hash') > 0, cdc.redact('same', 'j', 'hash', path => '$.v') > 0;
SELECT event->'redacted'->'v'->'new' = (event->'redacted'->'j'->>'new')::jsonb->'v' AS same FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('same') b));
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;

-- several rules
SELECT rules, under('{"a": "x1", "b": {"c": "y1"}, "d": ["z1"]}', VARIADIC rules) FROM (VALUES
  (ARRAY['''mask'', path => ''$.a''', '''drop'', path => ''$.b.c''', '''hash'', path => ''$.d[*]''']),
  (ARRAY['''mask'', path => ''$.a''', '''partial'', prefix => 1, suffix => 0, path => ''$.a''', '''mask'', path => ''$.a''']),
  (ARRAY['''truncate'', length => 1, path => ''$.a''', '''partial'', prefix => 1, suffix => 0, path => ''$.a''']),
  (ARRAY['''truncate'', length => 1, path => ''$.a''', '''hash'', path => ''$.a''', '''partial'', prefix => 1, suffix => 0, path => ''$."a"''']),
  (ARRAY['''truncate'', length => 1, path => ''$.a''', '''partial'', prefix => 1, suffix => 0, path => ''$.a''', '''hash'', path => ''$.a''']),
  (ARRAY['''truncate'', length => 1, path => ''$.b.c''', '''email'', path => ''$.*.*''']),
  (ARRAY['''mask'', path => ''$.b.c''', '''null'', path => ''$.b''']),
  (ARRAY['''mask'', path => ''$.b.c''', '''hash'', path => ''$.b''']),
  (ARRAY['''mask'', path => ''$.a''', '''constant'', value => ''x'', path => ''$.*''']),
  (ARRAY['''constant'', value => ''y'', path => ''$.a''', '''constant'', value => ''x'', path => ''$.*''']),
  (ARRAY['''mask'', path => ''$.a''', '''mask'', path => ''$.a.b''']),
  (ARRAY['''null'', path => ''$.a''', '''mask'', path => ''$.a.b''']),
  (ARRAY['''drop'', path => ''$.b''', '''drop'', path => ''$.d[*]''', '''drop'', path => ''$.a''']),
  (ARRAY['''hash'', path => ''$.a''', '''mask''']), (ARRAY['''drop'', path => ''$.a''', '''hash''']),
  (ARRAY['''drop'', path => ''$.a''', '''truncate'', length => 2']), (ARRAY['''drop'', path => ''$.a''', '''drop'''])) x(rules);

-- against another way to do the same, by random values and paths
CREATE FUNCTION random_json(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  IF random() < 0.3 OR depth = 0 THEN
    RETURN (ARRAY['"text"', '"ä\"\\"', '1.50', 'true', 'null', '{}', '[]', '""'])[1 + (random() * 7)::int];
  ELSIF random() < 0.6 THEN
    RETURN (SELECT coalesce(jsonb_object_agg(k, random_json(depth - 1)), '{}') FROM unnest(ARRAY['a', 'b', 'ä"']) k WHERE random() < 0.7);
  END IF;
  RETURN (SELECT coalesce(jsonb_agg(random_json(depth - 1)), '[]') FROM generate_series(1, (random() * 3)::int));
END $$;
-- NULL: withheld; the array's second element: whether to drop it
CREATE FUNCTION expected(value jsonb, steps text[], method text, OUT result jsonb, OUT gone boolean) LANGUAGE plpgsql AS $$
DECLARE
  type text := jsonb_typeof(value);
  part record;
  inner_part record;
BEGIN
  gone := false;
  WHILE steps[1] = '[*]' AND type <> 'array' LOOP steps := steps[2:]; END LOOP;
  IF steps = '{}' AND method = 'drop' THEN gone := true; result := 'null'; RETURN; END IF;
  IF type = 'null' THEN result := value; RETURN; END IF;
  IF steps = '{}' THEN
    result := CASE WHEN method = 'constant' THEN to_jsonb('?'::text)
                   WHEN type IN ('object', 'array') THEN NULL
                   ELSE to_jsonb(repeat('*', length(value #>> '{}'))) END;
    RETURN;
  END IF;
  IF type = 'array' THEN
    result := '[]';
    FOR part IN SELECT e FROM jsonb_array_elements(value) e LOOP
      SELECT * INTO inner_part FROM expected(part.e, CASE WHEN steps[1] = '[*]' THEN steps[2:] ELSE steps END, method);
      IF inner_part.result IS NULL THEN result := NULL; RETURN; END IF;
      IF NOT inner_part.gone THEN result := result || jsonb_build_array(inner_part.result); END IF;
    END LOOP;
  ELSIF type = 'object' THEN
    result := '{}';
    FOR part IN SELECT key, e.value FROM jsonb_each(value) e LOOP
      IF steps[1] IN ('.*', '.' || part.key, '.' || to_jsonb(part.key)::text) THEN
        SELECT * INTO inner_part FROM expected(part.value, steps[2:], method);
        IF inner_part.result IS NULL THEN result := NULL; RETURN; END IF;
      ELSE
        SELECT part.value AS result, false AS gone INTO inner_part;
      END IF;
      IF NOT inner_part.gone THEN result := result || jsonb_build_object(part.key, inner_part.result); END IF;
    END LOOP;
  END IF;
END $$;
CREATE FUNCTION differences(tries int, OUT wrong text[], OUT withheld boolean, OUT changed boolean, OUT same boolean) LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
  value jsonb;
  steps text[];
  method text;
  got text;
  want record;
BEGIN
  withheld := false; changed := false; same := false;
  CREATE TABLE many (id int PRIMARY KEY, v jsonb);
  FOR i IN 1 .. tries LOOP
    steps := ARRAY(SELECT (ARRAY['.a', '."ä\""', '.b', '.*', '[*]'])[1 + (random() * 4)::int] FROM generate_series(1, 1 + (random() * 2)::int));
    method := (ARRAY['mask', 'constant', 'drop'])[1 + (random() * 2)::int];
    PERFORM cdc.redact('many', 'v', method, value => CASE method WHEN 'constant' THEN '?' END, path => '$' || array_to_string(steps, ''));
    INSERT INTO many SELECT n, random_json(4) FROM generate_series(1, 20) n;
    FOR value, got IN SELECT v, event->'redacted'->'v'->>'new' FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('many') b)) JOIN many ON id = (event->'key'->>'id')::int LOOP
      SELECT * INTO want FROM expected(value, steps, method);
      IF want.gone OR want.result IS NULL THEN
        withheld := true;
        IF got <> '' THEN wrong := wrong || format('%s %s of %s: %s', method, steps, value, got); END IF;
      ELSIF got = '' OR got::jsonb <> want.result THEN
        wrong := wrong || format('%s %s of %s: %s instead of %s', method, steps, value, got, want.result);
      ELSE
        changed := changed OR want.result <> value;
        same := same OR want.result = value;
      END IF;
    END LOOP;
    DELETE FROM many;
    PERFORM cdc.unredact(r.id) FROM cdc.redaction_rules r;
  END LOOP;
  DROP TABLE many;
END $$;
SELECT setseed(0.5) IS NOT NULL;
SELECT * FROM differences(60);

-- in the stream: what looks the same has not changed, and what is withheld is told once
SELECT cdc.advance_slot('cdc_regress_json', pg_current_wal_lsn()) IS NOT NULL AS skipped;
SELECT cdc.redact('t', 'j', 'mask', path => '$.a', reason => 'because') AS rule \gset
INSERT INTO t (id, j) VALUES (1, '{"a": "x1", "b": 1}'), (2, NULL), (3, 'null');
UPDATE t SET j = '{"a":"x2","b":1}' WHERE id = 1;
UPDATE t SET j = '{"a":"x2","b":2}' WHERE id = 1;
UPDATE t SET j = '{"a":{}}' WHERE id = 1;
UPDATE t SET j = '"x"', v = 'w' WHERE id = 1;
UPDATE t SET j = NULL WHERE id = 1;
DELETE FROM t;
SELECT op, old, new, event->'redacted' AS redacted, event->'unavailable' AS unavailable FROM cdc.read('cdc_regress_json');
SELECT method, path, covers, reason FROM cdc.redaction_rules;
SELECT action, rule->>'path' AS path FROM cdc.redaction_audit WHERE (rule->>'id')::bigint = :rule;
-- removed: counts for what was changed before
INSERT INTO t (id, j) VALUES (4, '{"a": "x4"}');
SELECT cdc.unredact(:rule);
INSERT INTO t (id, j) VALUES (5, '{"a": "open"}');
SELECT new->'j' AS j, event->'redacted'->'j'->'new' AS redacted FROM cdc.read('cdc_regress_json');

-- follows what it covers
CREATE TABLE root (id int, j jsonb) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
SELECT cdc.redact('root', 'j', 'drop', path => '$.a') AS rule \gset
CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (10) TO (20);
ALTER TABLE root DETACH PARTITION leaf2;
ALTER TABLE leaf2 RENAME TO elsewhere;
ALTER TABLE elsewhere RENAME j TO k;
INSERT INTO elsewhere VALUES (1, '{"a": 1, "b": 2}');
INSERT INTO root VALUES (1, '{"a": 1, "b": 2}');
SELECT relation, new, event->'redacted' AS redacted FROM cdc.read('cdc_regress_json');
SELECT path, cardinality(covers) FROM cdc.redaction_rules;
-- no JSON any more; a path that is none; a column that older rows do not have
ALTER TABLE elsewhere ALTER k TYPE text;
UPDATE elsewhere SET k = 'x';
SELECT op, event->'redacted' AS redacted FROM cdc.read('cdc_regress_json');
SELECT cdc.put_row(jsonb_populate_record(r, '{"path": "$.a[7]"}')) FROM cdc.redaction_rule r WHERE removed_at IS NULL;
INSERT INTO root VALUES (2, '{"a": 1}');
SELECT event->'redacted' AS redacted FROM cdc.read('cdc_regress_json');
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
ALTER TABLE t ADD late jsonb DEFAULT '{"a": "x1"}', ADD number int DEFAULT 5;
SELECT cdc.redact('t', 'late', 'mask', path => '$.a') > 0, cdc.redact('t', 'number', 'mask') > 0;
SELECT jsonb_path_query(cdc.table_schema('t'), '$.columns[*] ? (@.redaction != "")') FROM t LIMIT 2;
SELECT cdc.proto('t');
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;

-- errors
\set VERBOSITY default
SELECT cdc.redact('t', 'v', 'mask', path => '$.a');
DO $$
DECLARE
  tried text;
  detail text;
BEGIN
  FOREACH tried IN ARRAY ARRAY['', '$', 'a', '$a', '$.', '$..a', '$.a ', '$.a[0]', '$.a[*', '$.1', '$.ä-b', '$."a', '$."\x"', '$."\u0000"', '$.a.size()', 'strict $.a', '$ ? (@.a == 1)'] LOOP
    BEGIN
      PERFORM cdc.redact('t', 'j', 'mask', path => tried);
      RAISE NOTICE '% is a path', tried;
    EXCEPTION WHEN invalid_parameter_value THEN
      GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
      RAISE NOTICE '%: %: %', tried, SQLERRM, detail;
    END;
  END LOOP;
END $$;
\set VERBOSITY terse
SELECT cdc.redact('t', 'j', 'shred', path => '$.a');
\set VERBOSITY sqlstate
SELECT cdc.redact_matching('%j%', 'mask', path => '$.a');
\set VERBOSITY default
CREATE TABLE by_doc (id jsonb PRIMARY KEY, list json[]);
SELECT cdc.redact('by_doc', 'id', 'hash', path => '$.a');
SELECT cdc.redact('by_doc', 'list', 'hash', path => '$.a');
SELECT cdc.redact('by_doc', 'id', 'hash', path => '$.a', force => true) > 0 AS forced;
SELECT jsonb_path_query(cdc.table_schema('by_doc'), '$.columns[*].key') AS no_key;
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;

SELECT cdc.drop_slot('cdc_regress_json');
DROP TABLE t, same, root, elsewhere, by_doc;
DROP DOMAIN doc;
DROP FUNCTION under, random_json, expected, differences;
