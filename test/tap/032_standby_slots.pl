# cdc.fetch() sends nothing that synchronized_standby_slots do not have, or a failover would
# lose what the consumer has: neither what there is when it begins, nor what comes
# while it waits.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main');
if ($node->safe_psql('postgres', q{SELECT current_setting('server_version_num')::int < 170000}) eq 't')
{
	$node->stop;
	plan skip_all => 'no failover slots before PostgreSQL 17';
}

sub sql { return $node->safe_psql('postgres', @_) }

sql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('standby')});
$node->backup('base');
$node->append_conf('postgresql.conf', "synchronized_standby_slots = 'standby'\n");
$node->reload;
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'\n");
$standby->start;
$node->wait_for_catchup($standby);
sql(q{SELECT cdc.create_slot('f', failover => true), cdc.create_slot('n')});

# Returns how many batches came, and in which time.
sub fetch
{
	my ($slot, $timeout) = @_;
	my $begin = time;
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT count(data) FROM cdc.fetch('$slot', timeout => '$timeout')");
	die $err if $rc != 0;
	return ($out, time - $begin, $err);
}

# Confirms what there is.
sub confirm { sql("SELECT count(*) FROM cdc.fetch('$_[0]', confirmed_lsn => (SELECT max(lsn) FROM cdc.fetch('$_[0]', timeout => '30 s')))") }

sql('INSERT INTO t VALUES (1)');
is((fetch('f', '30 s'))[0], '1', 'what the standby has');
confirm('f');
is((fetch('f', '0'))[0], '0', 'is confirmed');

# A standby that is away.
$standby->stop;
sql('INSERT INTO t VALUES (2)');
my ($count, $took, $said) = fetch('f', '0');
is($count, '0', 'without it nothing comes');
cmp_ok($took, '<', 10, 'which is said in time');
like($said, qr/standby/, 'and why');
is((fetch('n', '0'))[0], '2', 'a slot that is not for failover does not wait');
my $waiting = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres'), '-c', "SELECT count(data) FROM cdc.fetch('f', timeout => '4 s')" ], '>', \my $waited, '2>', \my $err);
wait_active($node, 'f', 'true');
sql('INSERT INTO t VALUES (3)');
$waiting->finish;
is($waited, "0\n", 'nor what comes while it waits');

# When it is there again, so are they.
$waiting = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres'), '-c', "SELECT count(data) FROM cdc.fetch('f', timeout => '60 s')" ], '>', \$waited, '2>', \$err);
wait_active($node, 'f', 'true');
$standby->start;
$waiting->finish;
is($waited, "2\n", 'all comes when the standby has it');

# While it waits for something to be sent, the standby goes away.
confirm('f');
$waiting = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres'), '-c', "SELECT count(data) FROM cdc.fetch('f', timeout => '10 s')" ], '>', \$waited, '2>', \$err);
wait_active($node, 'f', 'true');
$standby->stop;
sql('INSERT INTO t VALUES (4)');
$waiting->finish;
is($waited, "0\n", 'what was written after the standby went is not sent');

is_up($node, 'the server lives');
$node->stop;
done_testing();
