# Every type that the server has and a table can have: values of each, found
# by trying, in tables that are written to and decoded through the walsender,
# are as text what they are in the source.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcRow;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
# psql's characters are bytes here, as those of the stream
$ENV{PGCLIENTENCODING} = 'UTF8';

sub sql { return $node->safe_psql('postgres', @_) }

# Types of other people: contrib's, where the server has them, and our own.
foreach my $extension (qw(hstore citext cube seg isn ltree intarray))
{
	my $there = sql("SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'");
	sql("CREATE EXTENSION $extension") if $there;
}
sql(q{
SET client_min_messages = warning;
CREATE SCHEMA own;
SET search_path = own;
CREATE TYPE number; CREATE TYPE string; CREATE TYPE place;
CREATE FUNCTION number_in(cstring) RETURNS number LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION number_out(number) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE number (INPUT = number_in, OUTPUT = number_out, INTERNALLENGTH = 4, PASSEDBYVALUE);
CREATE FUNCTION string_in(cstring) RETURNS string LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
CREATE FUNCTION string_out(string) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
CREATE TYPE string (INPUT = string_in, OUTPUT = string_out, STORAGE = extended);
CREATE FUNCTION place_in(cstring) RETURNS place LANGUAGE internal IMMUTABLE STRICT AS 'point_in';
CREATE FUNCTION place_out(place) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'point_out';
CREATE TYPE place (INPUT = place_in, OUTPUT = place_out, INTERNALLENGTH = 16, ALIGNMENT = double, DELIMITER = '|');
CREATE TYPE "Größe" AS ENUM ('', 'klein', 'it''s "big"', 'a,b{}\', '日本');
CREATE DOMAIN positive AS numeric(10, 2) CHECK (value > 0);
CREATE DOMAIN more AS positive;
CREATE DOMAIN list AS int[] CHECK (array_ndims(value) = 1);
CREATE DOMAIN texts AS text[];
CREATE DOMAIN lists AS list[];
CREATE DOMAIN code AS varchar(3);
CREATE TYPE pair AS (a int, "B c" text, d numeric(6, 3));
CREATE DOMAIN some_pair AS pair;
CREATE TYPE nested AS (p pair, ps pair[], l list, m "Größe"[], t timestamptz, gone int, e more, i interval, y bytea);
ALTER TYPE nested DROP ATTRIBUTE gone;
CREATE TYPE deep AS (n nested, ns nested[], r int4range, d some_pair);
CREATE TYPE single AS (x real);
CREATE TYPE pairs AS RANGE (SUBTYPE = pair);
CREATE TYPE words AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE TYPE spans AS RANGE (SUBTYPE = interval);
CREATE TABLE of_table (a int, b text, c positive[]);
ALTER TABLE of_table DROP COLUMN b;

CREATE TABLE analyzed AS SELECT g % 10 AS a, g % 10 AS b, g % 5 AS c FROM generate_series(1, 1000) g;
CREATE STATISTICS s ON a, b, c FROM analyzed;
ANALYZE analyzed;
});

# Literals that are tried as every type; of those that are accepted, so many
# are taken.
sql(q{
CREATE SCHEMA walk;
CREATE SCHEMA pool;
CREATE SCHEMA t;
CREATE UNLOGGED TABLE walk.literals (n int GENERATED ALWAYS AS IDENTITY, literal text);
INSERT INTO walk.literals (literal) VALUES
	(''), ('0'), ('1'), ('-1'), ('NaN'), ('infinity'), ('-infinity'), ('-0'), ('1.50'), ('1e-5'), ('12345678901'), ('NULL'), ('null'),
	('t'), ('f'), ('YES'), ('{}'), ('größe'), ('a "b" \c, {d} (e)'), (E'tab\t line\n return\r'),
	('2020-02-29'), ('44-03-15 12:34:56.789 BC'), ('1999-12-31 23:59:59.999999+05:30'), ('24:00'), ('12:34:56.7-03'), ('00:00:00.000001+15:59:59'),
	('1 year -2 mons +3 days -04:05:06.7'), ('-1 mon 1 day'), ('-178000000 years'), ('00:00:01'), ('-1 day'), ('1 day -1 hour'),
	('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('\x00ff5c'), ('{"a": [1, 2.50, null], "b": "größe"}'), ('[]'), ('"x"'), ('<a b="c">größe</a>'),
	('(1.5,-2)'), ('(1e300,2e-300)'), ('(1,2),(3,4.5)'), ('[(1,2),(3,4)]'), ('[(1,2),(3,4),(5,6)]'), ('((1,2),(3,4),(5,6))'), ('<(1,2),3>'), ('{1,2,3}'),
	('10.1.2.3'), ('10.0.0.0/8'), ('::1/128'), ('2001:db8::/32'), ('08:00:2b:01:02:03'), ('08:00:2b:01:02:03:04:05'),
	('101'), ('0110'), ('16/B374D848'), ('(0,1)'), ('10:20:10,14,15'), ('1 2 3'), ('''a'' & !b | c:*'), ('''it''''s'':1A,2 b:3'),
	('$.a[*] ? (@ > 1)'), ('empty'), ('[1,5)'), ('(,)'), ('{[1,2),[5,)}'), ('pg_class'), ('english'), ('simple'), ('=r/' || current_user),
	('"a"=>"1", "b c"=>NULL, "größe"=>"\"q\""'), ('a.b_1.c'), ('*.a{1,2}.b|c'), ('a & b*'), ('1.5 .. 2'), ('(1,2,3),(4,5,6)'),
	('978-0-393-04002-9'), ('0-393-04002-X'), ('0-11-000222-9'), ('1436-4522'), ('9771436452008'), ('M-1234-5678-5'), ('036000291452'), ('(1,x,2.5)'), ('(,"a ""b""",)');
INSERT INTO walk.literals (literal) SELECT '"' || unnest(enum_range(NULL::own."Größe")) || '"';
INSERT INTO walk.literals (literal) SELECT unnest(enum_range(NULL::own."Größe"));

-- All types but those of this test, and pseudo-types; what each is made of; and
-- what has become of it.
CREATE UNLOGGED TABLE walk.types AS
	SELECT t.oid, format('%I.%I', nspname, typname) AS name, typtype, typrelid, typbasetype, typdelim,
		typtype = 'b' AND EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid) AS is_array,
		typelem, 'pending' AS state
	FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
	WHERE typtype <> 'p' AND nspname NOT IN ('walk', 'pool', 't')
	-- arrays of pseudo-types are pseudo-types
	AND typcategory <> 'P';
CREATE UNLOGGED TABLE walk.needs AS
	SELECT oid AS type, typelem AS part FROM walk.types WHERE is_array
	UNION ALL SELECT oid, typbasetype FROM walk.types WHERE typtype = 'd'
	UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
	UNION ALL SELECT rngmultitypid, rngtypid FROM pg_range
	UNION ALL SELECT w.oid, atttypid FROM walk.types w JOIN pg_attribute ON attrelid = typrelid
		WHERE typtype = 'c' AND attnum > 0 AND NOT attisdropped;
CREATE UNLOGGED TABLE walk.states (type oid, literal text, sqlstate text);
CREATE UNLOGGED TABLE walk.expected (type oid, n int, v text);

-- Adds what a query gives, one value, to those of a type, if it is new. Says
-- what stood against it.
CREATE FUNCTION walk.add(type oid, query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO pool.%I (v) SELECT x FROM (%s) s(x) WHERE NOT x IS NOT DISTINCT FROM NULL
		AND NOT EXISTS (SELECT FROM pool.%1$I WHERE format(''%%s'', v) = format(''%%s'', x))', type, query);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE FUNCTION walk.size(type oid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int;
BEGIN
	EXECUTE format('SELECT count(*) FROM pool.%I', type) INTO n;
	RETURN n;
END $$;

-- Can a table have such a column?
CREATE FUNCTION walk.make(type oid, name text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE UNLOGGED TABLE pool.%I (id serial, v %s)', type, name);
	RETURN true;
EXCEPTION WHEN invalid_table_definition THEN
	RETURN false;
END $$;

CREATE PROCEDURE walk.try_literals(w walk.types) LANGUAGE plpgsql AS $$
DECLARE
	l text;
	error text;
BEGIN
	FOR l IN SELECT literal FROM walk.literals ORDER BY n LOOP
		EXIT WHEN walk.size(w.oid) >= 16;
		error := walk.add(w.oid, format('SELECT %L::%s', l, w.name));
		IF error IS NOT NULL THEN
			INSERT INTO walk.states VALUES (w.oid, l, error);
		END IF;
	END LOOP;
END $$;

-- Values of other types, cast.
CREATE PROCEDURE walk.try_casts(w walk.types) LANGUAGE plpgsql AS $$
DECLARE
	source oid;
BEGIN
	FOR source IN SELECT castsource FROM pg_cast JOIN walk.types s ON s.oid = castsource
			WHERE casttarget = w.oid AND castsource <> casttarget AND s.state = 'made' LOOP
		FOR i IN 0 .. 2 LOOP
			PERFORM walk.add(w.oid, format('SELECT v::%s FROM pool.%I ORDER BY id LIMIT 1 OFFSET %s', w.name, source, i));
		END LOOP;
	END LOOP;
END $$;

-- Values that the catalogs have.
CREATE PROCEDURE walk.try_catalogs(w walk.types) LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT attrelid::regclass AS rel, attname FROM pg_attribute JOIN pg_class r ON r.oid = attrelid
			WHERE atttypid = w.oid AND relkind = 'r' AND attnum > 0 AND relnamespace = 'pg_catalog'::regnamespace LOOP
		PERFORM walk.add(w.oid, format('SELECT %I FROM %s WHERE %1$I IS NOT NULL LIMIT 1', c.attname, c.rel));
	END LOOP;
END $$;

CREATE PROCEDURE walk.try_parts(w walk.types) LANGUAGE plpgsql AS $$
DECLARE
	part oid := (SELECT n.part FROM walk.needs n WHERE type = w.oid LIMIT 1);
	q text;
BEGIN
	IF w.is_array THEN
		FOREACH q IN ARRAY ARRAY['array_agg(v ORDER BY id)', 'array_agg(v ORDER BY id) || NULL', 'array_agg(v ORDER BY id DESC)',
				'array_fill((array_agg(v ORDER BY id))[1], ARRAY[2, 1, 1, 1, 1, 2], ARRAY[-1, 0, 1, 2, 3, 2147483645])',
				'ARRAY[array_agg(v ORDER BY id), array_agg(v ORDER BY id DESC)]',
				'array_fill((array_agg(v ORDER BY id DESC))[1], ARRAY[3], ARRAY[0])',
				'array_fill((array_agg(v ORDER BY id DESC))[1], ARRAY[1], ARRAY[-2147483648])'] LOOP
			PERFORM walk.add(w.oid, format('SELECT (%s)::%s FROM pool.%I', q, w.name, part));
		END LOOP;
	ELSIF w.typtype = 'd' THEN
		FOR i IN 0 .. 9 LOOP
			PERFORM walk.add(w.oid, format('SELECT v::%s FROM pool.%I ORDER BY id LIMIT 1 OFFSET %s', w.name, part, i));
		END LOOP;
	ELSIF w.typtype = 'r' THEN
		FOREACH q IN ARRAY ARRAY['a.v, b.v', 'a.v, b.v, ''[]''', 'a.v, b.v, ''()''', 'a.v, NULL', 'NULL, a.v', 'a.v, a.v, ''[]'''] LOOP
			FOR i IN 0 .. 5 LOOP
				PERFORM walk.add(w.oid, format('SELECT %s(%s) FROM pool.%I a, pool.%3$I b WHERE a.id <> b.id ORDER BY a.id, b.id LIMIT 1 OFFSET %s', w.name, q, part, i));
			END LOOP;
		END LOOP;
	ELSIF w.typtype = 'm' THEN
		FOR i IN 0 .. 5 LOOP
			PERFORM walk.add(w.oid, format('SELECT %s(v) FROM pool.%I ORDER BY id LIMIT 1 OFFSET %s', w.name, part, i));
			PERFORM walk.add(w.oid, format('SELECT %s(VARIADIC array_agg(v)) FROM pool.%I WHERE id %% 6 = %s', w.name, part, i));
		END LOOP;
	ELSIF w.typtype = 'c' THEN
		FOREACH q IN ARRAY ARRAY['ORDER BY id LIMIT 1', 'ORDER BY id DESC LIMIT 1', 'ORDER BY id LIMIT 1 OFFSET 2', 'WHERE false'] LOOP
			PERFORM walk.add(w.oid, (SELECT format('SELECT ROW(%s)::%s', string_agg(format('(SELECT v FROM pool.%I %s)', atttypid, q), ', ' ORDER BY attnum), w.name)
				FROM pg_attribute WHERE attrelid = w.typrelid AND attnum > 0 AND NOT attisdropped));
		END LOOP;
	END IF;
END $$;

CREATE PROCEDURE walk.walk() LANGUAGE plpgsql AS $$
DECLARE
	w walk.types;
	found_any bool;
BEGIN
	-- those that are made of nothing first
	FOR w IN SELECT * FROM walk.types t WHERE NOT EXISTS (SELECT FROM walk.needs WHERE type = t.oid) AND typtype <> 'c' ORDER BY oid LOOP
		IF walk.make(w.oid, w.name) THEN
			CALL walk.try_literals(w);
		END IF;
		UPDATE walk.types SET state = CASE WHEN to_regclass('pool.' || quote_ident(w.oid::text)) IS NULL THEN 'no column' ELSE 'made' END WHERE oid = w.oid;
		COMMIT;
	END LOOP;
	FOR w IN SELECT * FROM walk.types WHERE state = 'made' ORDER BY oid LOOP
		CALL walk.try_casts(w);
		CALL walk.try_catalogs(w);
		COMMIT;
	END LOOP;
	LOOP
		found_any := false;
		FOR w IN SELECT * FROM walk.types t WHERE state = 'pending' AND NOT EXISTS (
				SELECT FROM walk.needs JOIN walk.types part ON part.oid = needs.part WHERE type = t.oid AND part.state = 'pending') ORDER BY oid LOOP
			IF walk.make(w.oid, w.name) THEN
				CALL walk.try_parts(w);
				CALL walk.try_literals(w);
				CALL walk.try_casts(w);
				UPDATE walk.types SET state = 'made' WHERE oid = w.oid;
			ELSE
				UPDATE walk.types SET state = 'no column' WHERE oid = w.oid;
			END IF;
			found_any := true;
			COMMIT;
		END LOOP;
		EXIT WHEN NOT found_any;
	END LOOP;
END $$;
});
my @fixed = map { "SET $_;" } "datestyle = 'ISO, MDY'", "intervalstyle = 'postgres'", "timezone = 'UTC'", 'extra_float_digits = 1',
  "bytea_output = 'hex'", "search_path = pg_catalog, pg_temp", "lc_monetary = 'C'", "xmloption = 'content'";
sql("@fixed CALL walk.walk();");
is(sql("SELECT count(*) FROM walk.types WHERE state = 'pending'"), '0', 'all types were looked at');

# The tables: 0 is NULL, the others are the pool's values. Each is inserted,
# becomes the next one, and is deleted. As a key too, where that is possible.
sql(q{
CREATE PROCEDURE walk.write() LANGUAGE plpgsql AS $$
DECLARE
	w walk.types;
	n int;
	name text;
BEGIN
	FOR w IN SELECT * FROM walk.types WHERE state = 'made' ORDER BY oid LOOP
		EXECUTE format('INSERT INTO walk.expected SELECT %s, row_number() OVER (ORDER BY id), format(''%%s'', v) FROM pool.%I', w.oid, w.oid);
		n := walk.size(w.oid) + 1;
		FOREACH name IN ARRAY ARRAY['d' || w.oid, 'f' || w.oid] LOOP
			EXECUTE format('CREATE TABLE t.%I (id int PRIMARY KEY, v %s)', name, w.name);
			IF name LIKE 'f%' THEN
				EXECUTE format('ALTER TABLE t.%I REPLICA IDENTITY FULL', name);
			END IF;
			EXECUTE format('INSERT INTO t.%I SELECT 0, NULL UNION ALL SELECT row_number() OVER (ORDER BY id), v FROM pool.%I', name, w.oid);
			EXECUTE format('UPDATE t.%I t SET v = (SELECT v FROM (SELECT row_number() OVER (ORDER BY id) AS n, v FROM pool.%I) s WHERE n = (t.id + 1) %% %s)', name, w.oid, n);
			EXECUTE format('DELETE FROM t.%I', name);
			COMMIT;
		END LOOP;
		BEGIN
			EXECUTE format('CREATE TABLE t.k%s (v %s PRIMARY KEY)', w.oid, w.name);
			EXECUTE format('INSERT INTO t.k%s SELECT v FROM pool.%I ON CONFLICT DO NOTHING', w.oid, w.oid);
			EXECUTE format('DELETE FROM t.k%s', w.oid);
		EXCEPTION WHEN undefined_object OR program_limit_exceeded OR undefined_function THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END $$;
});
slot($node, $_) for qw(protobuf json);
sql("@fixed CALL walk.write();");

my (%seen, %keys, @wrong, $events);
my %values = map { $_ => [undef] } split /\n/, sql("SELECT oid FROM walk.types WHERE state = 'made'");
foreach (split /\n/, sql(q{SELECT type, n, encode(convert_to(v, 'UTF8'), 'hex') FROM walk.expected}))
{
	my ($type, $n, $hex) = split /\|/;
	$values{$type}[$n] = pack 'H*', $hex // '';
}
my %names = map { split /=/, $_, 2 } split /\n/, sql(q{SELECT oid || '=' || name FROM walk.types});
my %delimiters = map { split /=/, $_, 2 } split /\n/,
  sql(q{SELECT name || '[]=' || typdelim::text FROM walk.types WHERE typdelim <> ','});

# Everything that a sound stream must have for the event.
sub check
{
	my ($e) = @_;
	my ($identity, $type) = $e->{table}{name} =~ /^([dfk])(\d+)$/ or return;
	my $wrong = sub {
		push @wrong, "$names{$type} $identity $e->{op} $_[0]: " . join ' ',
		  map { my $image = $_; map { "$image=" . ($e->{$image}{$_} // 'NULL') } sort keys %{ $e->{$image} // {} } } qw(key old new);
	};

	$events++;
	return $wrong->('failure') if defined $e->{failure};
	if ($identity eq 'k')
	{
		$keys{$type}{ $e->{key}{v} } += $e->{op} eq 'INSERT' ? 1 : -1;
		$wrong->('unknown key') if !grep { $_ eq $e->{key}{v} } @{ $values{$type} }[ 1 .. $#{ $values{$type} } ];
		return;
	}
	my $n = $e->{key}{id};
	my $count = @{ $values{$type} };
	my $same = sub { my ($v, $at) = @_; my $want = $values{$type}[ $at % $count ]; return defined $v ? defined $want && $v eq $want : !defined $want };
	$seen{"$identity$type$e->{op}"}++;
	if ($e->{op} eq 'INSERT') { $wrong->("value $n") if !$same->($e->{new}{v}, $n) }
	elsif ($e->{op} eq 'DELETE')
	{
		$wrong->("former value $n") if $identity eq 'f' && !$same->($e->{old}{v}, $n + 1);
		$wrong->('old') if $identity eq 'd' && $e->{old};
	}
	else
	{
		my $null = grep { $_ eq 'v' } @{ $e->{nulls} };
		if ($identity eq 'f' && !$null && !exists $e->{new}{v})
		{
			$wrong->("unchanged $n") if $count > 1;
			return;
		}
		$wrong->("value after $n") if $null ? defined $e->{new}{v} || !$same->(undef, $n + 1) : !$same->($e->{new}{v}, $n + 1);
		$wrong->("value before $n") if $identity eq 'f' && !$same->($e->{old}{v}, $n);
	}
}
each_event(receive($node, 'protobuf', options => { tables => 't.*' }), \&check, %delimiters);
is(scalar @wrong, 0, "$events events are what was written") or diag(join "\n", @wrong[ 0 .. ($#wrong < 40 ? $#wrong : 40) ]);
my @missing = grep {
	my $type = $_;
	grep { ($seen{"$_->[0]$type$_->[1]"} // 0) != @{ $values{$type} } } map { my $i = $_; map { [ $i, $_ ] } qw(INSERT UPDATE DELETE) } qw(d f)
} split /\n/, sql("SELECT oid FROM walk.types WHERE state = 'made'");
is(join(' ', map { $names{$_} } @missing), '', 'all values of all types came, inserted, updated and deleted');
is(join(' ', map { $names{$_} } grep { grep { $_ != 0 } values %{ $keys{$_} } } keys %keys), '', 'a key is the same in INSERT and DELETE');

# Who is not covered. A table cannot have a column of a type with a
# pseudo-type within; and some types take no value from anybody: their input
# functions raise the same for everything (feature_not_supported, or elog).
is(sql(q{
WITH RECURSIVE pseudo(oid) AS (
	SELECT w.oid FROM walk.types w JOIN pg_attribute ON attrelid = typrelid JOIN pg_type a ON a.oid = atttypid
		WHERE w.typtype = 'c' AND attnum > 0 AND NOT attisdropped AND a.typtype = 'p'
	UNION SELECT w.oid FROM walk.types w JOIN pg_type e ON e.oid = w.typelem WHERE is_array AND e.typtype = 'p'
	UNION SELECT type FROM walk.needs JOIN pseudo ON part = pseudo.oid)
SELECT string_agg(name, ' ') FROM (SELECT oid FROM pseudo EXCEPT SELECT oid FROM walk.types WHERE state = 'no column'
	UNION (SELECT oid FROM walk.types WHERE state = 'no column' EXCEPT SELECT oid FROM pseudo)) x JOIN walk.types USING (oid)}),
	'', 'types that no table can have are those with a pseudo-type within');
my $empty = q{state = 'made' AND NOT EXISTS (SELECT FROM walk.expected WHERE type = t.oid)};
is(sql(qq{SELECT string_agg(name, ' ') FROM walk.types t WHERE $empty AND (is_array OR typtype <> 'b' OR EXISTS (
		SELECT FROM walk.states s WHERE s.type = t.oid AND sqlstate NOT IN ('0A000', 'XX000')))}),
	'', 'all that have no value are base types whose input function takes nothing');
is(sql(qq{SELECT count(*) FROM walk.types t WHERE $empty}),
	sql(q{SELECT count(*) FROM (SELECT type FROM walk.states GROUP BY type HAVING count(*) = (SELECT count(*) FROM walk.literals) AND bool_and(sqlstate IN ('0A000', 'XX000'))) s
		WHERE NOT EXISTS (SELECT FROM walk.expected e WHERE e.type = s.type)}), 'as many as there are such functions');
is(sql(q{SELECT count(*) FROM walk.types}),
	sql(q{SELECT count(*) FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname NOT IN ('walk', 'pool', 't') AND typtype <> 'p' AND typcategory <> 'P'}),
	'no other type has come since');
note(sql(qq{SELECT format('%s types, %s values: ', (SELECT count(*) FROM walk.types), (SELECT count(*) FROM walk.expected)) ||
	string_agg(format('%s %s', n, what), ', ' ORDER BY what) FROM (SELECT count(*) AS n, CASE WHEN state = 'no column' THEN 'no column' WHEN $empty THEN 'no input'
	ELSE CASE WHEN is_array THEN 'array' ELSE typtype::text END END AS what FROM walk.types t GROUP BY what) x}));
note('no input: ' . sql(qq{SELECT string_agg(name, ' ') FROM walk.types t WHERE $empty}));
note('no column: ' . sql(q{SELECT string_agg(name, ' ') FROM walk.types t WHERE state = 'no column'}));

# As JSON nothing is raised, and the lines are JSON to the server.
my @json = receive_json($node, 'json', options => { tables => 't.*' });
is(scalar @json, $events, 'as many events in JSON');
write_file('lines', join("\n", map { s/\\/\\\\/gr } @json) . "\n");
sql("CREATE UNLOGGED TABLE walk.lines (line json); COPY walk.lines FROM '$PostgreSQL::Test::Utils::tmp_check/lines'");
is(sql(q{SELECT count(*) FROM walk.lines WHERE line->>'failure' IS NOT NULL}), '0', 'without failures');

# Labels that come and change later, and attributes.
slot($node, 'labels');
sql(q{
CREATE TYPE own.mood AS ENUM ('sad');
CREATE TABLE own.moods (id int PRIMARY KEY, m own.mood, ms own.mood[]);
INSERT INTO own.moods VALUES (1, 'sad', '{sad}');
ALTER TYPE own.mood ADD VALUE 'happy';
INSERT INTO own.moods VALUES (2, 'happy', '{happy,sad}');
ALTER TYPE own.mood ADD VALUE 'glum' BEFORE 'sad';
INSERT INTO own.moods VALUES (3, 'glum', '{glum}');
ALTER TYPE own.mood RENAME VALUE 'happy' TO 'merry';
INSERT INTO own.moods VALUES (4, 'merry', '{merry}');
BEGIN;
CREATE TYPE own.fresh AS ENUM ('a', 'b');
CREATE TABLE own.freshes (id int PRIMARY KEY, f own.fresh, fs own.fresh[]);
INSERT INTO own.freshes VALUES (1, 'b', '{a,b}');
ALTER TYPE own.fresh RENAME VALUE 'b' TO 'c';
INSERT INTO own.freshes VALUES (2, 'c', '{a,c}');
COMMIT;
BEGIN;
ALTER TYPE own.mood ADD VALUE 'last';
INSERT INTO own.moods VALUES (5, 'merry', '{merry,NULL}');
COMMIT;
INSERT INTO own.moods VALUES (6, 'last', '{last}');
CREATE TABLE own.singles (id int PRIMARY KEY, p own.single);
INSERT INTO own.singles VALUES (1, '(1.5)');
ALTER TYPE own.single ADD ATTRIBUTE y text CASCADE;
INSERT INTO own.singles VALUES (2, '(2.5,x)');
ALTER TYPE own.single DROP ATTRIBUTE x;
INSERT INTO own.singles VALUES (3, '(z)');
});
# allowed in one transaction from 17 on
my $same = sql('SHOW server_version_num') >= 170000;
sql(q{BEGIN; CREATE TYPE own.new AS ENUM ('a'); ALTER TYPE own.new ADD VALUE 'b';
CREATE TABLE own.news (id int PRIMARY KEY, n own.new); INSERT INTO own.news VALUES (1, 'b'); COMMIT}) if $same;
my @labels;
each_event(receive($node, 'labels', options => { tables => 'own.*' }),
	sub { push @labels, join '|', map { $_ // '' } $_[0]{key}{id}, @{ $_[0]{new} }{ sort keys %{ $_[0]{new} } } });
is(join(' ', @labels), '1|sad|{sad} 2|happy|{happy,sad} 3|glum|{glum} 4|merry|{merry} 1|b|{a,b} 2|c|{a,c} 5|merry|{merry,NULL} 6|last|{last} 1|(1.5) 2|(2.5,x) 3|(z)'
	. ($same ? ' 1|b' : ''),
	'labels and attributes are as they were at the time');
is_up($node, 'the server lives');

$node->stop;
done_testing();
