# Every message has its position: a client that is to stop at one stops there, also in
# the middle of a large transaction.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\n");

$node->safe_psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY, v text)');

# Reads up to a position, and no further; returns the bytes.
sub read_upto
{
	my ($slot, $upto, @options) = @_;
	my $file = write_file("out_$slot", '');
	my $err = '';
	IPC::Run::run([ 'pg_recvlogical', '-S', $slot, '-d', $node->connstr('postgres'), '--start', '-E', $upto,
			'-f', $file, '--no-loop', '-F', '0', '-s', '1', map { ('-o', $_) } @options ], '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)) or die $err;
	return slurp_file($file);
}

foreach my $case (
	[ 'in parts', 'plain' ],
	[ 'streamed', 'streamed', 'streaming=on' ],
	[ 'as JSON', 'json', 'format=json' ])
{
	my ($name, $slot, @options) = @$case;
	slot($node, $slot);
	$node->safe_psql('postgres', "TRUNCATE t; INSERT INTO t VALUES (0, 'first')");
	my $upto = end_of_wal($node);
	$node->safe_psql('postgres', q{INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g; INSERT INTO t VALUES (-1, 'last')});
	end_of_wal($node);
	my $bytes = read_upto($slot, $upto, @options);
	cmp_ok(length $bytes, '>', 0, "$name: what lies before the position is read");
	cmp_ok(length $bytes, '<', 10000, 'and not what lies behind');
	my $rest = read_upto($slot, end_of_wal($node), @options);
	cmp_ok(length $rest, '>', 2000000, 'which is read later');
	if ($slot eq 'plain')
	{
		my $lines = join "\n", decode($node, $rest);
		is(scalar(() = $lines =~ /"op":"INSERT"/g), 20001, 'all of it');
	}
}

# A message that belongs to a part says where it is, before the end of the transaction.
slot($node, 'sql');
$node->safe_psql('postgres', q{INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(100001, 105000) g});
is($node->safe_psql('postgres', q{
	SELECT count(*) > 5 AND bool_and(lsn > '0/0') AND max(lsn) = (array_agg(lsn ORDER BY n DESC))[1]
	FROM pg_logical_slot_peek_binary_changes('sql', NULL, NULL) WITH ORDINALITY p(lsn, xid, data, n)}), 't', 'positions grow');

is_up($node, 'the server lives');
$node->stop;
done_testing();
