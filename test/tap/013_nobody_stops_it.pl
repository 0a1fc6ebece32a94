# Rows, defaults and messages that an ordinary user can make and that cannot
# be sent as they are: each becomes an event that says so, or is sent in a form
# that fits; what comes after them arrives.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

# A value of 10 bytes has 131072 digits; NULL in an array is a bit; a FULL row
# is whole in the WAL; control characters and dimensions grow in JSON.
my %cases = (
	digits => q{CREATE TABLE digits (id int PRIMARY KEY, x numeric[]);
		INSERT INTO digits SELECT 1, array_agg(1e131071::numeric) FROM generate_series(1, 9000)},
	json_digits => q{CREATE TABLE json_digits (id int PRIMARY KEY, x jsonb);
		INSERT INTO json_digits VALUES (1, ('[' || repeat('1e131000,', 9000) || '1]')::jsonb)},
	nulls => q{CREATE TABLE nulls (id int PRIMARY KEY, x float8[]);
		INSERT INTO nulls SELECT 1, array_fill(NULL::float8, ARRAY[134000000])},
	full => q{CREATE TABLE "full" (id int PRIMARY KEY, x numeric[]); ALTER TABLE "full" REPLICA IDENTITY FULL;
		INSERT INTO "full" SELECT 1, array_agg(1e131071::numeric) FROM generate_series(1, 600);
		UPDATE "full" SET x = x || 1.0; DELETE FROM "full"},
	booleans => q{CREATE TABLE booleans (id int PRIMARY KEY, x bool[]);
		INSERT INTO booleans SELECT 1, array_fill(true, ARRAY[20000000])},
	dimensions => q{CREATE TABLE dimensions (id int PRIMARY KEY, x int[]);
		INSERT INTO dimensions SELECT 1, array_fill(1, ARRAY[4000000, 1, 1, 1, 1, 1])},
	prefix => q{SELECT pg_logical_emit_message(true, repeat(chr(1), 100000000), 'x');
		SELECT pg_logical_emit_message(false, repeat('p', 100000), 'x');},
	missing => q{CREATE TABLE missing (id int PRIMARY KEY); INSERT INTO missing VALUES (1);
		ALTER TABLE missing ADD COLUMN x text DEFAULT repeat('x', 600000);
		INSERT INTO missing VALUES (2, 'y')},
	missing_digits => q{CREATE TABLE missing_digits (id int PRIMARY KEY);
		DO $$ BEGIN EXECUTE format('ALTER TABLE missing_digits ADD COLUMN x numeric[] DEFAULT %L', array_fill(1e131071, ARRAY[300])); END $$;
		INSERT INTO missing_digits VALUES (2, '{1}')},
	mask => q{CREATE TABLE mask (id int PRIMARY KEY, x numeric[]);
		SELECT cdc.redact('mask', 'x', 'mask', filler => repeat('x', 100));
		INSERT INTO mask SELECT 1, array_agg(1e131071::numeric) FROM generate_series(1, 150)},
	paths => q{CREATE TABLE paths (id int PRIMARY KEY, x jsonb, y json);
		SELECT cdc.redact('paths', 'x', 'mask', filler => repeat('x', 10), path => '$[*]'), cdc.redact('paths', 'y', 'hash', path => '$.a');
		INSERT INTO paths VALUES (1, ('[' || repeat('1e131000,', 1200) || '1]')::jsonb, NULL),
			(2, NULL, (repeat('[', 3000) || repeat(']', 3000))::json), (3, '{}', '{"\u0000": 1}')},
);

foreach my $case (sort keys %cases)
{
	foreach my $format ('protobuf', 'json')
	{
		slot($node, $_) for 'stopped';
		sql($cases{$case});
		sql('CREATE TABLE after (id int PRIMARY KEY); INSERT INTO after VALUES (1)');
		my $bytes = eval { receive($node, 'stopped', options => { format => $format, messages => '*' }) } // '';
		ok($bytes =~ /after/, "$case as $format: what comes after it arrives");
		sql("SELECT cdc.drop_slot('stopped'); DROP TABLE after; DROP TABLE IF EXISTS \"$case\"");
		last if $case eq 'nulls' || $case eq 'digits';    # one form shows it, and they take seconds
	}
}

# a default that is too large for a schema is said to be
sql(q{CREATE TABLE large (id int PRIMARY KEY); INSERT INTO large VALUES (1);
	DO $$ BEGIN EXECUTE format('ALTER TABLE large ADD COLUMN x numeric[] DEFAULT %L, ADD COLUMN y text DEFAULT %L', array_fill(1e131071, ARRAY[20]), 'small'); END $$});
is(sql(q{SELECT string_agg((c->>'name') || ':' || coalesce(c->>'missing', c->>'missing_unavailable'), ',')
	FROM jsonb_array_elements(cdc.table_schema('large')->'columns') c WHERE c->>'name' <> 'id'}),
	'x:true,y:small', 'missing and missing_unavailable');

# metadata that is set again and again takes no memory
slot($node, 'metadata');
sql(q{BEGIN; SELECT count(cdc.set_metadata('k', repeat('x', 4000) || g)) FROM generate_series(1, 20000) g;
	INSERT INTO large VALUES (3); COMMIT});
like((receive_json($node, 'metadata'))[0], qr/"k":"x+20000"/, 'the last value counts');

# what jsonb cannot hold is shown as text, and read() loses nothing
slot($node, 'odd');
sql(q{CREATE TABLE odd (id int PRIMARY KEY, j json); INSERT INTO odd VALUES (1, '"\u0000"'), (2, '"\ud800"'), (3, '1e1000000'), (4, '{"a":"\\\\u0000 \\ud83d\\udc18\\u0000\\u0000\\udc18"}')});
my ($ret, $out, $err) = $node->psql('postgres', q{SELECT * FROM cdc.read('odd', options => ARRAY['format', 'json'])});
like($err, qr/cannot be given here/, 'format is refused');
is(sql(q{SELECT string_agg(jsonb_typeof(new), ' ') FROM cdc.peek('odd')}), 'object object string object', 'peek');
is(sql(q{SELECT new->'j'->>'a' FROM cdc.peek('odd') WHERE key->>'id' = '4'}), "\\u0000 \xf0\x9f\x90\x98\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 'escapes');
is(sql(q{SELECT string_agg(jsonb_typeof(new), ' ') FROM cdc.read('odd')}), 'object object string object', 'read');
is(sql(q{SELECT count(*) FROM cdc.read('odd')}), '0', 'read consumes');
sql(q{CREATE ROLE poor REPLICATION; GRANT USAGE ON SCHEMA cdc TO poor; GRANT EXECUTE ON FUNCTION cdc.read, cdc.peek TO poor;
	INSERT INTO odd VALUES (5)});
($ret, $out, $err) = $node->psql('postgres', q{SET ROLE poor; SELECT * FROM cdc.read('odd')});
like($err, qr/permission denied/, 'a role that may not decode');
is(sql(q{SELECT count(*) FROM cdc.read('odd')}), '1', 'has consumed nothing');

# JSON as deep as can be stored, in a line that is deeper; and more than a string of jsonb can be
slot($node, 'deep');
sql(q{CREATE TABLE deep (id int PRIMARY KEY, j json, t text);
	DO $$
	DECLARE
		low int := 1;
		high int := 1000000;
		middle int;
	BEGIN
		WHILE high - low > 1 LOOP
			middle := (low + high) / 2;
			BEGIN
				INSERT INTO deep VALUES (middle, (repeat('[', middle) || repeat(']', middle))::json);
				low := middle;
			EXCEPTION WHEN statement_too_complex THEN
				high := middle;
			END;
		END LOOP;
		DELETE FROM deep WHERE id < low - 1;
	END $$;
	INSERT INTO deep VALUES (-1, NULL, repeat('x', 270000000)), (-2, '[]', NULL)});
is(sql(q{SELECT bool_or(jsonb_typeof(new) = 'string') FROM cdc.peek('deep') WHERE op = 'INSERT' AND key->>'id' ~ '^[0-9]'}), 't', 'peek shows deep JSON as text');
is(sql(q{SET cdc.max_event_size = '900MB'; SELECT key->>'id', left(new::text, 20) FROM cdc.read('deep') WHERE op = 'INSERT' AND key->>'id' ~ '-'}),
	qq{-1|"270000008 bytes of \n-2|{"j": []}}, 'read goes on after what is too large');

# a schema cdc that is older than the extension
$node->safe_psql('postgres', 'CREATE DATABASE old');
sql(q{CREATE SCHEMA cdc; CREATE TABLE cdc.mine (id int PRIMARY KEY); SELECT pg_create_logical_replication_slot('old', 'cdc')}, 'old');
sql(q{INSERT INTO cdc.mine VALUES (1); ALTER SCHEMA cdc RENAME TO theirs; CREATE EXTENSION cdc; INSERT INTO theirs.mine VALUES (2);
	CREATE TABLE cdc.mine (id int PRIMARY KEY); INSERT INTO cdc.mine VALUES (3)}, 'old');
is(scalar(receive_json($node, 'old', db => 'old')), 3, 'a user\'s table in a schema named cdc');

# many wide tables: the cache keeps to its size
slot($node, 'wide');
sql(q{DO $$ BEGIN FOR i IN 1 .. 60 LOOP
	EXECUTE format('CREATE TABLE wide%s (id int PRIMARY KEY, %s)', i, (SELECT string_agg('c' || g || ' text', ',') FROM generate_series(1, 800) g));
	EXECUTE format('INSERT INTO wide%s VALUES (1, ''x'')', i); END LOOP; END $$});
is(scalar(receive_json($node, 'wide')), 60, 'tables of 800 columns, more than are kept');
is_up($node, 'the server is up');

done_testing();
