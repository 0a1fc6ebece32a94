# One large transaction: the walsender's memory stays within 16 MiB of what
# core's own decoding of the same WAL takes. CDC_BIG_ROWS sets its size.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc/PID/status' if !-r "/proc/$$/status";

my $rows = $ENV{CDC_BIG_ROWS} // 300_000;
my $node = new_node('main', conf => "logical_decoding_work_mem = 1MB\n");

$node->safe_psql('postgres', q{
CREATE TABLE t (id int PRIMARY KEY, a text, b numeric, c timestamptz, d text);
ALTER TABLE t REPLICA IDENTITY FULL;
SELECT pg_create_logical_replication_slot('core', 'pgoutput');
CREATE PUBLICATION nothing;
});
slot($node, $_) for qw(protobuf json large);
$node->safe_psql('postgres', qq{
BEGIN;
INSERT INTO t SELECT g, 'customer ' || g, g * 1.25, now(), repeat('x', g % 200) FROM generate_series(1, $rows) g;
UPDATE t SET a = a || '!' WHERE id % 3 = 0;
DELETE FROM t WHERE id % 5 = 0;
COMMIT;
});
my $upto = end_of_wal($node);

# The most memory that a walsender had until it had sent all, in kB. (That
# counts shared buffers too, of which there is 1 MB here, the same for all.)
sub peak
{
	my ($slot, @options) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'pg_recvlogical', '-S', $slot, '-d', $node->connstr('postgres'), '--start', '-f', '/dev/null',
		  '-s', '1', '--no-loop', map { ('-o', $_) } @options ],
		'<', \$in, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', qq{
SELECT active AND confirmed_flush_lsn >= '$upto' FROM pg_replication_slots WHERE slot_name = '$slot'})
	  or die "slot $slot is not drained";
	my $pid = $node->safe_psql('postgres',
		qq{SELECT active_pid FROM pg_replication_slots WHERE slot_name = '$slot'});
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
	$client->signal('INT');
	$client->finish;
	return $kb;
}

# A publication without tables: decoding alone.
my $core = peak('core', 'proto_version=1', 'publication_names=nothing');
cmp_ok($core, '>', 1024, "core's decoding takes some memory: $core kB");
foreach my $format (qw(protobuf json))
{
	my $cdc = peak($format, "format=$format");
	cmp_ok($cdc - $core, '<', 16 * 1024, "format=$format, $rows rows: " . ($cdc - $core) . ' kB more than that');
}

# The measure can tell: batches of 16 MB are seen in it.
my $large = peak('large', 'batch_bytes=16MB');
cmp_ok($large - $core, '>', 14 * 1024, 'batches of 16 MB show: ' . ($large - $core) . ' kB more');

$node->stop;
done_testing();
