-- Batches made by hand: values that the plugin never writes, and limits of what
-- is read. Whatever the bytes are, a line is JSON, or ERROR XX001 is raised.
\set VERBOSITY terse
CREATE FUNCTION pg_temp.varint(n bigint) RETURNS bytea LANGUAGE sql AS $$
  SELECT CASE WHEN n < 128 THEN set_byte('\x00', 0, n::int)
              WHEN n < 16384 THEN set_byte(set_byte('\x0000', 0, (n & 127 | 128)::int), 1, (n >> 7)::int)
              ELSE set_byte(set_byte(set_byte('\x000000', 0, (n & 127 | 128)::int), 1, (n >> 7 & 127 | 128)::int), 2, (n >> 14)::int) END
$$;
-- a field with bytes: strings and messages
CREATE FUNCTION pg_temp.field(number int, content bytea) RETURNS bytea LANGUAGE sql AS $$
  SELECT pg_temp.varint(number * 8 + 2) || pg_temp.varint(length(content)) || content
$$;
CREATE FUNCTION pg_temp.reversed(b bytea) RETURNS bytea LANGUAGE sql AS $$
  SELECT string_agg(substr(b, n, 1), '' ORDER BY n DESC) FROM generate_series(1, length(b)) n
$$;
-- a batch that is not in a transaction, with one INSERT into a table
CREATE FUNCTION pg_temp.batch(tab bytea, row_bytes bytea, more bytea DEFAULT '') RETURNS bytea LANGUAGE sql AS $$
  SELECT pg_temp.varint(length(b)) || b
  FROM (SELECT pg_temp.reversed(substr(sha256(tab), 1, 8)) AS id) f,
       LATERAL (SELECT pg_temp.field(6, '\x09'::bytea || id || pg_temp.field(2, tab))
                       || pg_temp.field(7, '\x080121'::bytea || id || pg_temp.field(7, row_bytes) || more) AS b) x
$$;
-- table s.t with column 1, named c
CREATE FUNCTION pg_temp.tab(type int, element int DEFAULT 0, name text DEFAULT 'c') RETURNS bytea LANGUAGE sql AS $$
  SELECT pg_temp.field(1, 's') || pg_temp.field(2, 't')
         || pg_temp.field(3, '\x0801'::bytea || pg_temp.field(2, convert_to(name, 'UTF8')) || '\x18'::bytea || pg_temp.varint(type)
                             || CASE WHEN element > 0 THEN '\x48'::bytea || pg_temp.varint(element) ELSE '' END)
$$;
-- what a column of a type shows for the bytes of a field, as JSON or as an error
CREATE FUNCTION pg_temp.shown(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  SELECT j INTO STRICT line FROM cdc.decode_json(bytes) j;
  PERFORM line::json;
  RETURN coalesce(substring(line FROM '"new":\{"c":(.*)\}\}$'), line);
EXCEPTION WHEN data_corrupted THEN
  RETURN SQLERRM;
END $$;

-- values of one column: type, element, the bytes of its field
CREATE TEMP TABLE value (n serial, what text, type int, element int DEFAULT 0, field bytea);
INSERT INTO value (what, type, field) VALUES
  ('bool', 1, '\x0802'), ('bool in 8 bytes', 1, '\x090100000000000000'),
  ('int4', 2, '\x08ffffffffffffffffff01'), ('int4 twice', 2, '\x08020804'),
  ('int4 in a string', 2, '\x0a0131'), ('varint of 11 bytes', 2, '\x08ffffffffffffffffffff01'),
  ('oid', 4, '\x08ffffffff0f'), ('oid beyond 32 bits', 4, '\x08ffffffffff01'),
  ('float4', 5, '\x0d0000803f'), ('float4 NaN', 5, '\x0d0000c07f'), ('float4 from 1e6', 5, '\x0d00247449'), ('float4 below', 5, '\x0df0237449'),
  ('float8 -0', 6, '\x090000000000000080'), ('float8 1e15', 6, '\x0900003426f56b0c43'), ('float8 below', 6, '\x09f8ff3326f56b0c43'),
  ('float8 signalling NaN', 6, '\x09010000000000f07f'), ('float8 -inf', 6, '\x09000000000000f0ff'), ('float8 denormal', 6, '\x090100000000000000');
INSERT INTO value (what, type, field)
SELECT 'numeric ' || x, 7, pg_temp.field(1, convert_to(x, 'UTF8'))
FROM unnest(ARRAY['0', '-1.50', '12345678901234567890.5', 'NaN', 'Infinity', '-Infinity', '', '-', '.5', '5.', '01', '-01', '+1', '1e5', ' 1', '1 ', 'nan', '1,2', '0x1', '1}']) x;
INSERT INTO value (what, type, field)
SELECT 'json ' || x, 9, pg_temp.field(1, convert_to(x, 'UTF8'))
FROM unnest(ARRAY['null', ' { "a" : [ 1 , "x  y" ] } ', '"\u0000\ud800"', '-0.0e+5', '[[[]],{}]', '{"a":1,"a":2}', '', ' ', '{', '[1,]', '[1 2]', '{"a"}', '{"a":}', '{a:1}', '{"a":1,}',
                  '1 2', '1}', '"x', '"x"y', '01', '1.', '.1', '1e', '--1', 'nul', 'nulll', 'NaN', '"\x"', '"\u12g4"', '"\u123', E'"\n"', '"a","b":"c"', ']', '}', '{"a":[}]', '[{]}', '//']) x;
INSERT INTO value (what, type, field) VALUES
  ('json of 100,000 levels, open', 9, pg_temp.field(1, convert_to(repeat('[', 100000), 'UTF8'))),
  ('text with quotes', 8, pg_temp.field(1, '"\\'::bytea || '\x08090a0c0d1f7f')), ('text with zero byte', 8, '\x0a0100'),
  ('text that is not UTF-8', 8, '\x0a01ff'), ('text cut in a character', 8, '\x0a02e282'), ('half of a surrogate pair', 8, '\x0a03eda080'), ('overlong', 8, '\x0a02c080'),
  ('text that is a number', 8, '\x0801'), ('text beyond the row', 8, '\x0a0578'),
  ('bytea', 10, '\x0a0300ff5c'), ('uuid', 11, '\x0a10a0eebc999c0b4ef8bb6d6bb9bd380a11'), ('uuid of 15 bytes', 11, '\x0a0fa0eebc999c0b4ef8bb6d6bb9bd380a'), ('uuid of 0', 11, '\x0a00'),
  ('timestamp', 12, '\x090100000000000000'), ('timestamp infinity', 12, '\x09ffffffffffffff7f'), ('timestamp BC', 12, '\x0900e0c5717aa91fff'), ('timestamp too early', 12, '\x090100000000000080'),
  ('timestamptz', 13, '\x0940420f0000000000'), ('timestamptz -infinity', 13, '\x090000000000000080'), ('timestamp, latest', 12, '\x09feffffffffffff7f'),
  ('date', 14, '\x0801'), ('date infinity', 14, '\x08feffffff0f'), ('date -infinity', 14, '\x08ffffffff0f'), ('date, latest', 14, '\x0898dcd4fd0f'), ('date, earliest', 14, '\x08b1a1ab02'), ('date beyond', 14, '\x08feffffffffffffff7f'),
  ('time 24:00', 15, '\x0880c0ddeec102'), ('time beyond', 15, '\x0881c0ddeec102'), ('time below', 15, '\x08ffffffffffffffffff01'),
  ('timetz', 16, pg_temp.field(1, '\x080110c070')), ('timetz of nothing', 16, '\x0a00'), ('timetz, zone beyond', 16, pg_temp.field(1, '\x10ffffffff0f')), ('timetz that is a string', 16, pg_temp.field(1, '\x0a0178')),
  ('interval', 17, pg_temp.field(1, '\x080210031804')), ('interval of nothing', 17, '\x0a00'), ('interval infinity', 17, pg_temp.field(1, '\x08feffffff0f10feffffff0f18feffffffffffffffff01')),
  ('other', 19, '\x0a03283129'), ('type 0', 0, '\x0801'), ('type 99', 99, '\x0801');
INSERT INTO value (what, type, element, field) VALUES
  ('int4[]', 18, 2, pg_temp.field(1, '\x0a03020406')), ('int4[] of nothing', 18, 2, '\x0a00'), ('int4[] with NULL', 18, 2, pg_temp.field(1, '\x0a020200120101')),
  ('int4[], each by itself', 18, 2, pg_temp.field(1, '\x08020804')), ('int4[] in pieces', 18, 2, pg_temp.field(1, '\x0a0102080412010012010108060a0108')),
  ('NULL by itself', 18, 2, pg_temp.field(1, '\x0a0202041001')), ('NULL first', 18, 2, pg_temp.field(1, '\x1201000a020204')),
  ('NULL beyond', 18, 2, pg_temp.field(1, '\x0a0102120101')), ('NULL of nothing', 18, 2, pg_temp.field(1, '\x120100')), ('NULL far beyond', 18, 2, pg_temp.field(1, '\x0a0102120affffffffffffffffff01')),
  ('int4[2][1]', 18, 2, pg_temp.field(1, '\x0a0202041a02020122020202')), ('its dimensions by themselves', 18, 2, pg_temp.field(1, '\x0a02020418021801' || '\x20022002'::bytea)),
  ('int4[2][2] of 2', 18, 2, pg_temp.field(1, '\x0a0202041a02020222020202')), ('of 3', 18, 2, pg_temp.field(1, '\x0a030204061a02020222020202')), ('dimension 0', 18, 2, pg_temp.field(1, '\x0a0202041a02020022020202')),
  ('7 dimensions', 18, 2, pg_temp.field(1, '\x0a01021a0701010101010101220702020202020202')), ('7 by themselves', 18, 2, pg_temp.field(1, '\x0a01021801180118011801180118011801')),
  ('product beyond 64 bits', 18, 2, pg_temp.field(1, '\x0a01021a0affffffffffffffffff01220102')), ('dimensions without bounds', 18, 2, pg_temp.field(1, '\x0a01021a0101')), ('bounds without dimensions', 18, 2, pg_temp.field(1, '\x0a0102220102')),
  ('bound 0', 18, 2, pg_temp.field(1, '\x0a0202041a0102220100')), ('highest bound', 18, 2, pg_temp.field(1, '\x0a0202041a01022205feffffff0f')), ('bound beyond', 18, 2, pg_temp.field(1, '\x0a0202041a01022205ffffffff1f')),
  ('bool[] from 0', 18, 1, pg_temp.field(1, '\x0a0201001a0102220100')), ('text[]', 18, 8, pg_temp.field(1, '\x0a01780a000a0122')), ('text[] with NULL', 18, 8, pg_temp.field(1, '\x0a000a00120101')),
  ('text[] from 0', 18, 8, pg_temp.field(1, '\x0a01780a000a01220a015c0a044e554c4c0a00' || '\x1201051a0106220100'::bytea)), ('text[] from 0, zero byte', 18, 8, pg_temp.field(1, '\x0a01001a0101220100')),
  ('text[] from 0, not UTF-8', 18, 8, pg_temp.field(1, '\x0a01ff1a0101220100')), ('text[] of numbers', 18, 8, pg_temp.field(1, '\x0801')), ('float8[] cut', 18, 6, pg_temp.field(1, '\x0a07000000000000f0')),
  ('float8[] from 0', 18, 6, pg_temp.field(1, '\x0a08000000000000f87f1a0101220100')), ('bytea[] from 0', 18, 10, pg_temp.field(1, '\x0a0200ff1a0101220100')),
  ('numeric[]', 18, 7, pg_temp.field(1, '\x0a033125350a034e614e')), ('json[]', 18, 9, pg_temp.field(1, '\x0a035b205d0a015b')), ('date[]', 18, 14, pg_temp.field(1, '\x0a03313233')),
  ('array of arrays', 18, 18, pg_temp.field(1, '\x0a00')), ('array of type 99', 18, 99, pg_temp.field(1, '\x0a0178')), ('array that is a number', 18, 2, '\x0801');
SELECT what, left(pg_temp.shown(pg_temp.batch(pg_temp.tab(type, element), field)), 110) AS shown FROM value ORDER BY n;

-- deeper than the server's own parser goes
SELECT length(j::text) > 200000 AS whole FROM cdc.decode_json(pg_temp.batch(pg_temp.tab(9),
  pg_temp.field(1, convert_to(repeat('[', 100000) || repeat(']', 100000), 'UTF8')))) j;
SELECT op, relation, jsonb_typeof(new), jsonb_typeof(event) FROM cdc.decode(pg_temp.batch(pg_temp.tab(9),
  pg_temp.field(1, convert_to(repeat('[', 100000) || repeat(']', 100000), 'UTF8'))));
-- what jsonb cannot hold: escapes without a character, next to those that only look like them
SELECT what, coalesce(new->'c', new) AS shown FROM (VALUES
  ('zero', '"a\u0000b"'), ('no zero', '"a\\\\u0000b"'), ('after a backslash', '"\\\\\u0000"'), ('high half', '"\ud83dx"'), ('low half', '"\ude00x"'), ('both', '"\ud83d\ude00"'),
  ('wrong order', '"\ude00\ud83d"'), ('high twice', '"\ud83d\uD83D\uDE00"'), ('high at the end', '"\ud83d"'), ('upper case', '"\uDBFF\u0041"'),
  ('as keys', '{"\u0000": "\u0000"}'), ('number', '1e1000000')) v(what, j),
  cdc.decode(pg_temp.batch(pg_temp.tab(9), pg_temp.field(1, convert_to(j, 'UTF8'))));
-- the events beside it, and its other members, are what they are
SELECT op, relation, new, event->>'position' AS position FROM cdc.decode(pg_temp.batch(pg_temp.tab(9),
  pg_temp.field(1, '1')) || pg_temp.batch(pg_temp.tab(9, 0, 'big'), pg_temp.field(1, '1e1000000')) || pg_temp.batch(pg_temp.tab(9), pg_temp.field(1, '2')));
-- fields that the table does not have; redacted ones
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '\x08021001fa0601785a0178'));
SELECT j - 'position' FROM cdc.decode_json(pg_temp.batch(pg_temp.tab(2), '\x8a7d0178')) d, LATERAL (SELECT d::jsonb) x(j);
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '\x887d01'));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '\x0002'));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '\x0b0c'));
-- NULLs and unavailable columns
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '', '\x420101'));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '\x0802', '\x420101'));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '', '\x420102'));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.tab(2), '', '\x5a0102'));
-- names are text like any other
SELECT j->'new' FROM cdc.decode_json(pg_temp.batch(pg_temp.tab(2, 0, E'"\n{}\\'), '\x0802')) j;
-- schemas: numbers of columns that are 0, too high, twice or descending; too many of them; no Table
SELECT pg_temp.shown(pg_temp.batch(pg_temp.field(3, '\x0800'), ''));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.field(3, '\x08c10c'), ''));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.field(3, '\x0801') || pg_temp.field(3, '\x0801'), ''));
SELECT pg_temp.shown(pg_temp.batch(pg_temp.field(3, '\x0802') || pg_temp.field(3, '\x0801'), ''));
SELECT pg_temp.shown(pg_temp.batch(string_agg('\x1a00'::bytea, ''), '')) FROM generate_series(1, 1601);
SELECT pg_temp.shown(pg_temp.batch('\x0801', ''));
SELECT pg_temp.shown(set_byte(pg_temp.batch(pg_temp.tab(2), '\x0802'), 4, 0));
-- many events of nothing; an event that is none
SELECT count(*), count(DISTINCT j::text) FROM cdc.decode_json('\x80897a'::bytea || decode(repeat('3a00', 1000000), 'hex')) j;
SELECT pg_temp.shown('\x023801');
SELECT pg_temp.shown('\x033a0108');
