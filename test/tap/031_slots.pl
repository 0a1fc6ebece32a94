# Slots beside clients that do not let go, transactions that take long, and lost ones.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', conf => "max_prepared_transactions = 5\nwal_sender_timeout = 0\n");
my $connstr = $node->connstr('postgres');

sub sql { return $node->safe_psql('postgres', @_) }
sub psql { my ($rc, $out, $err) = $node->psql('postgres', @_); return ($rc, $err) }

sql('CREATE TABLE t (id int PRIMARY KEY, v text)');

# Clients that connect again at once.
slot($node, 's');
my $stop = write_file('go_on', '');
my @again = map { IPC::Run::start([ 'sh', '-c', q{while [ -e "$1" ]; do pg_recvlogical -d "$2" -S s --start --no-loop -f /dev/null; done},
		'sh', $stop, $connstr ], '>', \my $out, '2>', \my $err) } 1 .. 3;
wait_active($node, 's', 'true');
my $begin = time;
my ($rc, $err) = psql(q{SELECT cdc.drop_slot('s', force => true)});
is($rc, 0, 'dropped beside clients that connect again at once') or diag $err;
is(sql('SELECT count(*) FROM cdc.slots'), '0', 'it is gone');
cmp_ok(time - $begin, '<', 10, 'in time');
unlink $stop;
$_->finish foreach @again;

# One that does not read: its walsender is in the middle of a message.
slot($node, 's');
sql(q{INSERT INTO t SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 5000) g});
my $hung = IPC::Run::start([ 'pg_recvlogical', '-d', $connstr, '-S', 's', '--start', '--no-loop', '-f', '-' ], '>', \my $read, '2>', \my $message);
wait_active($node, 's', 'true');
$hung->signal('STOP');
ok(eventually(sub { sql(q{SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'walsender'}) =~ /WalSenderWriteData|ClientWrite/ }), 'it waits for the client');
$begin = time;
($rc, $err) = psql(q{SELECT cdc.drop_slot('s', force => true)});
is($rc, 0, 'dropped beside a client that does not read') or diag $err;
cmp_ok(time - $begin, '<', 11, 'in time');
$hung->signal('KILL');
eval { $hung->finish };

# A temporary one of the session's own is nobody else's.
($rc, $err) = psql(q{SELECT cdc.create_slot('own', temporary => true); SELECT cdc.drop_slot('own'); SELECT cdc.create_slot('own', temporary => true); SELECT cdc.drop_slot('own', force => true)});
is($rc, 0, 'of its own session') or diag $err;

# It is cancelled at once.
slot($node, 's');
my $reader = IPC::Run::start([ 'pg_recvlogical', '-d', $connstr, '-S', 's', '--start', '--no-loop', '-f', '/dev/null' ], '2>', \my $ignored);
wait_active($node, 's', 'true');
sql('CREATE ROLE replicator LOGIN REPLICATION; GRANT USAGE ON SCHEMA cdc TO replicator; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO replicator');
{
	local $ENV{PGUSER} = 'replicator';
	($rc, $err) = psql(q{SELECT cdc.drop_slot('s', force => true)});
	like($err, qr/must be a superuser to terminate superuser process|permission denied to terminate process/, 'who may not end it is told');
}
$reader->signal('INT');
$reader->finish;

# Beside transactions that are running.
sub creating
{
	my ($name) = @_;
	my $err = '';
	return (IPC::Run::start([ 'psql', '-XAt', '-d', $connstr, '-c', "SELECT slot_name FROM cdc.create_slot('$name')" ], '>', \my $out, '2>', \$err), \$err);
}
($rc, $err) = psql(q{SELECT cdc.create_slot('nothing_runs')});
unlike($err, qr/NOTICE/, 'no notice where nothing is running');
my $long = $node->background_psql('postgres');
my $pid = $long->query_safe('BEGIN; SELECT pg_backend_pid(); INSERT INTO t VALUES (-1)');
sql(q{BEGIN; INSERT INTO t VALUES (-2); PREPARE TRANSACTION 'it''s prepared'});
my ($creator, $notice) = creating('waits');
ok(eventually(sub { $creator->pump_nb; $$notice =~ /HINT/ }), 'a notice while it waits');
like($$notice, qr/NOTICE:  slot "waits" is made when transactions have ended that are running/, 'which says so');
like($$notice, qr/DETAIL:  Those that have written something: .*process $pid \(for 00:00:\d\d\)/, 'with the process, and for how long');
like($$notice, qr/prepared transaction 'it''s prepared' \(for 00:00:\d\d\)/, 'and the prepared one');
$long->query_safe('COMMIT');
sql(q{COMMIT PREPARED 'it''s prepared'});
$creator->finish;
is(sql(q{SELECT count(*) FROM cdc.slots WHERE slot_name = 'waits'}), '1', 'then it is made');
# who may not see when a transaction began
{
	$long->query_safe('BEGIN; INSERT INTO t VALUES (-3)');
	local $ENV{PGUSER} = 'replicator';
	($creator, $notice) = creating('waits_too');
	ok(eventually(sub { $creator->pump_nb; $$notice =~ /DETAIL.*process $pid\./ }), 'a role that may not see more is told the process');
	$long->query_safe('COMMIT');
	$creator->finish;
}
# short ones are not worth a notice
$long->query_safe('BEGIN; INSERT INTO t VALUES (-4)');
($creator, $notice) = creating('short');
$long->query_safe('COMMIT');
$creator->finish;
is($$notice, '', 'no notice for what ends soon');
$long->quit;

# What cdc.slots says of it, and of what VACUUM keeps.
is(sql(q{SELECT catalog_xmin IS NOT NULL, catalog_xmin_age > 0, temporary, synced FROM cdc.slots WHERE slot_name = 'waits'}), 't|t|f|f', 'cdc.slots');

# A slot that is lost.
sql(q{SELECT cdc.create_slot('lost', reader => 'replicator'); SELECT cdc.drop_slot(slot_name) FROM cdc.slots WHERE slot_name <> 'lost'});
$node->append_conf('postgresql.conf', "max_slot_wal_keep_size = 1MB\nmin_wal_size = 2MB\nmax_wal_size = 32MB\n");
$node->reload;
ok(eventually(sub { sql(q{INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(100000, 120000) g; DELETE FROM t WHERE id >= 100000; SELECT pg_switch_wal()}); sql('CHECKPOINT');
		sql(q{SELECT wal_status FROM cdc.slots}) eq 'lost' }), 'lost');
isnt(sql(q{SELECT invalidation FROM cdc.slots}), '', 'and why');
foreach my $call (q{cdc.fetch('lost')}, q{cdc.fetch('lost', confirmed_lsn => '0/1')}, q{cdc.peek('lost')}, q{cdc.read('lost')})
{
	(undef, $err) = psql("SELECT * FROM $call");
	like($err, qr/replication slot "lost" is lost: the server has removed what it would need.*HINT:  Drop it, make it anew/s, $call);
}
is(sql(q{SELECT cdc.drop_slot('lost')}), '', 'dropped');

is_up($node, 'the server lives');
$node->stop;
done_testing();
