# Tables whose types are nested and chained as deep as their owner likes: every function
# and stream answers, or obeys a timeout and a termination, within a second or so.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $node = new_node('main');

sub sql { return $node->safe_psql('postgres', @_) }

# Domains over arrays of domains; domains over domains; composites in composites; and columns
# of all of them. (A composite that contains another one twice takes the server itself for ever.)
sub chain
{
	my ($n, $first, $next) = @_;

	sql(qq{DO \$\$ BEGIN EXECUTE '$first'; FOR i IN 1 .. $n LOOP
		EXECUTE format('$next', i, i - 1);
		IF i % 300 = 0 THEN COMMIT; END IF;
	END LOOP; END \$\$});
}
chain(1500, 'CREATE DOMAIN nest0 AS int[]', 'CREATE DOMAIN nest%s AS nest%s[]');
chain(3000, 'CREATE DOMAIN chain0 AS int', 'CREATE DOMAIN chain%s AS chain%s');
chain(400, 'CREATE TYPE comp0 AS (x int)', 'CREATE TYPE comp%s AS (x comp%s)');
sub table
{
	my ($name, $n, $type, $from) = @_;

	sql(qq{DO \$\$ BEGIN EXECUTE format('CREATE TABLE $name (id int PRIMARY KEY, %s)',
		(SELECT string_agg(format('x%s $type', g, $from), ', ') FROM generate_series(1, $n) g)); END \$\$});
}
table('nested', 40, 'nest%s', '1501 - g');
table('chained', 30, 'chain%s', '3001 - g');
table('composed', 40, 'comp%s', '401 - g');
table('wide', 1590, 'chain%s[]', 'g');
my @tables = qw(nested chained composed wide);
slot($node, $_) for qw(peek terminated);

# the longest text that their nesting allows: it doubles with every level
sql(q{INSERT INTO nested VALUES (1, '{}'); INSERT INTO chained VALUES (1, 1); INSERT INTO composed VALUES (1); INSERT INTO wide VALUES (1, '{1}');
DO $$
DECLARE
	v text := 'SELECT ARRAY[1]::nest0 AS v';
BEGIN
	FOR i IN 1 .. 28 LOOP
		v := format('SELECT ARRAY[v]::nest%s AS v FROM (%s) x', i, v);
	END LOOP;
	EXECUTE 'CREATE TABLE doubled (id int PRIMARY KEY, v nest28)';
	EXECUTE 'INSERT INTO doubled SELECT 1, v FROM (' || v || ') x';
END $$});
push @tables, 'doubled';

# Milliseconds that a statement takes under a timeout of one second, which may end it.
sub takes
{
	my ($statement) = @_;
	my $begin = time;
	my ($ret, $out, $err) = $node->psql('postgres', "SET statement_timeout = '1s'; $statement");

	return (int((time() - $begin) * 1000), $err);
}
foreach my $statement (
	(map { my $t = $_; map { sprintf $_, $t } "SELECT cdc.fingerprint('%s')", "SELECT length(cdc.table_schema('%s')::text)", "SELECT length(cdc.proto('%s'))",
		"SELECT count(*) FROM cdc.snapshot('%s')", "SELECT count(*) FROM cdc.snapshot_chunks('%s')", "SELECT cdc.register('%s')",
		"SELECT cdc.redact('%s', (SELECT attname::text FROM pg_attribute WHERE attrelid = '%1\$s'::regclass AND attnum = 2), 'mask')" } @tables),
	"SELECT count(*) FROM cdc.peek('peek')", "SELECT cdc.redact_matching('%x1%', 'mask')", "SELECT count(*) FROM cdc.redaction_report()",
	"SELECT count(*) FROM cdc.peek('peek')", "SELECT count(*) FROM cdc.fetch('peek')")
{
	my ($ms, $err) = takes($statement);

	ok($ms < 5000 && ($err !~ /ERROR/ || $err =~ /statement timeout/), "$statement: $ms ms") or diag($err);
}

# nothing of it stops a stream
sql('CREATE TABLE after (id int PRIMARY KEY); INSERT INTO after VALUES (1)');
my @lines = receive_json($node, 'peek');
like($lines[-1], qr/public\.after/, 'what comes after it arrives');
is(join(' ', map { /"relation":"([^"]*)".*"sqlstate":"(\w*)"/ ? "$1 $2" : () } @lines), 'public.doubled 54000', 'only what is too large is a failure');

# a walsender that is at it ends when it is told to
my ($in, $out, $err) = ('', '', '');
my $client = IPC::Run::start([ 'pg_recvlogical', '-S', 'terminated', '-d', $node->connstr('postgres'), '--start', '-f', '-', '--no-loop' ],
	'<', \$in, '>', \$out, '2>', \$err);
wait_active($node, 'terminated', 'true');
my $begin = time;
sql(q{SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = 'terminated' AND active});
cmp_ok(time() - $begin, '<', 3, 'a walsender ends when it is terminated');
$client->finish;

$node->stop;
done_testing();
