# Decoding runs ahead of what is visible: with a synchronous standby that is away a commit is in
# the stream, while its transaction counts as one in progress still. Versions that it has made
# count for its own rows, those of rewrites among them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $dir = $PostgreSQL::Test::Utils::tmp_check;
# for who must not wait
$ENV{PGOPTIONS} = '-c synchronous_commit=local';

sub sql { return $node->safe_psql('postgres', @_) }

# The batches that have come up to now, of what a consumer is still writing.
sub so_far { return slurp_file($_[0]) =~ s/(?<!\n)\z/\n/r }

# Begins a transaction that will not come back from its COMMIT.
sub hanging
{
	my ($commands) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=on -c client_min_messages=error';
	my $before = sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'});
	my $session = IPC::Run::start([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $commands ], '>', \my $out, '2>', \my $err);
	ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) > $before }), 'a transaction waits for the standby');
	return $session;
}

sql(q{CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE late (id int PRIMARY KEY); INSERT INTO t VALUES (1, 1); SELECT cdc.register('t')});
slot($node, $_) for qw(live before peeked);
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'live', '--start', '--no-loop', '-f', "$dir/in_progress_live", '-F', '0', '-s', '1' ]);
wait_active($node, 'live', 'true');
sql('INSERT INTO t VALUES (2, 2); INSERT INTO late VALUES (1)');
ok(eventually(sub { -s "$dir/in_progress_live" && schema_versions(so_far("$dir/in_progress_live")) eq 't 1, late 0' }), 'a consumer is there') or diag schema_versions(so_far("$dir/in_progress_live"));
sql(q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
ok(eventually(sub { sql('SHOW synchronous_standby_names') eq 'nobody' }), 'the standby is away');

my @sessions = hanging(q{BEGIN; ALTER TABLE t ALTER v TYPE bigint; INSERT INTO t VALUES (3, 3); SELECT cdc.register('late'); INSERT INTO late VALUES (2); COMMIT});
my $wanted = 't 1, late 0, t 2, late 1';
ok(eventually(sub { schema_versions(so_far("$dir/in_progress_live")) eq $wanted }), 'rows of a rewrite, of the transaction, and of a table that it has registered') or diag schema_versions(so_far("$dir/in_progress_live"));
is(sql(q{SELECT count(*) FROM cdc.registered_table}), 1, 'which nobody else sees yet');
is(schema_versions(receive($node, 'before')), 't 1, late 1, t 2', 'another consumer, who meets all of it at once');
push @sessions, hanging(q{BEGIN; CREATE TABLE more (id int PRIMARY KEY); SELECT cdc.register('more'); INSERT INTO more VALUES (1); ALTER TABLE more ADD w int; INSERT INTO more VALUES (2, 2); ALTER TABLE more DROP w; COMMIT});
my $peeked = join '', map { pack('H*', $_) . "\n" } split /\n/, sql(q{SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('peeked', NULL, NULL, 'tables', 'public.more')});
is(schema_versions($peeked), 'more 1, more 1', 'in SQL, too');

sql(q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
$_->finish for @sessions;
is($_->result(0), 0, 'and its client hears of it') for @sessions;
is(sql(q{SELECT string_agg(relation || ' ' || major, ', ' ORDER BY relation::text) FROM cdc.schema_versions WHERE current}), 'late 1, more 1, t 2', 'as the registry has them');

# a removal counts when it is committed
sql(q{SELECT cdc.unregister('late'); INSERT INTO late VALUES (4)});
ok(eventually(sub { schema_versions(so_far("$dir/in_progress_live")) =~ /late 0$/ }), 'what is removed is told no more') or diag schema_versions(so_far("$dir/in_progress_live"));
$live->signal('INT');
$live->finish;

is_up($node, 'the server lives');
$node->stop;
done_testing();
