# Errors: they say what to do, and what comes after them works.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', plugins => "'pgoutput, test_decoding'");

# A server that is not set up: all that is missing is named at once, and the hint is the way out.
sub hint { return $_[0] =~ /HINT:  As a superuser run: (.*)$/m }
my ($rc, $out, $err);
SKIP:
{
	skip 'this server has no output_plugin_libraries', 8 if !knows_plugin_list();

	($rc, $out, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
SELECT cdc.create_slot('s')});
	like($err, qr/ERROR:  42501: this server is not set up for slots of the output plugin "cdc"/, 'no slot where the plugin is not allowed');
	like($err, qr/DETAIL:  output_plugin_libraries does not name "cdc"/, 'which the error says');
	my ($statements) = hint($err);
	is($statements,
		'ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, cdc; SELECT pg_reload_conf();',
		'with the statements to run');
	like($err, qr/Or in postgresql\.conf: output_plugin_libraries = 'pgoutput, test_decoding, cdc'\./, 'and the form of the file');

	# a list that was quoted as one string, which the server takes
	sub reload_with
	{
		my ($sql, $setting) = @_;
		$node->safe_psql('postgres', $_) foreach split /(?<=;) /, $sql;
		return $node->poll_query_until('postgres', "SELECT current_setting('output_plugin_libraries') = '$setting'");
	}
	ok(reload_with(q{ALTER SYSTEM SET output_plugin_libraries = 'pgoutput, test_decoding, cdc'; SELECT pg_reload_conf();},
			q{"pgoutput, test_decoding, cdc"}), 'one name');
	(undef, undef, $err) = $node->psql('postgres', q{SELECT cdc.create_slot('s')});
	like($err, qr/DETAIL:  output_plugin_libraries has all its names in quotes, which makes them one name: "pgoutput, test_decoding, cdc"/, 'is recognised');
	is((hint($err))[0], $statements, 'with the same statements');

	ok(reload_with($statements, 'pgoutput, test_decoding, cdc'), 'they run, and have an effect');
}
{
	my ($level, $needed) = major() < 19 ? qw(replica logical) : qw(minimal replica);
	my @conf = ("wal_level = $level\n", "max_wal_senders = 0\nmax_replication_slots = 0\n");
	$node->append_conf('postgresql.conf', $_) foreach @conf;
	$node->restart;
	($rc, $out, $err) = $node->psql('postgres', q{SELECT cdc.create_slot('s')});
	like($err, qr/DETAIL:  wal_level is "$level"\. max_replication_slots is 0\./, 'all that needs a restart');
	is((hint($err))[0], "ALTER SYSTEM SET wal_level = $needed; ALTER SYSTEM SET max_replication_slots = 10; and restart the server.", 'with the statements');
	like($err, qr/Or in postgresql\.conf: wal_level = $needed, max_replication_slots = 10\./, 'and the lines');
	$node->append_conf('postgresql.conf', "wal_level = $needed\nmax_wal_senders = 20\nmax_replication_slots = 30\n");
	$node->restart;
}
slot($node, 's');
is($node->safe_psql('postgres', 'SELECT slot_name FROM cdc.slots'), 's', 'the slot is made');

# After an ERROR in decoding, the next call in the same session works. (A
# type whose output fails, and on_error = stop.)
$node->safe_psql('postgres', q{
CREATE TYPE broken;
CREATE FUNCTION broken_in(cstring) RETURNS broken LANGUAGE internal IMMUTABLE STRICT AS 'oidin';
CREATE FUNCTION broken_out(broken) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'enum_out';
CREATE TYPE broken (INPUT = broken_in, OUTPUT = broken_out, INTERNALLENGTH = 4, PASSEDBYVALUE);
CREATE TABLE t (id int PRIMARY KEY, b broken);
INSERT INTO t VALUES (1, NULL);
INSERT INTO t VALUES (2, '4711');
INSERT INTO t VALUES (3, NULL);
});
my $peek = q{SELECT count(*) FROM pg_logical_slot_peek_changes('s', NULL, NULL, 'format', 'json', 'on_error', '%s');};
($rc, $out, $err) = $node->psql('postgres',
	join("\n", (map { sprintf $peek, $_ } qw(stop dead_letter stop dead_letter)), "SELECT count(*) FROM cdc.peek('s');",
	q{SELECT 'next', id FROM t ORDER BY id;}), on_error_stop => 0);
is($out, "6\n6\n3\nnext|1\nnext|2\nnext|3", 'the calls after an error work, in the same session');
is(scalar(() = $err =~ /^.*ERROR:  /mg), 2, 'two of them failed');
like($err, qr/CONTEXT:.*cdc: writing column 2 of relation "t"/s, 'and said where');

# The same through the walsender.
$node->command_fails_like(
	[ 'pg_recvlogical', '-S', 's', '-d', 'postgres', '--start', '--no-loop', '-f', '-', '-o', 'on_error=stop',
	  '--endpos', end_of_wal($node) ], qr/ERROR/, 'on_error=stop through the walsender');
my @lines = receive_json($node, 's');
is(scalar @lines, 3, 'nothing was lost by it');
like($lines[1], qr/"failure":\{"sqlstate":"\w{5}"/, 'and the failure is an event');
$node->safe_psql('postgres', 'DROP TABLE t; DROP TYPE broken CASCADE');
receive($node, 's');

# No extension in the database: the plugin does not start.
$node->safe_psql('postgres', 'CREATE DATABASE without');
$node->safe_psql('without', q{SELECT pg_create_logical_replication_slot('without', 'cdc'); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)});
my $missing = qr/extension "cdc" is not installed in database "without".*CREATE EXTENSION cdc/s;
(undef, undef, $err) = $node->psql('without', q{SELECT * FROM pg_logical_slot_get_binary_changes('without', NULL, NULL)});
like($err, $missing, 'no extension: an error in SQL');
$node->command_fails_like(
	[ 'pg_recvlogical', '-S', 'without', '-d', 'without', '--start', '--no-loop', '-f', '-' ],
	$missing, 'no extension: an error through the walsender');
is_up($node, 'the server lives');
$node->safe_psql('without', 'CREATE EXTENSION cdc');
is(scalar(receive_json($node, 'without', db => 'without')), 1, 'with the extension it starts, and has the row');

# DROP EXTENSION while changes wait.
$node->safe_psql('postgres', q{CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); DROP EXTENSION cdc; INSERT INTO t VALUES (2)});
(undef, undef, $err) = $node->psql('postgres', q{SELECT * FROM pg_logical_slot_get_binary_changes('s', NULL, NULL)});
like($err, qr/extension "cdc" is not installed in database "postgres"/, 'DROP EXTENSION: an error');
$node->safe_psql('postgres', 'CREATE EXTENSION cdc; INSERT INTO t VALUES (3)');
is(join(' ', map { /"id":(\d)/ } receive_json($node, 's')), '1 2 3', 'made again, it goes on, without a gap');

# drop_slot: not while it is used, unless forced.
my ($cin, $cout, $cerr) = ('', '', '');
my $client = IPC::Run::start(
	[ 'pg_recvlogical', '-S', 's', '-d', $node->connstr('postgres'), '--start', '--no-loop', '-f', '-' ],
	'<', \$cin, '>', \$cout, '2>', \$cerr);
wait_active($node, 's', 'true');
(undef, undef, $err) = $node->psql('postgres', q{SELECT cdc.drop_slot('s')});
like($err, qr/replication slot "s" is in use by process \d+.*cdc\.drop_slot\('s', force => true\)/s, 'a slot in use is not dropped');
is($node->safe_psql('postgres', q{SELECT active FROM cdc.slots WHERE slot_name = 's'}), 't', 'and goes on');
is($node->psql('postgres', q{SELECT cdc.drop_slot('s', force => true)}), 0, 'but by force');
eval { $client->finish };
isnt($client->result // 1, 0, 'the client is ended');
like($cerr, qr/terminating connection/, 'by the server');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cdc.slots'), '0', 'the slot is gone');
is_up($node, 'the server lives');

$node->stop;
done_testing();
