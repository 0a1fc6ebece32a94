-- Types that are sent as their text, whatever the session's settings.
CREATE TYPE pair AS (a integer, "B c" text);
CREATE TABLE other (id integer PRIMARY KEY, p pair, point point, box box, net inet, cidr cidr, mac macaddr,
	bits bit(5), vbits varbit, money money, range int4range, multi nummultirange, tsr tstzrange,
	xml xml, ts tsvector, tq tsquery, path jsonpath, lsn pg_lsn, class regclass);
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'postgres_verbose';
SET TimeZone = 'Asia/Kolkata';
SET extra_float_digits = -3;
SET search_path = pg_catalog;
INSERT INTO public.other VALUES
	(1, ROW(1, 'x "y" (z),'), '(0.1,-2.5)', '((1,1),(0,0))', '::1', '10.0.0.0/8', '08:00:2b:01:02:03',
		B'10101', B'', 12.34, '[1,5)', '{[1.5,2.5),(3,4]}', '[2026-01-01 00:00+00,)',
		'<a b="c">d</a>', '''fat'':2 ''rat'':3', 'fat & rat', '$.a[*] ? (@ > 1)', '16/B374D848', 'public.other'),
	(2, ROW(NULL, ''), NULL, NULL, '192.168.0.1/24', NULL, NULL,
		NULL, B'1', '-0.01', 'empty', '{}', '(,)',
		NULL, '', '', '$', '16/B374D848', 'pg_class');
