-- Every built-in type, with its extremes.
SET datestyle = ISO;
SET timezone = UTC;

-- where the server was built without libxml there are no values of xml
CREATE FUNCTION pg_temp.xml_type() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM '<a/>'::xml;
    RETURN 'xml';
EXCEPTION WHEN feature_not_supported THEN
    RETURN 'text';
END $$;
SELECT pg_temp.xml_type() AS xml \gset

CREATE TABLE numbers (
    id int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
    n numeric, n2 numeric(12,2), o oid, m money);
INSERT INTO numbers VALUES
    (1, true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308,
     1e1000, 9999999999.99, 4294967295, 92233720368547758.07),
    (2, false, -32768, -2147483648, -9223372036854775808, -3.4028235e38,
     -1.7976931348623157e308, -1e-1000, -9999999999.99, 0, -92233720368547758.08),
    (3, true, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, true, 1, 1, 1, 'NaN', 'NaN', 'NaN', 'NaN', 1, 1),
    (6, true, -1, -1, -1, 'Infinity', 'Infinity', 'Infinity', 1, 1, -1),
    (7, true, -1, -1, -1, '-Infinity', '-Infinity', '-Infinity', 1, 1, 0.01),
    (8, true, 63, 64, 8192, '-0', '-0', 0.0000, 0.1, 128, 1),
    (9, true, -64, -65, -8193, 1.4e-45, 4.9e-324, 1.10, 1.1, 127, 1),
    (10, true, 1, 2, 3, 0.1, 0.1, 123456789012345678901234567890.123456789, 5, 1, 1),
    (11, true, 1, 2, 3, 16777217, 9007199254740993, -0.5, -0.5, 1, 1),
    (12, true, 1, 2, 3, 1.17549435e-38, 2.2250738585072014e-308, 100, 100, 1, 1);

CREATE TABLE texts (
    id uuid PRIMARY KEY, t text, v varchar(10), c char(10), n name, ch "char", bt bytea,
    j json, jb jsonb, x :xml, bit3 bit(3), vb varbit, vb5 varbit(5), bare bpchar);
INSERT INTO texts VALUES
    ('00000000-0000-0000-0000-000000000000', '', '', '', '', '', '', '""', '{}', '<a/>', B'000', B'', B'', ''),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', E'a\'b"c\\d\ne\tf\rg\x01h', 'äöü€𝄞', 'ä', 'näme', 'x',
     '\x00ff0a0d27', E'{ "a" : 1,\n "a":[1.0, "\\u00e4"] }', '{"b":1,"a":null, "€":[1,2.50]}',
     '<a b="&lt;">ü</a>', B'101', B'1110001', B'10101', 'trailing  '),
    (gen_random_uuid(), repeat('x', 5000), 'abc', 'abc       ', repeat('n', 63), '\', NULL,
     'null', 'null', '', NULL, NULL, NULL, '   '),
    (gen_random_uuid(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (gen_random_uuid(), U&'\FEFFbom\0301', '0123456789', '0123456789', '''', '''', decode(repeat('0a', 3000), 'hex'),
     '[]', '[[[[]]]]', '<?xml version="1.0"?><b/>', B'111', repeat('10', 500)::varbit, B'1', 'q');
INSERT INTO texts (id, ch) SELECT md5(i::text)::uuid, i::"char" FROM generate_series(-128, 127) i;

CREATE TABLE times (
    id bigint PRIMARY KEY, ts timestamp, tz timestamptz, d date, t time, ttz timetz,
    ts0 timestamp(0), tz3 timestamptz(3), i interval, iy interval year to month,
    isec interval second(2), t2 time(2));
INSERT INTO times VALUES
    (1, 'infinity', 'infinity', 'infinity', '00:00', '00:00+15:59', 'infinity', 'infinity', '0', '0', '0', '0:0'),
    (2, '-infinity', '-infinity', '-infinity', '24:00', '24:00-15:59', '-infinity', '-infinity',
     '-178000000 years', '-1 year', '-1.25 s', '24:00'),
    (3, '4713-11-24 00:00:00 BC', '4713-11-24 00:00:00+00 BC', '4713-11-24 BC', '23:59:59.999999',
     '12:34:56.789+05:30:15', '4713-01-01 BC', '4713-11-24 00:00:00.123+00 BC',
     '178000000 years', '20 years 11 mons', '100000.99 s', '1:2:3.45'),
    (4, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '5874897-12-31', '1:2:3.4',
     '1:2:3.4-00:00:01', '294276-12-31', '9999-12-31 23:59:59.999+00',
     '-1 mon +2 days -3:04:05.678', '-5 mons', '1 s', '0:0:0.01'),
    (5, '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999+00', '1999-12-31', '0:0:0.000001',
     '0:0:0+00', '2000-01-01', '2000-01-01 00:00:00+00', '1 day -1 s', '0', '0', '0:0'),
    (6, '2000-01-01', '2000-01-01 00:00:00+00', '2000-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (7, '0001-01-01', '0001-12-31 23:59:59+00 BC', '0001-01-01 BC', NULL, NULL, NULL, NULL,
     '1 year 2 mons 3 days 4:05:06.000007', NULL, NULL, NULL),
    (8, '2024-02-29 12:00', '1970-01-01 00:00:00+00', '1900-02-28', NULL, NULL, NULL, NULL,
     '2562047788:00:54.775807', NULL, NULL, NULL);

CREATE TABLE others (
    id pg_lsn PRIMARY KEY, ip inet, net cidr, mac macaddr, mac8 macaddr8, p point, l line,
    seg lseg, bx box, pth path, pol polygon, cir circle, tsv tsvector, tsq tsquery,
    r int4range, nr numrange, tr tstzrange, mr int8multirange, jp jsonpath,
    snap pg_snapshot, xd xid, x8 xid8, cd cid, td tid);
INSERT INTO others VALUES
    ('0/0', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1,-2.5)',
     '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(1,2),3>',
     'a fat:2 ''cat''''s'':3A', 'a & !b <2> c:*', '[1,10)', '(,5.5]', '[2020-01-01 00:00+00,infinity)',
     '{[1,2),[5,9)}', '$.a[*] ? (@.b > 1)', '10:20:10,14,15', '4294967295', '18446744073709551615', '7', '(4294967295,65535)'),
    ('FFFFFFFF/FFFFFFFF', '::1', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff',
     '(NaN,Infinity)', '{1,-1,0}', '[(1e300,0),(0.1,1)]', '(3,4),(-1,-2)', '((0,0),(1,1))', '((0,0))', '<(0,0),0>',
     '', '', 'empty', 'empty', '(,)', '{}', '$', '1:1:', '0', '0', '0', '(0,0)'),
    ('1/2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL);

-- in transactions of their own, whose settings must be fixed each time
INSERT INTO others (id, tr, jp) VALUES ('1/3', '[2020-11-12 13:14:15+00,2021-01-02 00:00:00+00)', '$.x');
INSERT INTO others (id, tr, p) VALUES ('1/4', '[2020-11-12 13:14:15+00,)', '(0.1,1e-7)');
UPDATE others SET tr = '[2019-02-03 04:05:06+00,2020-11-12 13:14:15+00)' WHERE id = '1/3';

CREATE TABLE arrays (
    id serial PRIMARY KEY, i int[], t text[], f float8[], b bool[], n numeric(5,1)[], by bytea[],
    ts timestamptz[], d date[], iv interval[], m money[], v varchar(3)[], j jsonb[]);
INSERT INTO arrays (i, t, f, b, n, by, ts, d, iv, m, v, j) VALUES
    ('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    ('{1,NULL,-3}', '{a,"b c",NULL,"NULL","","\"\\"}', '{0.1,-0,NaN,Infinity}', '{t,NULL,f}', '{1.25,NULL}',
     '{"\\x00ff",NULL}', '{"2020-01-01 00:00+00",infinity,"0044-03-15 00:00+00 BC"}', '{2020-01-01,-infinity}',
     '{"1 mon -2 days","-1:00"}', '{1.5,-2}', '{abc,"",NULL}', '{"{\"a\": 1}",null}'),
    ('{{1,2},{3,4}}', '[0:1][5:5]={{a},{b}}', '{{{1}}}', '[-3:-2]={t,f}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE own (
    id app.mood PRIMARY KEY, pos app.positive, mail app.mail, ci citext, p app."Pair",
    ps app."Pair"[], ms app.moods, fr app.floatrange, fmr app.floatmultirange);
INSERT INTO own VALUES
    ('sad', 1, 'A@b.C', 'MiXed', '(1,"x, ""y""")', ARRAY['(1,)', '(,"")', NULL]::app."Pair"[],
     '{sad,"so \"so\""}', '[0.1,0.3)', '{[1,2),[3,4)}'),
    ('so "so"', 2147483647, NULL, '', '(,)', '{}', NULL, 'empty', '{}'),
    ('glücklich', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE more_arrays (id int PRIMARY KEY, u uuid[], o oid[], c "char"[], bx box[], tz timetz[],
    f4 float4[], i8 int8[], i2 int2[], x :xml[], tm time[], n name[], big text[], e text[], by bytea[], fl float8[],
    vec int2vector, ovec oidvector, doms app.positive[], bits bit(3)[], j json[]);
ALTER TABLE more_arrays ALTER big SET STORAGE EXTERNAL;
INSERT INTO more_arrays VALUES
    (1, '{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}', '{0,4294967295}', '{a,"",NULL,"\\"}',
     '{(1,1),(0,0);(3,3),(2,2)}', '{"12:00+05:30",NULL}', '{0.1,-0,1e-45,NaN}', '{9223372036854775807,-9223372036854775808}',
     '{-32768,0,32767}', '{<a/>,<b>x y</b>}', '{24:00,00:00:00.5}', '{"a b",c}', array(SELECT repeat(md5(i::text), 9) FROM generate_series(1, 300) i),
     '[-1:3]={" x ",nUlL,"","{a,b}","q\"\\"}', '[0:2]={"\\x",NULL,"\\x00ff"}', '[2:6]={1e300,-0,NaN,-Infinity,1e-7}',
     '1 -2 3', '4294967295 0', '{1,2}', '{101,000}', '{"{\"a\" : [1, 2]}",null}'),
    (2, '{{NULL,NULL}}', '[5:5]={1}', '{}', '[0:1]={(1,1),(0,0);NULL}', '[2:2]={"00:00+00"}', '{{{{{{1}}}}}}', '[-2147483648:-2147483647]={1,2}',
     '{NULL}', NULL, '[7:7]={1:2:3}', '{}', NULL, '{NULL,NULL,x}', '{{a,b},{c,d}}', '{{0.1,0.2},{NULL,NULL}}', '', '', NULL, NULL, '[3:3]={"[ ]"}');

-- Old images and deltas of all of them.
DO $$
DECLARE t text; c record; sets text;
BEGIN
  FOREACH t IN ARRAY ARRAY['numbers', 'texts', 'times', 'others', 'arrays', 'more_arrays', 'own'] LOOP
    FOR c IN SELECT attname FROM pg_attribute a WHERE attrelid = t::regclass AND attnum > 1 AND NOT attisdropped LOOP
      -- each column of every second row: takes the value of the row before
      EXECUTE format('UPDATE %1$s u SET %2$I = (SELECT %2$I FROM %1$s p WHERE p.id < u.id ORDER BY p.id DESC LIMIT 1)
                      WHERE u.ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (ORDER BY id) n FROM %1$s) s WHERE n %% 3 = 2)', t, c.attname);
    END LOOP;
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', t);
    FOR c IN SELECT attname FROM pg_attribute a WHERE attrelid = t::regclass AND attnum > 1 AND NOT attisdropped LOOP
      EXECUTE format('UPDATE %1$s u SET %2$I = (SELECT %2$I FROM %1$s p WHERE p.id > u.id ORDER BY p.id OFFSET 1 LIMIT 1)
                      WHERE u.ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (ORDER BY id) n FROM %1$s) s WHERE n %% 3 = 1)', t, c.attname);
    END LOOP;
    EXECUTE format('DELETE FROM %1$s WHERE id = (SELECT id FROM %1$s ORDER BY id DESC LIMIT 1)', t);
  END LOOP;
END $$;

-- Without any key: a row is its whole content.
CREATE TABLE bag AS SELECT n.*, t.ttz, t.i AS iv FROM numbers n LEFT JOIN times t ON n.id = t.id;
INSERT INTO bag SELECT * FROM bag WHERE id < 6;
ALTER TABLE bag REPLICA IDENTITY FULL;
UPDATE bag SET i4 = i4 - 1 WHERE id IN (1, 3, 5);
DELETE FROM bag WHERE ctid IN (SELECT min(ctid) FROM bag GROUP BY id HAVING id < 10);

-- NULL and the null of JSON are not the same
CREATE TABLE json_nulls (id int PRIMARY KEY, j json, b jsonb, a json[], ba jsonb[]);
ALTER TABLE json_nulls REPLICA IDENTITY FULL;
INSERT INTO json_nulls VALUES (1, 'null', NULL, '{"null",NULL}', '{NULL}'), (2, NULL, 'null', '{1}', '[0:1]={"null",NULL}');
UPDATE json_nulls SET j = NULL, b = 'null', a = '{NULL,NULL}', ba = '{"null"}' WHERE id = 1;
UPDATE json_nulls SET j = ' null ', b = NULL WHERE id = 2;
