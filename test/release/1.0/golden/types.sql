-- Every type that has an encoding of its own, at its ends.
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'very "happy"', 'ärgerlich');

CREATE TABLE integers (id integer PRIMARY KEY, i2 smallint, i4 integer, i8 bigint, o oid, d positive);
INSERT INTO integers VALUES
	(1, 0, 0, 0, 0, 1),
	(2, -1, -1, -1, 1, 2),
	(3, 32767, 2147483647, 9223372036854775807, 4294967295, 2147483647),
	(4, -32768, -2147483648, -9223372036854775808, 2147483648, 64),
	(5, 63, 64, 8191, 127, 8192),
	(6, NULL, NULL, NULL, NULL, NULL);
INSERT INTO integers (id) VALUES (-2147483648), (2147483647), (0);

CREATE TABLE floats (id bigint PRIMARY KEY, f4 real, f8 double precision);
INSERT INTO floats VALUES
	(1, 0, 0), (2, '-0', '-0'), (3, 1, 1), (4, 0.1, 0.1), (5, 1.0/3, 1.0::float8/3),
	(6, 3.4028235e38, 1.7976931348623157e308), (7, -3.4028235e38, -1.7976931348623157e308),
	(8, 1e-45, 5e-324), (9, 1.1754944e-38, 2.2250738585072014e-308),
	(10, 'NaN', 'NaN'), (11, 'Infinity', 'Infinity'), (12, '-Infinity', '-Infinity'),
	(13, 999999, 999999999999999), (14, 1e6, 1e15), (15, 1234567, 1234567890123456),
	(16, 0.0001, 0.0001), (17, 0.00001, 0.00001), (18, 0.00012345, 0.00012345),
	(19, 16777216, 9007199254740993), (20, 1e20, 1e22), (21, 123456.7, 123456789012345.6);

CREATE TABLE numerics (id integer PRIMARY KEY, n numeric, m numeric(12, 2), z numeric(10, -2));
INSERT INTO numerics VALUES
	(1, 0, 0, 0), (2, 0.00, -0.01, 150), (3, 1.10, 9999999999.99, -149),
	(4, 'NaN', 'NaN', 'NaN'), (5, 'Infinity', NULL, NULL), (6, '-Infinity', NULL, NULL),
	(7, 1e-20, 1, 99), (8, 123456789012345678901234567890.123456789012345678901234567890, 2, 51),
	(9, 1e40, 3, 49);

CREATE TABLE texts (id integer PRIMARY KEY, t text, v varchar(10), c char(5), n name, q "char", m mood);
INSERT INTO texts VALUES
	(1, '', '', '', '', '', 'sad'),
	(2, 'a', 'b', 'c', 'd', 'e', 'ok'),
	(3, E'quote " backslash \\ slash / tab \t line\n return \r', E'\b\f', E'\x01', E'\x1f', '"', 'very "happy"'),
	(4, 'äöü ß € 中文 😀', 'éé', 'ñ', 'ж', '\', 'ärgerlich'),
	(5, E'\u007f \u0080 \u2028 \uFEFF', NULL, NULL, NULL, NULL, NULL),
	(6, repeat('x', 127), 'y', 'z ', 'n', 'q', 'sad'),
	(7, repeat('x', 128), 'y', 'z', 'n', 'q', 'sad');

CREATE TABLE binaries (id uuid PRIMARY KEY, b bytea, f boolean);
INSERT INTO binaries VALUES
	('00000000-0000-0000-0000-000000000000', '', false),
	('ffffffff-ffff-ffff-ffff-ffffffffffff', '\x00', true),
	('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\xdeadbeef0a0d22', NULL),
	('01234567-89ab-cdef-0123-456789abcdef', NULL, true);

CREATE TABLE documents (id integer PRIMARY KEY, j json, b jsonb);
INSERT INTO documents VALUES
	(1, '{}', '{}'), (2, '[]', '[]'), (3, 'null', 'null'), (4, '"text"', '"text"'), (5, '1.50', '1.50'),
	(6, E' { "b" : [ 1 , 2.0e3,\n\t"a b" ], "a" : { } , "b" : true } ', E' { "b" : [ 1 , 2.0e3,\n\t"a b" ], "a" : { } , "b" : true } '),
	(7, '{"q": "say \"hi\" \\ and  two spaces", "u": "\u00e4\ud83d\ude00"}', '{"q": "say \"hi\" \\ and  two spaces", "u": "\u00e4\ud83d\ude00"}'),
	(8, NULL, NULL);

CREATE TABLE times (id integer PRIMARY KEY, d date, t time, ts timestamp, tz timestamptz);
INSERT INTO times VALUES
	(1, '2000-01-01', '00:00', '2000-01-01', '2000-01-01 00:00+00'),
	(2, '1970-01-01', '12:34:56', '1970-01-01', '1970-01-01 00:00+00'),
	(3, '1999-12-31', '23:59:59.999999', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999+00'),
	(4, 'infinity', '24:00', 'infinity', 'infinity'),
	(5, '-infinity', '00:00:00.000001', '-infinity', '-infinity'),
	(6, '4713-11-24 BC', '01:02:03.5', '4713-11-24 00:00:00 BC', '4713-11-24 00:00:00+00 BC'),
	(7, '5874897-12-31', '01:02:03.120', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00'),
	(8, '0001-01-01', NULL, '0001-12-31 BC', '2026-11-22 20:55:00.25+05:30'),
	(9, NULL, '00:00', NULL, '2026-03-29 02:30:00 Europe/Berlin');
