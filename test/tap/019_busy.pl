# Where other plugins stop or swell: a slot whose own tables are quiet while
# others are busy, transactions beyond what a buffer holds, and many tables.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 1MB\n");

sub sql { return $node->safe_psql('postgres', @_) }

sub start_client
{
	my ($slot, $file, @options) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'pg_recvlogical', '-S', $slot, '-d', $node->connstr('postgres'), '--start', '-f', $file,
		  '-s', '1', '-F', '1', '--no-loop', map { ('-o', $_) } @options ],
		'<', \$in, '>', \$out, '2>', \$err);
	wait_active($node, $slot, 'true');
	return $client;
}

sub confirmed
{
	my ($slot) = @_;
	my $lsn = end_of_wal($node);
	return $node->poll_query_until('postgres',
		"SELECT active AND confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = '$slot'");
}

sub stop
{
	my ($client) = @_;
	$client->signal('INT');
	$client->finish;
}

# Only tables that are not selected are busy: the slot moves on.
sql(q{CREATE TABLE busy (id int PRIMARY KEY, v text); CREATE TABLE quiet (id int PRIMARY KEY);
CREATE PUBLICATION quiet FOR TABLE quiet; CREATE PUBLICATION rows FOR TABLE busy WHERE (id < 0)});
foreach my $case ([ tables => 'tables=public.quiet' ], [ excluded => 'exclude_tables=*.busy' ], [ publication => 'publication_names=quiet' ],
	[ filter => 'publication_names=rows' ], [ missing => 'publication_names=no_such' ], [ origin => 'origin=none' ])
{
	my ($name, @options) = @$case;
	my $file = write_file("out_$name", '');

	slot($node, $name);
	my $client = start_client($name, $file, @options);
	my $origin = $name eq 'origin' ? q{SELECT pg_replication_origin_create('far'); SELECT pg_replication_origin_session_setup('far');} : '';
	sql("$origin INSERT INTO busy SELECT g, 'x' FROM generate_series(1, 1000) g; UPDATE busy SET v = 'y'; DELETE FROM busy");
	ok(confirmed($name), "$name: the slot moves on");
	is(-s $file, 0, "$name: nothing was sent");
	stop($client);
	sql("SELECT cdc.drop_slot('$name')");
}

# Rows of which next to nothing is logged: DELETE and UPDATE under FULL where all
# is NULL, or there is no column, or none any more; and without an identity.
slot($node, $_) for qw(bare bare_json);
sql(q{
CREATE TABLE nulls (a int, b text, c int[]); CREATE TABLE none (); CREATE TABLE gone (a int, b text);
ALTER TABLE nulls REPLICA IDENTITY FULL; ALTER TABLE none REPLICA IDENTITY FULL; ALTER TABLE gone REPLICA IDENTITY FULL;
CREATE TABLE without (a int, b text);
INSERT INTO nulls DEFAULT VALUES; INSERT INTO none DEFAULT VALUES; INSERT INTO gone VALUES (1, 'b'); INSERT INTO without VALUES (1, 'b');
UPDATE nulls SET b = 'b'; UPDATE nulls SET b = NULL; UPDATE nulls SET b = NULL; UPDATE without SET b = 'c';
ALTER TABLE gone DROP COLUMN a, DROP COLUMN b;
DELETE FROM nulls; DELETE FROM none; DELETE FROM gone; DELETE FROM without});
my $bytes = receive($node, 'bare');
my @bare = map { s/^.*?("op".*?),"fingerprint":"\w+"(.*)\}$/$1$2/r } grep { /^\{"position"/ } decode($node, $bytes);
is(join("\n", map { s/"op":|"relation":"public.|"//gr } @bare), join("\n",
		'INSERT,nulls', 'INSERT,none', 'INSERT,gone,new:{a:1,b:b}', 'INSERT,without,new:{a:1,b:b}',
		'UPDATE,nulls,new:{b:b}', 'UPDATE,nulls,old:{b:b},new:{b:null}', 'UPDATE,nulls', 'UPDATE,without,new:{a:1,b:c}',
		'DELETE,nulls', 'DELETE,none', 'DELETE,gone', 'DELETE,without'), 'rows of which next to nothing is logged');
is(scalar(receive_json($node, 'bare_json')), 12, 'and as JSON');

# More than 1 GB in one transaction, in rows that are smaller. (They are stored
# compressed.)
slot($node, $_) for qw(large large_json);
sql(q{CREATE TABLE source (v text); CREATE TABLE large (id int PRIMARY KEY, v text);
INSERT INTO source SELECT repeat('x', 150000000);
INSERT INTO large SELECT g, v FROM source, generate_series(1, 8) g});
my $upto = end_of_wal($node);
my ($count, $err) = ('', '');
ok(IPC::Run::run([ 'pg_recvlogical', '-S', 'large', '-d', $node->connstr('postgres'), '--start', '--no-loop', '-f', '-', '--endpos', $upto, '-o', 'tables=*.large' ],
	'2>', \$err, '|', [ 'wc', '-c' ], '>', \$count), 'a transaction of more than 1 GB is sent') or diag($err);
cmp_ok($count, '>', 8 * 150_000_000, 'all of it');
sql(q{INSERT INTO source SELECT repeat('x', 50000000);
INSERT INTO large SELECT 100 + g, v FROM source, generate_series(1, 24) g WHERE length(v) = 50000000});
is(sql(q~SELECT sum(octet_length(data)) > 1200000000, count(*), sum((line LIKE '%"failure"%')::int)
	FROM pg_logical_slot_peek_changes('large_json', NULL, NULL, 'format', 'json', 'tables', '*.large'), left(data, 1000) line
	WHERE line LIKE '%"id":1__}%' OR line LIKE '%"COMMITTED"%'~),
	't|26|0', 'and as JSON');
sql(q{SELECT cdc.drop_slot('large'), cdc.drop_slot('large_json'); DROP TABLE source, large});

# Many tables: what the plugin keeps of them has a limit.
SKIP:
{
	skip 'needs /proc/PID/status', 1 if !-r "/proc/$$/status";
	my %peak;

	sql(q{
CREATE PUBLICATION nothing;
DO $$ BEGIN FOR i IN 1 .. 500 LOOP
	EXECUTE format('CREATE TABLE many%s (id int PRIMARY KEY, %s)', i, (SELECT string_agg('column_' || g || ' int', ',') FROM generate_series(1, 400) g));
	COMMIT; END LOOP; END $$;
SELECT pg_create_logical_replication_slot('core', 'pgoutput'), cdc.create_slot('many');
DO $$ BEGIN FOR r IN 1 .. 2 LOOP FOR i IN 1 .. 500 LOOP
	EXECUTE format('INSERT INTO many%s (id) VALUES (%s)', i, r);
	COMMIT; END LOOP; END LOOP; END $$});
	foreach (
		[ core => 'proto_version=1', 'publication_names=nothing' ],
		[ many => 'schemas=batch' ])
	{
		my ($slot, @options) = @$_;
		my $client = start_client($slot, '/dev/null', @options);
		ok(confirmed($slot), "$slot: has sent all");
		my $pid = sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '$slot'");
		($peak{$slot}) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
		stop($client);
	}
	# 12 MiB of tables, and what one row takes to write
	cmp_ok($peak{many} - $peak{core}, '<', 20 * 1024,
		"500 tables of 401 columns: " . ($peak{many} - $peak{core}) . " kB more than core's decoding, $peak{core} kB");
}
is_up($node, 'the server lives');

$node->stop;
done_testing();
