# Options that are stored for a slot, through the walsender: a client that gives
# none gets them, also with changes to the schema in the backlog; and slots that
# were made without them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 5\nlogical_decoding_work_mem = 64kB\n");

sub sql { return $node->safe_psql('postgres', @_) }

sql('CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL; CREATE TABLE u (id int PRIMARY KEY)');
sql("SELECT cdc.create_slot('stored', options => '{tables,public.t,old,full,format,json}')");
sql("SELECT cdc.create_slot('streaming', two_phase => true, options => '{streaming,on}')");

# The backlog has other columns than there are when the slot is started: what
# startup reads must not be what decodes it.
sql(q{
INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (1);
ALTER TABLE t ADD w int DEFAULT 7;
UPDATE t SET v = 'b';
ALTER TABLE t DROP COLUMN v; ALTER TABLE t RENAME TO renamed; ALTER TABLE renamed ALTER w TYPE text;
ALTER TABLE renamed RENAME TO t;
INSERT INTO t VALUES (2, 'x')});
my @lines = grep { /^\{"position/ } split /\n/, receive($node, 'stored');
like($lines[0], qr/"relation":"public.t".*"key":\{"id":1\},"new":\{"v":"a"\}/, 'a row as it was then');
like($lines[1], qr/"old":\{"v":"a","w":7\},"new":\{"v":"b"\}/, 'old = full');
like($lines[-1], qr/"key":\{"id":2\},"new":\{"w":"x"\}/, 'and as it is now');
is(scalar(grep { /public\.u/ } @lines), 0, 'the other table is not sent');

# the client's options win, one by one
sql("UPDATE t SET w = 'y' WHERE id = 2; INSERT INTO u VALUES (2)");
@lines = grep { /^\{"position/ } split /\n/, receive($node, 'stored', options => { old => 'changed', tables => 'public.*' });
like($lines[0], qr/"old":\{"w":"x"\},"new":\{"w":"y"\}/, 'tables is replaced');
like($lines[1], qr/public\.u/, 'not added to');

# streaming and two_phase without a word of the client's
sub outcomes
{
	return join ' ', map { my %f = map { $_->[0] => $_->[1] } fields($_); $f{3} // 'part' } batches($_[0]);
}
receive($node, 'streaming');
sql(q{BEGIN; INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(100, 3000) g; PREPARE TRANSACTION 'p'});
like(outcomes(receive($node, 'streaming')), qr/^part.* 3$/, 'a large transaction is streamed and prepared');
sql("COMMIT PREPARED 'p'");
is(outcomes(receive($node, 'streaming')), '1', 'its end');
my @big = batches(do { sql(q{INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(4000, 9000) g}); receive($node, 'streaming', options => { streaming => 'off' }) });
is(scalar(grep { my ($t) = grep { $_->[0] == 1 } fields($_); !grep { $_->[0] == 3 } fields($t->[1]) } @big), 0,
	'streaming = off: the commit is known from the first part on');

# alter_slot counts from the next start on
sql("SELECT cdc.alter_slot('streaming', ARRAY['streaming', NULL, 'format', 'json'])");
sql("INSERT INTO t VALUES (10000, 'z')");
like(receive($node, 'streaming'), qr/^\{"position".*10000/, 'changed');

# a value that is not allowed (by a later version, say) is refused at the start,
# and nothing is lost
sql("SELECT cdc.put_row(ROW(slot_name, option, 'xml', set_at, set_by)::cdc.slot_option) FROM cdc.slot_option WHERE option = 'format' AND slot_name = 'stored'; INSERT INTO t VALUES (10001)");
$node->command_fails_like([ 'pg_recvlogical', '-S', 'stored', '-d', 'postgres', '--start', '--no-loop', '-f', '-', '--endpos', end_of_wal($node) ],
	qr/invalid value for cdc option "format": "xml".*cdc\.alter_slot/s, 'a wrong value that is stored');
sql("SELECT cdc.alter_slot('stored', '{format,json}')");
is(scalar(grep { /10001/ } split /\n/, receive($node, 'stored')), 1, 'and after it is put right');

# a slot that is created by the protocol, under the name of one that was dropped
# behind our back
sql("SELECT pg_drop_replication_slot('stored')");
my ($out, $err);
$node->psql('postgres', 'CREATE_REPLICATION_SLOT stored LOGICAL cdc', replication => 'database', stdout => \$out, stderr => \$err);
like($err, qr/options of an earlier slot "stored" do not count for the new one, and were removed/, 'a warning');
is(sql("SELECT options IS NULL FROM cdc.slots WHERE slot_name = 'stored'"), 't', 'they are not stored any more');
sql("SELECT cdc.alter_slot('stored', '{format,json}')");
is(sql("SELECT options FROM cdc.slots WHERE slot_name = 'stored'"), '{"format": "json"}', 'alter_slot serves such slots');
$node->psql('postgres', 'DROP_REPLICATION_SLOT stored', replication => 'database', stdout => \$out, stderr => \$err);
my $use_snapshot = 'BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; CREATE_REPLICATION_SLOT stored LOGICAL cdc USE_SNAPSHOT; SELECT count(*) FROM u; COMMIT';
$node->psql('postgres', $use_snapshot, replication => 'database', stdout => \$out, stderr => \$err);
like($err, qr/options are stored for an earlier slot "stored"/, 'with USE_SNAPSHOT nothing can be removed');
sql("SELECT cdc.create_slot('stored'); SELECT cdc.drop_slot('stored')");
$node->psql('postgres', $use_snapshot, replication => 'database', stdout => \$out, stderr => \$err);
is($err, '', 'nor is what is read in the way');
like($out, qr/^stored\|.*^2$/ms, 'and the snapshot serves');
sql("SELECT pg_drop_replication_slot('stored')");

# but pg_upgrade makes slots by SQL, and has brought the options that are theirs
sql("SELECT cdc.create_slot('brought', options => '{format,json}'); SELECT pg_drop_replication_slot('brought')");
$node->stop;
my @pg_ctl = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile);
$node->command_ok([ @pg_ctl, '-o', '-b', 'start' ], 'the server as pg_upgrade starts it');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-c', q{SELECT pg_create_logical_replication_slot('brought', 'cdc')} ], 'a slot with options');
$node->command_ok([ @pg_ctl, 'stop' ], 'and stops it');
$node->start;
is(sql("SELECT options FROM cdc.slots WHERE slot_name = 'brought'"), '{"format": "json"}', 'they are its options');
sql("SELECT cdc.drop_slot('brought')");

# two at once: the second one waits, and adds to what the first one has stored
sql("SELECT cdc.create_slot('two', options => '{old,full}'); SELECT cdc.create_slot('other'); SELECT cdc.create_slot('third', options => '{old,full}')");
my $first = $node->background_psql('postgres');
$first->query_safe(q{BEGIN; SELECT cdc.alter_slot('two', '{batch_bytes,1000}')});
my $second = $node->background_psql('postgres');
$second->query_until(qr/started/, "\\echo started\nSELECT cdc.alter_slot('two', '{schemas,batch}');\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'object'}), 'the second alter_slot() waits for the first');
# others do not (a new slot would, for every transaction that has written)
sql(q{SET lock_timeout = '10s'; SELECT cdc.alter_slot('other', '{old,full}'); SELECT cdc.drop_slot('third')});
is(sql("SELECT options FROM cdc.slots WHERE slot_name = 'other'"), '{"old": "full"}', 'others do not');
$first->query_safe('COMMIT');
$second->query_safe('SELECT 1');
is(sql("SELECT options FROM cdc.slots WHERE slot_name = 'two'"), '{"old": "full", "schemas": "batch", "batch_bytes": "1000"}', 'both have stored theirs');
$_->quit for $first, $second;
# what is stored for a name is not removed while another one of that name comes
sql("SELECT pg_drop_replication_slot('two')");
my $maker = $node->background_psql('postgres');
$maker->query_safe(q{BEGIN; SELECT cdc.create_slot('two', options => '{old,changed}')});
sql(q{SET lock_timeout = '10s'; SELECT cdc.alter_slot('other', '{old,changed}')});
$maker->query_safe('COMMIT');
$maker->quit;
is(sql("SELECT options FROM cdc.slots WHERE slot_name = 'two'"), '{"old": "changed"}', 'the options of the new slot');
sql("SELECT cdc.drop_slot(s) FROM unnest('{two,other}'::name[]) s");

# in a database without the extension a slot can be made, but not started
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('bare', "SELECT pg_create_logical_replication_slot('bare', 'cdc')");
$node->psql('bare', 'CREATE_REPLICATION_SLOT bare2 LOGICAL cdc', replication => 'database', stdout => \$out, stderr => \$err);
is($err, '', 'a slot without the extension');
$node->command_fails_like([ 'pg_recvlogical', '-S', 'bare', '-d', 'bare', '--start', '--no-loop', '-f', '-' ],
	qr/extension "cdc" is not installed in database "bare"/, 'which must be there to read');

# the extension's table in a publication, and changes to it
sql("CREATE PUBLICATION everything FOR ALL TABLES; SELECT cdc.create_slot('all', options => '{publication_names,everything}')");
sql("SELECT cdc.alter_slot('all', '{old,full}'); SELECT cdc.alter_slot('all', '{old,changed}'); INSERT INTO u VALUES (3)");
is(join(' ', map { /"relation":"([^"]*)"/ } receive_json($node, 'all')), 'public.u', "the extension's own table is never sent");

# failover slots
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
if ($major < 17)
{
	my ($rc, undef, $error) = $node->psql('postgres', "SELECT cdc.create_slot('failover', failover => true)");
	like($error, qr/this server has no failover slots.*from version 17 on/s, 'failover before 17');
}
else
{
	sql("SELECT cdc.create_slot('failover', failover => true)");
	is(sql("SELECT failover, synced FROM cdc.slots WHERE slot_name = 'failover'"), 't|f', 'a failover slot');
	my ($rc, undef, $error) = $node->psql('postgres', "SELECT cdc.create_slot('both', two_phase => true, failover => true)");
	$major < 18 ? like($error, qr/a failover slot cannot have two_phase on this server/, 'not with two_phase before 18')
	  : is($rc, 0, 'with two_phase from 18 on');
}
is_up($node, 'the server lives');

$node->stop;
done_testing();
