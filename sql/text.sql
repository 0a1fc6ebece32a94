-- Values whose text is not made by their output functions: it is the same to the byte.
SELECT slot_name FROM cdc.create_slot('cdc_regress_text', options => '{batch_bytes,1}');
CREATE TABLE v (id int GENERATED ALWAYS AS IDENTITY, n numeric, j jsonb, a numeric[]);
-- numeric: signs, weights and scales, with zeros at each end of what is stored
INSERT INTO v (n)
SELECT (sign || digits || '.' || rpad('', zeros, '0') || fraction)::numeric
FROM unnest(ARRAY['', '-']) sign, unnest(ARRAY['0', '1', '9', '10', '99', '100', '1000', '9999', '10000', '10001', '100000000', '1000000000000', '99999999999999999999']) digits,
     unnest(ARRAY[0, 1, 3, 4, 5, 8, 12]) zeros, unnest(ARRAY['', '0', '1', '9999', '10000', '5', '00010001', '123456789']) fraction;
INSERT INTO v (n) VALUES ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), ('-0.000'), ('1e131071'), ('-9e131071'), ('1e-16383'), ('12345e100'), ('12345e-100'), (repeat('9', 131072)::numeric);
INSERT INTO v (n) SELECT sign * factorial(k) / 10::numeric ^ scale FROM generate_series(0, 60, 3) k, unnest(ARRAY[0, 2, 7, 40]) scale, unnest(ARRAY[1, -1]) sign;
SELECT setseed(0.5);
INSERT INTO v (n) SELECT round(((random() - 0.5) * 10 ^ (random() * 30)::int)::numeric * (random() * 1e9)::int, (random() * 20)::int) FROM generate_series(1, 2000);
-- jsonb: strings of any length with any character, numbers, nesting
INSERT INTO v (j) SELECT to_jsonb(repeat('x', k) || c || repeat('y', l))
FROM generate_series(0, 17) k, unnest(ARRAY['', '"', '\', '/', E'\b', E'\f', E'\n', E'\r', E'\t', E'\x01', E'\x1f', E'\x7f', 'é', '€', '𝄞', E'\u2028']) c, unnest(ARRAY[0, 1, 8, 30]) l;
INSERT INTO v (j) SELECT j::jsonb FROM unnest(ARRAY['null', 'true', 'false', '0', '-1.50', '1e400', '""', '[]', '{}', '[[]]', '[{}]', '{"": ""}', '[null, true, false, 1, "a", [1, 2], {"b": {"c": []}}]',
  '{"a\"b": 1, "c\\d": "\n", "é": "\u0001"}', '{"aa": 1, "b": 2, "a": {"z": [1.0, {"y": -0.0}]}}']) j;
INSERT INTO v (j) SELECT jsonb_agg(x) FROM (SELECT to_jsonb(n) FROM v WHERE n < 1e100 AND n > -1e100) t(x);
INSERT INTO v (j) SELECT jsonb_object_agg('key ' || k || repeat('k', k % 50), CASE k % 4 WHEN 0 THEN to_jsonb(k / 7.0) WHEN 1 THEN to_jsonb(repeat('v', k)) WHEN 2 THEN jsonb_build_array(k, k || '', NULL) ELSE jsonb_build_object('k', k, 'é', '\') END)
FROM generate_series(1, 300) k;
-- deeper than recursion goes
INSERT INTO v (j) SELECT (repeat('[1, {"a": ', d) || '"x"' || repeat('}, 2]', d))::jsonb FROM unnest(ARRAY[200, 249, 250, 251, 252, 1000]) d;
-- numbers that come from memory that is not aligned
INSERT INTO v (a) SELECT array_agg(n ORDER BY id) FROM v WHERE n < 1e100 GROUP BY id % 20;

-- each row is a batch: its bytes have the text, and what is read back is the value
SELECT count(*) AS rows, count(v.id) AS joined,
       count(*) FILTER (WHERE position(convert_to(coalesce(v.n::text, v.j::text), 'UTF8') in s.data) = 0) AS other_text,
       count(*) FILTER (WHERE d.new->>'n' IS DISTINCT FROM v.n::text OR d.new->'j' IS DISTINCT FROM v.j
         OR ARRAY(SELECT x::numeric FROM jsonb_array_elements_text(d.new->'a') x) IS DISTINCT FROM coalesce(v.a, '{}')) AS other_value
FROM pg_logical_slot_peek_binary_changes('cdc_regress_text', NULL, NULL, 'schemas', 'batch') s
CROSS JOIN LATERAL (SELECT * FROM cdc.decode(s.data) d WHERE d.op = 'INSERT') d
LEFT JOIN v ON v.id = (d.new->>'id')::int;

SELECT cdc.drop_slot('cdc_regress_text');
DROP TABLE v;
