# A consumer that is cut off and a server that stops at once: what comes then
# has no gap, and what comes again is the same to the byte.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "checkpoint_timeout = 1h\n");

$node->safe_psql('postgres', 'CREATE TABLE t (id bigserial PRIMARY KEY, v text)');
slot($node, $_) for qw(torn whole);

# Small parts, each with its schemas, so that every piece can be read alone.
my %options = (batch_bytes => '1kB', schemas => 'batch');

sub write_rows
{
	$node->safe_psql('postgres', q{
INSERT INTO t (v) SELECT 'small ' || g FROM generate_series(1, 3) g;
UPDATE t SET v = v || '!' WHERE id IN (SELECT max(id) FROM t);
INSERT INTO t (v) SELECT repeat('big ', 10) || g FROM generate_series(1, 15000) g;
DELETE FROM t WHERE id IN (SELECT max(id) FROM t);
INSERT INTO t (v) VALUES ('last');
});
}

# Reads the slot by a pipe that is not emptied, which holds the server up in
# the middle of the large transaction; then ends it by the code given. Returns
# all that the client wrote.
sub receive_torn
{
	my ($end) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'pg_recvlogical', '-S', 'torn', '-d', $node->connstr('postgres'), '--start', '-f', '-',
		  '-s', '1', '--no-loop', map { ('-o', "$_=$options{$_}") } sort keys %options ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	$client->pump until length $out > 100_000;
	$end->($client);
	eval { $client->finish };
	# the client was ended: the last part may be cut
	return $out;
}

# The bytes up to the last batch that is whole.
sub whole_batches
{
	my ($bytes) = @_;
	for (my $cut = length $bytes; $cut > 0; $cut = rindex($bytes, "\n", $cut - 2) + 1)
	{
		my $piece = substr $bytes, 0, $cut;
		return $piece if $piece =~ /\n\z/ && eval { batches($piece); 1 };
	}
	return '';
}

my @pieces;
write_rows();
push @pieces, receive_torn(sub { $_[0]->signal('KILL') });
wait_active($node, 'torn', 'false');
push @pieces, receive_torn(sub { $node->stop('immediate') });
$node->start;
write_rows();
push @pieces, receive_torn(sub
{
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'torn'});
});
wait_active($node, 'torn', 'false');
# written, and lost from memory before anybody read it
write_rows();
$node->stop('immediate');
$node->start;
push @pieces, receive($node, 'torn', options => \%options);

my @whole = receive_json($node, 'whole', outcomes => 1);
my @events = grep { /^\{"position"/ } @whole;
is(scalar @events, 3 * (3 + 1 + 15000 + 1 + 1), 'the other slot has every change');
my %expected = map { /^\{"position":"([^"]+)"/ => $_ } @events;
is(scalar keys %expected, scalar @events, 'positions are unique');

my (%got, $again, $other);
$again = $other = 0;
foreach my $i (0 .. $#pieces)
{
	my $piece = whole_batches($pieces[$i]);
	ok(length $piece > 10_000, "piece $i has something: " . length $piece);
	foreach (decode($node, $piece))
	{
		my ($position) = /^\{"position":"([^"]+)"/ or next;
		$again++ if $got{$position}++;
		$other++ if ($expected{$position} // '') ne $_;
	}
}
is(scalar(grep { !$got{$_} } keys %expected), 0, 'no change is lost');
is(scalar(grep { !$expected{$_} } keys %got), 0, 'no change is invented');
ok($again > 100, "changes came again: $again");
is($other, 0, 'and were the same then');

# What was confirmed does not come again.
my $confirmed = $node->safe_psql('postgres', q{SELECT confirmed_flush_lsn FROM cdc.slots WHERE slot_name = 'torn'});
$node->safe_psql('postgres', q{INSERT INTO t (v) VALUES ('after')});
my @after = receive_json($node, 'torn');
is(scalar @after, 1, 'only what is new comes after all is confirmed');
like($after[0], qr/"v":"after"/, 'which is this');
is($node->safe_psql('postgres', qq{SELECT confirmed_flush_lsn > '$confirmed' FROM cdc.slots WHERE slot_name = 'torn'}),
	't', 'and the slot moved on');

$node->stop;
done_testing();
