# What cdc.proto() prints is taken by protoc, whatever tables and columns are
# called, and reads the table's rows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $proto = "$FindBin::Bin/../../proto";
my $dir = PostgreSQL::Test::Utils::tempdir();
$ENV{PGCLIENTENCODING} = 'UTF8';

my @keywords = qw(syntax import weak public package option optional required repeated group oneof map message enum
  extend extensions reserved to max service rpc stream returns true false inf nan string bytes bool int32 sint32 fixed64
  double float edition export local json_name default descriptor cdc v1 rows);

# name => columns
my %tables = (
	plain => 'id int PRIMARY KEY, "name" text',
	types => 'b bool, i2 int2, i8 int8, o oid, f4 float4, f8 float8, n numeric, t text, y bytea, u uuid, ts timestamp, d date, '
	  . 'ti time, tt timetz, iv interval, j json, ip inet, ia int[], ba bool[], ta text[], ya bytea[], fa float4[], da float8[], la bigint[], oa oid[]',
	keywords => join(', ', map { qq{"$_" int} } @keywords),
	(map { ($_ => "\"$_\" int") } @keywords),
	odd => '"with space" int, "größe" int, "quo""te" int, "new' . "\n" . 'line" int, "*/" int, "// x" int, "back\\slash" int, '
	  . '"1st" int, "_" int, "__" int, "日本" int, "ЖЖ" int, "' . "\x01" . '" int, "' . "\x7f" . '" int, "; }" int',
	collisions => 'a_b int, ab int, "AB" int, "a b" int, "aB" int, a__b int, "A_b_" int, x_12 int, x int, "X" int, x_10 int, "x-" int, '
	  . '_x int, x_ int, "a1" int, "a_1" int, "a-1" int, "fooBar" int, foo_bar int, "FooBar" int, "a_1_b" int, a1b int, "é" int, "ü" int',
	"odd \"\" name" => 'id int', "two\nlines" => 'id int', '9 lives' => 'id int', 'größe' => 'id int', '日本' => 'id int',
	'_' => 'id int', 'a.b' => 'id int', 'UPPER case' => 'id int', empty => '');

$node->safe_psql('postgres', qq{SET client_encoding = 'UTF8'; CREATE TABLE "$_" ($tables{$_});}) for sort keys %tables;
$node->safe_psql('postgres', q{
CREATE TABLE dropped (a int, b int, c int, d text); ALTER TABLE dropped DROP a, DROP c;
CREATE SCHEMA "odd schema.x"; CREATE TABLE "odd schema.x".t (id int);
CREATE SCHEMA "message"; CREATE TABLE "message".message (message int);
CREATE SCHEMA "1"; CREATE TABLE "1"."1" ("1" int);
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE wide (' || string_agg('c' || n || ' int', ', ') || ')' FROM generate_series(1, 1600) n); END $$;
});

sub protoc
{
	my ($out, $err) = ('', '');
	my ($input, @arguments) = @_;
	my $ok = IPC::Run::run([ 'protoc', "-I$proto", "-I$dir", @arguments ], '<', \$input, '>', \$out, '2>', \$err);
	return ($ok, $out, $err);
}

# each on its own: a path for each file
my @oids = split /\n/, $node->safe_psql('postgres', q{
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'cdc') ORDER BY 1});
is(scalar @oids, scalar(keys %tables) + 5, 'tables to try');
foreach my $oid (@oids)
{
	my $name = $node->safe_psql('postgres', "SELECT replace($oid\::regclass::text, E'\\n', ' ')");
	my $text = $node->safe_psql('postgres', "SELECT cdc.proto($oid)");
	append_to_file("$dir/t$oid.proto", $text);
	my ($ok, $out, $err) = protoc('', "--descriptor_set_out=$dir/descriptor", "$dir/t$oid.proto");
	# warnings too: a client's build may make them errors
	is($ok ? $err : "failed: $err", '', "protoc takes $name") or diag($text);
	my $columns = $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_attribute WHERE attrelid = $oid AND attnum > 0 AND NOT attisdropped");
	is(scalar(() = $text =~ /^  optional /mg), $columns, "which has its $columns columns");
}

# rows, read by it
slot($node, 's');
$node->safe_psql('postgres', q{
INSERT INTO plain VALUES (-1, 'größe');
INSERT INTO types VALUES (true, -2, 1e15, 4294967295, 0.5, -0.25, 12.50, 'text', '\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '2000-01-01 00:00:01', '2000-01-02', '00:00:01', '01:00:00+02', '1 month 2 days 3 seconds', '{"a": 1}', '::1',
  '{1,NULL,-3}', '{t,f}', '{a,NULL}', '{a}', '{0.5}', '{0.5}', '{-1}', '{1}');
INSERT INTO dropped VALUES (7, 'd');
});
my @batches = batches(receive($node, 's'));
sub row
{
	my ($table, $batch) = @_;
	my ($event) = map { $_->[1] } grep { $_->[0] == 7 } fields($batch);
	my $bytes = join '', map { $_->[1] } grep { $_->[0] == 5 || $_->[0] == 7 } fields($event);
	my $oid = $node->safe_psql('postgres', "SELECT '$table'::regclass::oid");
	my ($ok, $out, $err) = protoc($bytes, "--decode=cdc.rows.public.$table.v1." . ucfirst $table, "$dir/t$oid.proto");
	return $ok ? $out : "failed: $err";
}
is(row('plain', $batches[0]), "id: -1\nname: \"gr\\303\\266\\303\\237e\"\n", 'a row: key and the rest');
is(row('dropped', $batches[2]), "b: 7\nd: \"d\"\n", 'a row of a table with dropped columns');
my $types = row('types', $batches[1]);
is($types, <<'TEXT', 'a row of many types');
b: true
i2: -2
i8: 1000000000000000
o: 4294967295
f4: 0.5
f8: -0.25
n: "12.50"
t: "text"
y: "\000\377"
u: "\240\356\274\231\234\013N\370\273mk\271\2758\n\021"
ts: 1000000
d: 1
ti: 1000000
tt {
  time: 3600000000
  offset: 7200
}
iv {
  months: 1
  days: 2
  microseconds: 3000000
}
j: "{\"a\": 1}"
ip: "::1"
ia {
  values: 1
  values: 0
  values: -3
  nulls: 1
}
ba {
  values: true
  values: false
}
ta {
  values: "a"
  values: ""
  nulls: 1
}
ya {
  values: "a"
}
fa {
  values: 0.5
}
da {
  values: 0.5
}
la {
  values: -1
}
oa {
  values: 1
}
TEXT

$node->stop;
done_testing();
