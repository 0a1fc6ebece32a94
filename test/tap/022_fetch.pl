# cdc.fetch(): a stream over ordinary connections, by a role without REPLICATION and
# without SELECT, is what a walsender sends; through restarts, waits and errors.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\nmax_prepared_transactions = 5\n");

sub sql { return $node->safe_psql('postgres', @_) }

# The consumer. Every call is a connection of its own: there is nothing to keep.
sub consumer
{
	my ($statement) = @_;
	my ($out, $err);
	my $rc = $node->psql('postgres', $statement, stdout => \$out, stderr => \$err, extra_params => [ '-U', 'consumer', '-At' ]);
	return wantarray ? ($out, $err, $rc) : $out;
}

sub quoted { return defined $_[0] ? "'$_[0]'" : 'NULL' }

# One call: the batches in hexadecimal, and the position at the end.
sub fetch
{
	my ($slot, $confirmed, %params) = @_;
	my $given = join ', ', quoted($slot), 'confirmed_lsn => ' . quoted($confirmed), map { "$_ => '$params{$_}'" } sort keys %params;
	my ($out, $err, $rc) = consumer("SELECT coalesce(encode(data, 'hex'), lsn::text) FROM cdc.fetch($given)");
	die "fetch($given): $err" if $rc != 0;
	my @rows = split /\n/, $out;
	return (pop @rows, @rows);
}

# Calls until there is no more. Returns all batches, and the last position.
sub fetch_all
{
	my ($slot, $confirmed, %params) = @_;
	my @batches;
	while (1)
	{
		my ($end, @rows) = fetch($slot, $confirmed, %params);
		$confirmed = $end;
		return ($confirmed, @batches) if !@rows;
		push @batches, @rows;
	}
}

# The JSON form of batches in hexadecimal, and of what a walsender sends of a slot.
sub pulled { return join "\n", decode($node, pack 'H*', join '', @_) }
sub pushed { return join "\n", decode($node, receive($node, 'push')) }

sql(q{CREATE ROLE consumer LOGIN; GRANT USAGE ON SCHEMA cdc TO consumer; GRANT EXECUTE ON FUNCTION cdc.fetch TO consumer;
CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE secret (v text);
SELECT cdc.grant_read('t', 'consumer')});
# options that do not go with it are not in its way
sql(q{SELECT cdc.create_slot('pull', two_phase => true, options => '{two_phase,on,streaming,on}', reader => 'consumer')});
sql(q{SELECT cdc.create_slot('push', two_phase => true, options => '{two_phase,on,exclude_tables,public.secret}')});
my $started = sql(q{SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'pull'});

my $n = 0;
sub workload
{
	my $from = $n;
	my $script = '';
	$script .= "INSERT INTO t (id, v) VALUES ($_, 'v$_'); INSERT INTO secret VALUES ('hidden'); UPDATE t SET v = repeat('x', $_ % 500) WHERE id = $_;\n" for $from + 1 .. $from + 50;
	$script .= "INSERT INTO t (id, v) SELECT g, 'large' FROM generate_series($from + 100, $from + 8000) g;\n";
	$script .= "ALTER TABLE t ADD c$from int DEFAULT $from; INSERT INTO t (id, v) VALUES ($from + 60, 'with another column');\n";
	$script .= "BEGIN; DELETE FROM t WHERE id < $from + 20; PREPARE TRANSACTION 'p$from'; COMMIT PREPARED 'p$from';\n";
	$script .= "BEGIN; DELETE FROM t; ROLLBACK; BEGIN; INSERT INTO t (id) VALUES ($from + 70); SAVEPOINT s; INSERT INTO t (id) VALUES ($from + 71); ROLLBACK TO s; COMMIT; CHECKPOINT;\n";
	sql($script);
	$n += 10000;
}

# The same as a walsender's stream, whatever the calls are cut by.
workload();
my ($at, @pulled) = fetch_all('pull', undef, max_bytes => 3000);
my $walsender = pushed();
is(pulled(@pulled), $walsender, 'what a walsender sends');
cmp_ok(scalar(@pulled), '>', 50, scalar(@pulled) . ' batches');
like($walsender, qr/with another column/, 'rows after ALTER TABLE');
unlike($walsender, qr/hidden/, 'not what the role may not be sent');

# Nothing was confirmed but what the calls said: the last call can be repeated.
workload();
my ($end, @first) = fetch('pull', $at, max_bytes => 1);
my ($again, @second) = fetch('pull', $at, max_bytes => 1);
is("@second", "@first", 'a call that is repeated gives the same');
is($again, $end, 'and ends there');
my ($later, @third) = fetch('pull', $at, start_lsn => $end, max_bytes => 1);
isnt("@third", "@first", 'start_lsn goes on without confirming');
is(sql(q{SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pull'}), $at, 'the slot stands where it was confirmed');

# The server dies: the slot is at or before what was confirmed, so nothing is lost.
$node->stop('immediate');
$node->start;
my ($last, @rest) = fetch_all('pull', undef, max_bytes => 1 << 20, start_lsn => $at);
is(pulled(@rest), pushed(), 'after a crash all of it');
fetch('pull', $last);

# WAL is given back.
sub restart_lsn { return sql(q{SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'pull'}) }
ok(eventually(sub { sql('CHECKPOINT'); my ($e) = fetch('pull', undef); fetch('pull', $e); return sql("SELECT '" . restart_lsn() . "'::pg_lsn > '$last'::pg_lsn - 1000000") eq 't' }),
	'restart_lsn follows: from ' . $started . ' to ' . restart_lsn());

# Waiting for something to come.
my $begin = time;
my ($idle, @none) = fetch('pull', undef, timeout => '1.5 s');
cmp_ok(time - $begin, '>=', 1.4, 'with nothing to send it waits');
is(scalar(@none), 0, 'and returns without');
my $waiting = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres') . ' user=consumer', '-c', "SELECT count(data) FROM cdc.fetch('pull', timeout => '60 s')" ], '>', \my $waited);
ok(eventually(sub { sql(q{SELECT active FROM pg_replication_slots WHERE slot_name = 'pull'}) eq 't' }), 'it waits');
my (undef, $busy) = consumer("SELECT * FROM cdc.fetch('pull')");
like($busy, qr/is active for PID/, 'another call meanwhile is an error');
sql(q{INSERT INTO secret VALUES ('hidden')});
$begin = time;
sql(q{INSERT INTO t (id, v) VALUES (-1, 'wakes it')});
$waiting->finish;
is($waited, "1\n", 'what it waited for');
cmp_ok(time - $begin, '<', 30, 'at once');
# it can be cancelled, and the slot is free then
$waiting = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres') . ' user=consumer', '-c', "SELECT count(data) FROM cdc.fetch('pull', start_lsn => pg_current_wal_flush_lsn(), timeout => '60 s')" ], '>', \$waited, '2>', \my $cancelled);
ok(eventually(sub { sql(q{SELECT count(pg_cancel_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = 'pull' AND active}) > 0 }), 'cancelled');
$waiting->finish;
like($cancelled, qr/canceling statement/, 'it ends');
is(sql(q{SELECT active FROM pg_replication_slots WHERE slot_name = 'pull'}), 'f', 'the slot is free');

# In one session: an error that is caught keeps nothing, and catalogs are those of now.
my ($out, $err) = consumer(q{
DO $$ BEGIN PERFORM cdc.fetch('pull', confirmed_lsn => '0/1'); EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'caught'; END $$;
SELECT count(data) FROM cdc.fetch('pull');
SELECT cdc.fetch('pull', confirmed_lsn => 'FFFFFFFF/0')});
like($err, qr/caught/, 'before the slot');
like($out, qr/^1$/m, 'the slot can be read again');
like($err, qr/beyond .* the end of the WAL/, 'beyond the WAL');
sql(q{ALTER TABLE t ADD late text DEFAULT 'late'});
is(sql(q{SELECT count(data) > 0 FROM cdc.fetch('pull'); SELECT late FROM t WHERE id = -1; SELECT count(data) > 0 FROM cdc.fetch('pull')}), "t\nlate\nt", 'a session that fetches sees its tables as they are');

# Rows of a transaction that is larger than any buffer; what is given up half-way.
sql(q{BEGIN; INSERT INTO t (id, v) SELECT g, repeat('x', 1000) FROM generate_series(1000000, 1060000) g; DELETE FROM t WHERE id >= 1000000; COMMIT});
my $count = consumer(q{SELECT count(data) || ' ' || sum(length(data)) / 1000000 FROM cdc.fetch('pull', max_bytes => 1)});
my ($skipped) = fetch('pull', undef, max_bytes => 1);
like(consumer(qq{SELECT count(data) || ' ' || sum(length(data)) / 1000000 FROM cdc.fetch('pull', confirmed_lsn => '$skipped', max_bytes => 100000000)}), qr/^\d{3,} [67]\d$/, 'a large transaction comes whole');

is_up($node, 'the server lives');
$node->stop;
done_testing();
