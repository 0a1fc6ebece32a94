# What sends nothing still moves on: transactions that are empty, or have only
# changes that are never sent, and long ones of that kind.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\n");

$node->safe_psql('postgres', q{
CREATE TABLE t (id int PRIMARY KEY);
CREATE UNLOGGED TABLE unlogged (id int);
CREATE MATERIALIZED VIEW mv AS SELECT g AS id FROM generate_series(1, 1000) g;
CREATE UNIQUE INDEX ON mv (id);
CREATE MATERIALIZED VIEW large AS SELECT g AS id FROM generate_series(1, 1500000) g WITH NO DATA;
});
slot($node, 's');
my $file = write_file('out', '');

# A client that says something only when it is asked.
sub start_client
{
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'pg_recvlogical', '-S', 's', '-d', $node->connstr('postgres'), '--start', '-f', $file,
		  '--no-loop', @_ ], '<', \$in, '>', \$out, '2>', \$err);
	wait_active($node, 's', 'true');
	return $client;
}

sub walsender
{
	return $node->safe_psql('postgres', q{SELECT active_pid FROM pg_replication_slots WHERE slot_name = 's'});
}

my $client = start_client('-s', '1', '-F', '1');
foreach my $case (
	[ 'empty transactions', q{BEGIN; SELECT txid_current(); COMMIT; BEGIN; SAVEPOINT a; ROLLBACK} ],
	[ 'catalogs only', q{CREATE TABLE c (a int); ALTER TABLE c ADD b text; DROP TABLE c} ],
	[ 'unlogged tables', q{INSERT INTO unlogged SELECT generate_series(1, 1000)} ],
	[ 'materialized views', q{REFRESH MATERIALIZED VIEW mv; REFRESH MATERIALIZED VIEW CONCURRENTLY mv} ],
	[ 'messages that are not wanted', q{SELECT pg_logical_emit_message(true, 'x', 'y'), pg_logical_emit_message(false, 'x', 'y')} ],
	[ 'metadata without changes', q{SELECT cdc.set_metadata('k', 'v')} ],
	[ 'rolled back', q{BEGIN; INSERT INTO t VALUES (1); ROLLBACK} ])
{
	my ($name, $sql) = @$case;
	$node->safe_psql('postgres', $sql);
	my $lsn = end_of_wal($node);
	ok($node->poll_query_until('postgres',
			qq{SELECT confirmed_flush_lsn >= '$lsn' FROM cdc.slots WHERE slot_name = 's'}),
		"$name: the client may confirm");
}
is(-s $file, 0, 'nothing was sent');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
ok(eventually(sub { -s $file }), 'until there was something');
my $lsn = end_of_wal($node);
$node->poll_query_until('postgres', qq{SELECT confirmed_flush_lsn >= '$lsn' FROM cdc.slots}) or die;
$client->signal('INT');
$client->finish;
wait_active($node, 's', 'false');
my $sent = -s $file;

# A transaction that takes longer than wal_sender_timeout to pass over. The
# server ends a connection from which it has not heard for so long, and asks
# only if the plugin lets it. Whether the connection is alive then.
sub survives
{
	my ($statement, $times) = @_;
	my $logged = -s $node->logfile;

	$node->append_conf('postgresql.conf', 'wal_sender_timeout = ' . 500 * $times . "ms\n");
	$node->reload;
	$node->safe_psql('postgres', join('; ', 'BEGIN', ($statement) x $times, 'COMMIT'));
	$lsn = end_of_wal($node);
	$client = start_client('-s', '0', '-F', '1');
	my $pid = walsender();
	my $ended = $node->poll_query_until('postgres',
		qq{SELECT confirmed_flush_lsn >= '$lsn' OR NOT active FROM cdc.slots WHERE slot_name = 's'});
	return 1 if $ended && walsender() eq $pid && slurp_file($node->logfile, $logged) !~ /replication timeout/;
	$client->signal('INT');
	$client->finish;
	wait_active($node, 's', 'false');
	return 0;
}

# On a busy machine an answer can take as long as the timeout: both grow with the transaction.
sub passes_over
{
	my ($what, $statement) = @_;
	ok(survives($statement, 1) || survives($statement, 4) || survives($statement, 12),
		"$what: a long transaction is passed over, and the connection is alive");
}
passes_over('rows', 'REFRESH MATERIALIZED VIEW large');
$client->signal('INT');
$client->finish;
wait_active($node, 's', 'false');
passes_over('commands', q{SET LOCAL cdc.track_schema = on;
DO $$ BEGIN FOR i IN 1 .. 1500 LOOP EXECUTE 'ALTER TABLE t SET (fillfactor = ' || 50 + i % 50 || ')'; END LOOP; END $$});
is(-s $file, $sent, 'nothing was sent');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
ok(eventually(sub { -s $file > $sent }), 'until there was something');
$client->signal('INT');
$client->finish;

$node->stop;
done_testing();
