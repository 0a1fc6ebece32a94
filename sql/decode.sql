-- decode: the bytes of a stream, in every form, and damaged.
SELECT slot_name FROM cdc.create_slot('cdc_regress_decode');
CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, a int[]);
CREATE TABLE h (id int, v text);
ALTER TABLE h REPLICA IDENTITY FULL;
CREATE TABLE every (b bool, i2 int2, i8 int8, o oid, f4 float4, f8 float8, v varchar, j json, jb jsonb, y bytea, u uuid, ts timestamp,
  tz timestamptz, d date, ti time, tt timetz, iv interval, ba bool[], ta text[], fa float8[], ya bytea[], da date[], m int[], p point);
BEGIN;
SELECT cdc.set_metadata('user', 'anna');
INSERT INTO t VALUES (1, E'one\n', 1.50, '{1,2}'), (2, NULL, NULL, NULL);
UPDATE t SET v = NULL WHERE id = 1;
UPDATE t SET id = 3 WHERE id = 2;
COMMIT;
INSERT INTO h VALUES (1, 'größe');
UPDATE h SET v = 'x';
INSERT INTO every VALUES (true, -1, 1e15, 1, 0.5, -0.25, 'v', '{"a": [1, "x"]}', '[null]', '\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '2020-01-01', 'infinity', '-infinity', '12:00', '12:00+02', '1 month -2 days 3.5 s', '{t,NULL}', '{a,NULL,"b c"}', '{NaN,0.1}', '{"\\\\x00"}',
  '{2020-01-01,infinity}', '[0:1][2:3]={{1,2},{NULL,4}}', '(1,2)');
ALTER TABLE t ADD COLUMN c text DEFAULT 'c';
DELETE FROM t WHERE id = 3;
SELECT 'message' FROM pg_logical_emit_message(false, 'p', '\x0a0a'::bytea);
TRUNCATE t, h;
ALTER TABLE every ALTER i2 TYPE int4;

-- What the functions return, kept to be decoded.
CREATE TEMP TABLE batch AS SELECT row_number() OVER () AS n, data
  FROM pg_logical_slot_peek_binary_changes('cdc_regress_decode', NULL, NULL, 'messages', '*');
CREATE TEMP TABLE line AS SELECT row_number() OVER () AS n, data
  FROM pg_logical_slot_peek_changes('cdc_regress_decode', NULL, NULL, 'messages', '*', 'format', 'json');
CREATE TEMP VIEW stream AS SELECT string_agg(data, '' ORDER BY n) AS data FROM batch;
SELECT count(*) > 5 AS several_batches, bool_and(length(data) > 20) AS each_with_bytes FROM batch;

CREATE FUNCTION same_lines(bytes bytea) RETURNS text LANGUAGE sql AS $$
  WITH decoded AS (SELECT row_number() OVER () AS n, d::text AS data FROM cdc.decode_json(bytes) d)
  SELECT CASE WHEN count(*) FILTER (WHERE d.data IS DISTINCT FROM l.data) = 0
              THEN count(*) || ' lines' ELSE min(d.data || ' instead of ' || l.data) END
  FROM decoded d FULL JOIN line l USING (n)
$$;
-- batches one after another; as pg_recvlogical writes them; as a Stream
SELECT same_lines(data) FROM stream;
SELECT same_lines(string_agg(data || '\x0a', '' ORDER BY n)) FROM batch;
SELECT same_lines(string_agg('\x0a' || data, '' ORDER BY n)) FROM batch;
SELECT same_lines(string_agg(data, '\x0a0a' ORDER BY n)) FROM batch;
-- batches that can be read alone
SELECT count(*), bool_and(same) FROM (
  SELECT string_agg(d::text, E'\n' ORDER BY b.n, ordinality) = (SELECT string_agg(data, E'\n' ORDER BY n) FROM line) AS same
  FROM (SELECT row_number() OVER () AS n, data FROM pg_logical_slot_peek_binary_changes('cdc_regress_decode', NULL, NULL,
          'messages', '*', 'schemas', 'batch', 'batch_bytes', '1')) b,
       cdc.decode_json(b.data) WITH ORDINALITY d) x;
-- nothing
SELECT count(*) FROM cdc.decode_json('');
SELECT count(*) FROM cdc.decode_json(NULL);
SELECT count(*) FROM cdc.decode_json('\x0a0a');

-- decode: events as rows
SELECT op, relation, key, new_key, old, new, metadata FROM stream, cdc.decode(stream.data) WHERE relation IS DISTINCT FROM 'public.every';
SELECT op, jsonb_pretty(new) FROM stream, cdc.decode(stream.data) WHERE relation = 'public.every';
SELECT count(*) = count(DISTINCT "position") AS positions, bool_and(xid IS NOT NULL = (op <> 'MESSAGE')) AS xids,
       bool_and(commit_time > now() - interval '1 hour') AS times,
       bool_and(fingerprint ~ '^[0-9a-f]{16}$') AS fingerprints, bool_and(event->>'op' = op) AS events
FROM stream, cdc.decode(stream.data);
SELECT bool_and(event->>'commit_time' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$') FROM stream, cdc.decode(stream.data) WHERE op <> 'MESSAGE';

-- peek and read give the same, and read consumes
SELECT count(*), bool_and(p.event = d.event) FROM
  (SELECT row_number() OVER () AS n, event FROM cdc.peek('cdc_regress_decode', options => '{messages,*}')) p
  FULL JOIN (SELECT row_number() OVER () AS n, d.event FROM stream, cdc.decode(stream.data) d) d USING (n);
SELECT op FROM cdc.peek('cdc_regress_decode', upto_nchanges => 1);
SELECT op, key FROM cdc.read('cdc_regress_decode', upto_nchanges => 1);
SELECT count(*) FROM cdc.read('cdc_regress_decode', upto_lsn => pg_current_wal_lsn());
SELECT count(*) FROM cdc.peek('cdc_regress_decode');

-- a schema that was in an earlier batch: its fingerprint is named
DO $$
DECLARE
  part bytea;
  expected text;
  hint text;
BEGIN
  -- the second batch with an event of h, which does not bring the schema again
  SELECT data INTO STRICT part FROM batch WHERE n = (SELECT min(n) + 1 FROM batch WHERE position('größe'::bytea in data) > 0);
  SELECT fingerprint INTO STRICT expected FROM stream, cdc.decode(stream.data) WHERE op = 'UPDATE' AND relation = 'public.h';
  PERFORM cdc.decode_json(part);
  RAISE EXCEPTION 'decoded without its schema';
EXCEPTION WHEN data_corrupted THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RAISE NOTICE '%', replace(SQLERRM, expected, '<its fingerprint>');
  RAISE NOTICE '%', hint;
END $$;

-- Damage: whatever is done to the bytes, they decode or ERROR XX001 is raised.
CREATE FUNCTION outcome(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM cdc.decode_json(bytes);
  PERFORM cdc.decode(bytes);
  RETURN 'decoded';
EXCEPTION
  -- a byte that makes a batch look compressed, by what is not there
  WHEN feature_not_supported THEN RETURN 'XX001';
  WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
-- cut at every byte: decodes at the ends of batches only
SELECT outcome, count(*) = CASE outcome WHEN 'decoded' THEN (SELECT count(*) FROM batch)
                                        ELSE length(data) - (SELECT count(*) FROM batch) END AS expected
FROM stream, LATERAL (SELECT outcome(substr(data, 1, n)) FROM generate_series(0, length(data) - 1) n) o
GROUP BY outcome, data ORDER BY 1;
-- begun at every byte
SELECT DISTINCT outcome FROM stream, LATERAL (SELECT outcome(substr(data, n)) FROM generate_series(2, length(data)) n) o
WHERE outcome NOT IN ('decoded', 'XX001');
-- a byte that is another: all bits flipped, the lowest, the highest
SELECT flip, count(*) FILTER (WHERE outcome = 'XX001') > 100 AS errors,
       count(*) FILTER (WHERE outcome = 'decoded') > 100 AS decoded,
       count(*) FILTER (WHERE outcome NOT IN ('XX001', 'decoded')) AS others,
       min(outcome || ' at ' || n) FILTER (WHERE outcome NOT IN ('XX001', 'decoded')) AS example
FROM stream, unnest(ARRAY[255, 1, 128]) flip,
     LATERAL (SELECT n, outcome(set_byte(data, n, get_byte(data, n) # flip)) FROM generate_series(0, length(data) - 1) n) o
GROUP BY flip ORDER BY flip;
-- a byte too few, a byte too many
SELECT DISTINCT outcome FROM stream,
     LATERAL (SELECT outcome(substr(data, 1, n) || substr(data, n + 2)) FROM generate_series(0, length(data) - 1) n UNION ALL
              SELECT outcome(substr(data, 1, n) || '\x01' || substr(data, n + 1)) FROM generate_series(0, length(data) - 1) n) o
WHERE outcome NOT IN ('decoded', 'XX001');
-- what is no stream at all
\set VERBOSITY terse
SELECT cdc.decode_json('\xff');
SELECT cdc.decode_json('\xffffffffffffffffff01');
SELECT cdc.decode_json('\xffffffffffffffffffffff');
SELECT cdc.decode_json('\x03ffffff');
SELECT cdc.decode_json('hello, world');
SELECT cdc.decode('\x7f');
-- compressed, without a size
SELECT cdc.decode_json('\x0550015a0178');
\set VERBOSITY default

SELECT cdc.drop_slot('cdc_regress_decode');
DROP VIEW stream;
DROP TABLE t, h, every, batch, line;
DROP FUNCTION same_lines, outcome;
