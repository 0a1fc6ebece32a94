# A file of pg_recvlogical, its last newline moved to the front, is a Stream:
# plain protoc reads it, and knows every field.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

$node->safe_psql('postgres', q{
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(12,2), at timestamptz, note text);
CREATE TABLE history (id int, v text);
ALTER TABLE history REPLICA IDENTITY FULL;
});
slot($node, 's');
$node->safe_psql('postgres', q{
INSERT INTO orders SELECT g, 'customer ' || g % 10, g * 1.25, now(), NULLIF(g % 3, 0) FROM generate_series(1, 100000) g;
BEGIN;
SELECT cdc.set_metadata('user', 'anna'), cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
INSERT INTO history VALUES (1, E'line\none'), (2, NULL);
UPDATE history SET v = NULL WHERE id = 1;
UPDATE history SET v = 'x' WHERE id = 2;
DELETE FROM history WHERE id = 1;
COMMIT;
ALTER TABLE orders ADD COLUMN paid bool NOT NULL DEFAULT false;
UPDATE orders SET id = -id, note = NULL WHERE id <= 10;
ALTER TABLE orders ALTER COLUMN note TYPE varchar(20);
SELECT pg_logical_emit_message(false, 'app', 'x'), pg_logical_emit_message(true, 'app', E'\n');
TRUNCATE orders, history RESTART IDENTITY;
});

my $bytes = receive($node, 's', options => { messages => '*' });
is(substr($bytes, -1), "\n", 'a newline ends the file');
my $stream = write_file('stream.pb', "\n" . substr($bytes, 0, -1));

# What protoc shows of a message; dies when it does not read it.
sub protoc
{
	my ($message, $file) = @_;
	my ($out, $err);
	my $proto = "$FindBin::Bin/../../proto";
	my $ok = IPC::Run::run([ 'protoc', "--decode=cdc.v1.$message", "-I$proto", "$proto/cdc/v1/cdc.proto" ],
		'<', $file, '>', \$out, '2>', \$err);
	return ($ok, $out, $err);
}

my ($ok, $text, $err) = protoc('Stream', $stream);
ok($ok, 'protoc reads the file') or diag($err);
my %ops;
$ops{$1}++ while $text =~ /^    op: OP_(\w+)$/mg;
is_deeply(\%ops, { INSERT => 100_002, UPDATE => 12, DELETE => 1, REWRITE => 100_000, MESSAGE => 2, TRUNCATE => 2 },
	'events of each kind');
is(scalar(() = $text =~ /^ *\d+[:{ ]/mg), 0, 'no field is unknown');
is(scalar(() = $text =~ /^batches \{$/mg), scalar(batches($bytes)), 'as many batches as the file has');
like($text, qr/key: "user"\n\s+value: "anna"/, 'metadata');

# Every schema is a Table without unknown fields.
my $tables = 0;
foreach my $batch (batches($bytes))
{
	foreach my $schema (grep { $_->[0] == 6 } fields($batch))
	{
		my ($table) = map { $_->[1] } grep { $_->[0] == 2 } fields($schema->[1]);
		my ($ok, $out) = protoc('Table', write_file('table.pb', $table));
		$tables++ if $ok && $out =~ /^name: "(orders|history)"$/m && $out !~ /^ *\d+[:{ ]/m;
	}
}
# orders thrice: as made, with a default for older rows, without it as rewritten
is($tables, 4, 'schemas: two tables, a column more, a type and the rewritten rows');

# The test can see what it is for: an unknown field, and a cut file.
($ok, $text) = protoc('Stream', write_file('unknown.pb', "\n\x03\xf8\x07\x01"));
like($text, qr/^ *127: 1$/m, 'an unknown field would show');
($ok) = protoc('Stream', write_file('cut.pb', "\n" . substr($bytes, 0, length($bytes) - 3)));
ok(!$ok, 'a cut file is an error');

$node->stop;
done_testing();
