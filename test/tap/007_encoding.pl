# Whatever the database's encoding, strings in the stream are UTF-8: values,
# names of tables, columns and schemas. protoc is the judge, which refuses
# strings that are not.
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
$ENV{PGCLIENTENCODING} = 'UTF8';

sub protoc
{
	my ($type, $bytes, @files) = @_;
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ 'protoc', "--decode=$type", "-I$proto", "-I$PostgreSQL::Test::Utils::tmp_check", @files ],
		'<', write_file('message', $bytes), '>', \$out, '2>', \$err) && $err eq '';
	# protoc writes other characters as octal escapes
	$out =~ s/\\([0-7]{3})/chr oct $1/ge;
	return $ok ? $out : "protoc: $err";
}

sub field
{
	my ($number, $message) = @_;
	return map { $_->[1] } grep { $_->[0] == $number } fields($message);
}

sub make_database
{
	my ($db, $encoding) = @_;
	$node->safe_psql('postgres',
		"CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($db, 'CREATE EXTENSION cdc');
}

# bytes of UTF-8 in this file; nothing in it is marked as characters
foreach my $case ([ 'utf8', 'UTF8', 'größe', "日本 🐘" ], [ 'latin1', 'LATIN1', 'größe', 'é£ÿ' ],
	[ 'latin9', 'LATIN9', 'größe', '€' ], [ 'euc', 'EUC_JP', '日本', '日本語ソ表' ])
{
	my ($db, $encoding, $name, $value) = @$case;

	make_database($db, $encoding);
	$node->safe_psql($db, qq{
CREATE SCHEMA "s $name";
CREATE TYPE "s $name".mood AS ENUM ('$name');
CREATE TABLE "s $name"."t $name" (id int, "$name" text PRIMARY KEY, j json, m "s $name".mood, v varchar(20), a text[] DEFAULT '{$value}');
});
	slot($node, "bytes_$db", $db);
	slot($node, "json_$db", $db);
	$node->safe_psql($db, qq{
BEGIN;
SELECT cdc.set_metadata('$name', '$value');
INSERT INTO "s $name"."t $name" VALUES (1, '$value', '{"k": "$value"}', '$name', '$value');
SELECT pg_logical_emit_message(true, '$name', 'x');
COMMIT;
});
	my $bytes = receive($node, "bytes_$db", db => $db, options => { messages => '*' });
	my ($batch) = batches($bytes);
	my $text = protoc('cdc.v1.Batch', $batch, "$proto/cdc/v1/cdc.proto");
	like($text, qr/prefix: "\Q$name\E"/, "$encoding: a message's prefix");
	like($text, qr/key: "\Q$name\E"\s+value: "\Q$value\E"/, "$encoding: metadata");

	my $table = protoc('cdc.v1.Table', field(2, field(6, $batch)), "$proto/cdc/v1/cdc.proto");
	like($table, qr/^schema: "s \Q$name\E"\s*name: "t \Q$name\E"$/m, "$encoding: names of schema and table");
	like($table, qr/  number: 2\s*name: "\Q$name\E"/, "$encoding: name of a column");
	like($table, qr/pg_type: "\\?"s \Q$name\E\\"\.mood"/, "$encoding: name of a type")
	  or diag($table);

	# the rows, by the generated .proto
	write_file('rows.proto', $node->safe_psql($db, qq{SELECT cdc.proto('"s $name"."t $name"')}));
	my $proto_text = slurp_file("$PostgreSQL::Test::Utils::tmp_check/rows.proto");
	my ($package) = $proto_text =~ /^package (\S+);/m;
	my ($message) = $proto_text =~ /^message (\S+) /m;
	my ($event) = field(7, $batch);
	my $row = protoc("$package.$message", join('', field(5, $event), field(7, $event)),
		"$PostgreSQL::Test::Utils::tmp_check/rows.proto");
	is(scalar(() = $row =~ /"\Q$value\E"/g), 3, "$encoding: values of text, varchar and text[]") or diag($row);
	like($row, qr/\{\\"k\\": \\"\Q$value\E\\"\}/, "$encoding: json");
	like($row, qr/"\Q$name\E"/, "$encoding: an enum's label");

	# the SQL functions give it back in the database's encoding
	is($node->safe_psql($db, qq{SELECT cdc.table_schema('"s $name"."t $name"')->'columns'->1->>'name'}),
		$name, "$encoding: cdc.table_schema");
	my @json = receive_json($node, "json_$db", db => $db, options => { messages => '*' });
	my $path = write_file('lines', $bytes);
	is($node->safe_psql($db, qq{SELECT key->>'$name', new->>'v', relation, metadata->>'$name'
		  FROM cdc.decode(pg_read_binary_file('$path')) WHERE op = 'INSERT'}),
		qq{$value|$value|"s $name"."t $name"|$value}, "$encoding: cdc.decode");
	is([ decode($node, $bytes, $db) ]->[0], $json[0],
		"$encoding: format=json is what cdc.decode_json gives");
	unlike($json[0], qr/[^\x00-\x7f]/, "$encoding: all ASCII in JSON") if $encoding ne 'UTF8';
	is($node->safe_psql('utf8', qq{SELECT \$json\$$json[0]\$json\$::jsonb->'key'->>'$name'}), $value,
		"$encoding: which is the same in any database");
}
is_up($node, 'the server lives');

# SQL_ASCII says nothing about what bytes mean: columns of text are BYTES.
make_database('ascii', 'SQL_ASCII');
$node->safe_psql('ascii', q{
CREATE TABLE t (id int PRIMARY KEY, v text, c varchar(10), n numeric);
DO $$ BEGIN EXECUTE 'CREATE TABLE "odd ' || chr(233) || '" (id int PRIMARY KEY, "' || chr(233) || '" text, a text[])'; END $$;
});
slot($node, $_, 'ascii') for qw(bytes_ascii json_ascii);
$node->safe_psql('ascii', q{
INSERT INTO t VALUES (1, chr(233) || 'x', 'plain', 1.5);
DO $$ BEGIN EXECUTE 'INSERT INTO "odd ' || chr(233) || '" VALUES (2, chr(255), ARRAY[chr(254), NULL])'; END $$;
SELECT pg_logical_emit_message(false, chr(233), 'x');
});
is($node->safe_psql('ascii',
		q{SELECT string_agg(c->>'type', ' ') FROM jsonb_array_elements(cdc.table_schema('t')->'columns') c}),
	'INT32 BYTES BYTES NUMERIC', 'SQL_ASCII: text is BYTES');
my @ascii = batches(my $ascii = receive($node, 'bytes_ascii', db => 'ascii', options => { messages => '*' }));
is(scalar @ascii, 3, 'SQL_ASCII: three batches');
foreach my $batch (@ascii)
{
	unlike(protoc('cdc.v1.Batch', $batch, "$proto/cdc/v1/cdc.proto"), qr/^protoc/, 'SQL_ASCII: a valid Batch');
	unlike(protoc('cdc.v1.Table', $_, "$proto/cdc/v1/cdc.proto"), qr/^protoc/, 'SQL_ASCII: a valid Table')
	  foreach map { field(2, $_) } field(6, $batch);
}
my ($event) = field(7, $ascii[0]);
is(unpack('H*', join '', map { $_->[1] } grep { $_->[0] == 2 } fields(field(7, $event))), 'e978',
	'SQL_ASCII: the bytes are as they were');
my @json = receive_json($node, 'json_ascii', db => 'ascii', options => { messages => '*' });
like($json[0], qr/"v":"\\\\xe978","c":"\\\\x706c61696e"/, 'SQL_ASCII: as JSON');
like($json[1], qr/"a":\["\\\\xfe",null\]/, 'SQL_ASCII: an array of text');
is(scalar @json, 3, 'SQL_ASCII: every event as JSON');
is_up($node, 'the server lives');

$node->stop;
done_testing();
