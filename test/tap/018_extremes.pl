# Values at the ends of what types can hold, and rows as large as they can be.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcRow;
use CdcStream;
use Digest::MD5 'md5_hex';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# A locale with another currency, for money, where one can be made.
my $locales = "$PostgreSQL::Test::Utils::tmp_check/locales";
mkdir $locales;
my ($made, $messages) = (0, '');
eval { $made = IPC::Run::run([ 'localedef', '-i', 'de_DE', '-f', 'UTF-8', "$locales/de_DE.UTF-8" ], '>', \$messages, '2>', \$messages) };
$ENV{LOCPATH} = $locales if $made;
$ENV{PGCLIENTENCODING} = 'UTF8';
my $node = new_node('main', conf => "logical_decoding_work_mem = 64MB\n");

sub sql { return $node->safe_psql('postgres', @_) }

# Type => literals. Every literal is a row of a table of the type, and must come
# as the server writes it with the settings of the protocol.
my $server = sql('SHOW server_version_num');
my $infinity = $server >= 170000 ? ['infinity', '-infinity'] : [];
my @floats = ('NaN', 'Infinity', '-Infinity', '0', '-0');
my @cases = (
	[ int2 => -32768, 32767 ], [ int4 => -2147483648, 2147483647 ], [ int8 => '-9223372036854775808', '9223372036854775807' ],
	[ oid => 4294967295, 0 ], [ xid8 => '18446744073709551615' ], [ pg_lsn => 'FFFFFFFF/FFFFFFFF', '0/0' ],
	[ float4 => @floats, '1e-45', '-1e-45', '1.1754944e-38', '1.1754942e-38', '3.4028235e38', '-3.4028235e38', '16777217', '0.1' ],
	[ float8 => @floats, '5e-324', '-5e-324', '2.2250738585072014e-308', '2.225073858507201e-308', '1.7976931348623157e308',
		'-1.7976931348623157e308', '9007199254740993', '0.1', '123456789012345680', '1e-5', '0.0001', '1e15', '999999999999999' ],
	[ numeric => 'NaN', 'Infinity', '-Infinity', '0', '-0.000', '9' x 131072, '-' . '9' x 131072, '0.' . '0' x 16382 . '1',
		'-0.' . '9' x 16383, '1' . '0' x 131071 . '.' . '0' x 16383, '1e131071', '1e-16383', '1.50' ],
	[ 'numeric(1000,1000)' => '0.' . '0' x 999 . '1', 'NaN' ], [ 'numeric(5,-3)' => 99999499, -12345678 ],
	[ money => '92233720368547758.07', '-92233720368547758.08', 0 ],
	[ date => 'infinity', '-infinity', '4713-11-24 BC', '5874897-12-31', '0001-12-31 BC', '0001-01-01', '294276-12-31', '1582-10-10' ],
	[ timestamp => 'infinity', '-infinity', '4713-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999', '0001-12-31 23:59:59.999999 BC', '1999-12-31 23:59:59.999999' ],
	[ timestamptz => 'infinity', '-infinity', '4713-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59.999999+15:59',
		'2000-01-01 00:00:00+15:59:59' ],
	[ time => '00:00', '24:00', '23:59:59.999999' ], [ timetz => '00:00+15:59:59', '24:00-15:59:59', '12:00:00.000001+05:30', '00:00+00' ],
	[ interval => '0', '178000000 years', '-178000000 years', '2147483647 months 2147483647 days', '-2147483648 months -2147483648 days',
		'2562047788:00:54.775807', '-2562047788:00:54.775807', '-1 mon +1 day -00:00:00.000001', '1 year -1 mon', @$infinity ],
	[ bool => 't', 'f' ], [ uuid => '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff' ],
	[ text => '', ' ', 'NULL', "\x01\x1f\x7f", "\xc2\x80\xf4\x8f\xbf\xbd", '\\', '\x00' ], [ bytea => '\x', '\x00' ], [ 'char(3)' => '', 'a' ], [ '"char"' => '', 'a' ],
	[ name => 'x' x 63, '' ], [ json => ' "\u0000" ', '1e1000000', '[' x 1000 . ']' x 1000, ' {"a" : 1, "a" : 2} ' ], [ jsonb => '1e131071', '"\u00e9"', '{}' ],
	[ xml => '', '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?><a>é</a>', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'no <b/> markup <!-- x -->' ],
	[ bit => '1' ], [ varbit => '', '1' x 1000 ], [ inet => '::', '255.255.255.255/0' ], [ tsvector => '', 'a:16383A' ],
	[ point => '(NaN,Infinity)', '(-0,5e-324)' ], [ box => '(Infinity,-Infinity),(NaN,1)' ], [ polygon => '((0,0))' ],
	[ numrange => 'empty', '(,)', '[NaN,NaN]', '(-Infinity,Infinity]' ], [ tsrange => '[-infinity,infinity]', '[4713-11-24 BC,294276-12-31 23:59:59.999999)' ],
	[ daterange => '[-infinity,infinity)', '[4713-11-24 BC,5874897-12-31)' ], [ int4range => '[-2147483648,2147483647)' ], [ int4multirange => '{}', '{(,1),[3,)}' ],
	[ 'int4[]' => '{}', '{NULL}', '[-2147483648:-2147483647]={1,2}', '[2147483645:2147483646]={1,2}', '[-1:-1][0:0][1:1][2:2][3:3][4:5]={{{{{{NULL,2147483647}}}}}}', '{{{{{{1}}}}}}' ],
	[ 'float8[]' => '{NaN,Infinity,-Infinity,-0,5e-324,NULL}' ], [ 'numeric[]' => '{NaN,Infinity,-0.000,NULL,1e-16383}' ],
	[ 'timestamptz[]' => '{infinity,-infinity,"4713-11-24 00:00:00+00 BC",NULL}' ], [ 'date[]' => '{infinity,"4713-11-24 BC"}' ], [ 'interval[]' => '{"-178000000 years",NULL}' ],
	[ 'timetz[]' => '{24:00-15:59:59}' ], [ 'money[]' => '{-92233720368547758.08}' ], [ 'box[]' => '{(1,1),(0,0);NULL}' ], [ 'bytea[]' => '{"\\\\x",NULL,"\\\\x00"}' ],
	[ 'text[]' => '{"",NULL,"NULL",null," "}', '[0:0]={""}' ], [ 'bool[]' => '[5:6]={t,NULL}' ],
);
@cases = grep { $_->[0] ne 'xml' } @cases if !has_xml($node);
slot($node, $_) for qw(protobuf json);
my %want;
foreach my $i (0 .. $#cases)
{
	my ($type, @literals) = @{ $cases[$i] };
	my $rows = join ', ', map { my $l = $literals[$_]; "($_, \$literal\$$l\$literal\$)" } 0 .. $#literals;

	$want{"t$i"} = [ map { pack 'H*', $_ } split /\n/, sql(qq{
CREATE TABLE t$i (id int PRIMARY KEY, v $type);
ALTER TABLE t$i REPLICA IDENTITY FULL;
INSERT INTO t$i VALUES $rows;
UPDATE t$i SET v = NULL;
SET timezone = 'UTC'; SET lc_monetary = 'C';
CREATE TEMP TABLE source (id int, v $type);
INSERT INTO source VALUES $rows;
SELECT encode(convert_to(format('%s', v), 'UTF8'), 'hex') FROM source ORDER BY id}), '' ];
}
my %got;
each_event(receive($node, 'protobuf'), sub {
	my ($e) = @_;
	my $image = { INSERT => 'new', UPDATE => 'old' }->{ $e->{op} };
	$got{$image}{ $e->{table}{name} }[ $e->{key}{id} ] = $e->{$image}{v};
}, 'pg_catalog.box[]' => ';');
sub short { return length $_[0] > 100 ? substr($_[0], 0, 60) . '... ' . length($_[0]) . ' ' . md5_hex($_[0]) : $_[0] }
foreach my $i (0 .. $#cases)
{
	my ($type, @literals) = @{ $cases[$i] };
	foreach my $image ('new', 'old')
	{
		is(join("\n", map { short($_ // 'NULL') } @{ $got{$image}{"t$i"} }), join("\n", map { short($want{"t$i"}[$_] // '') } 0 .. $#literals), "$type: $image");
	}
}
my @lines = receive_json($node, 'json');
is(scalar(@lines), 2 * (map { @$_[ 1 .. $#$_ ] } @cases), 'as many lines of JSON');
is(scalar(grep { /"failure"/ } @lines), 0, 'and no failure');

# Amounts are what they are, whatever the currency of those who write and of
# the database.
SKIP:
{
	skip 'no locale to be had', 2 if !$made || $node->psql('postgres', q{SET lc_monetary = 'de_DE.UTF-8'}) != 0;
	sql(q{ALTER DATABASE postgres SET lc_monetary = 'de_DE.UTF-8'});
	slot($node, 'money');
	isnt(sql(q{CREATE TABLE amounts (id int PRIMARY KEY, m money, ms money[]); INSERT INTO amounts VALUES (1, 1234.5::numeric::money, ARRAY[(-1234.5)::numeric::money]); SELECT m FROM amounts}),
		'$1,234.50', 'money of another locale');
	my @row;
	each_event(receive($node, 'money'), sub { @row = @{ $_[0]{new} }{qw(m ms)} });
	is("@row", sql(q{SET lc_monetary = 'C'; SELECT m::text || ' ' || ms::text FROM amounts}), 'is sent as that of C');
	sql('ALTER DATABASE postgres RESET lc_monetary');
}

# A string of 100 MB: all of it comes, and its memory is given back.
sub rss
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+) kB/m;
	return $kb;
}
slot($node, 'large');
slot($node, 'large_json');
my $file = "$PostgreSQL::Test::Utils::tmp_check/large";
my ($in, $out, $err) = ('', '', '');
my $client = IPC::Run::start([ 'pg_recvlogical', '-S', 'large', '-d', $node->connstr('postgres'), '--start', '-f', $file, '-s', '1', '-F', '1', '--no-loop' ],
	'<', \$in, '>', \$out, '2>', \$err);
sub wait_until_sent
{
	my $upto = end_of_wal($node);
	$node->poll_query_until('postgres', "SELECT confirmed_flush_lsn >= '$upto' FROM pg_replication_slots WHERE slot_name = 'large'") or die 'not drained';
}
wait_active($node, 'large', 'true');
sql(q{CREATE TABLE large (id int PRIMARY KEY, v text); INSERT INTO large VALUES (1, 'before')});
wait_until_sent();
my $pid = sql(q{SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'large'});
my $before = -r "/proc/$pid/status" ? rss($pid) : undef;
my ($length, $md5) = split /\|/, sql(q{
INSERT INTO large SELECT 2, string_agg('begin ' || md5(g::text) || repeat('größe', 1000), '') FROM generate_series(1, 14500) g;
UPDATE large SET id = 3 WHERE id = 2;
SELECT octet_length(v), md5(v) FROM large WHERE id = 3});
cmp_ok($length, '>', 100_000_000, 'a string of 100 MB');
sql(q{INSERT INTO large VALUES (4, 'after')});
wait_until_sent();
SKIP:
{
	skip 'needs /proc', 1 if !defined $before;
	# but for the server's send buffer, which stays as large as the largest message
	my $kept = rss($pid) - $before - int($length / 1024);
	cmp_ok($kept, '<', 32 * 1024, "after which the walsender has its memory back: all but $kept kB");
}
$client->signal('INT');
$client->finish;
{
	my $bytes = slurp_file($file);
	utf8::encode($bytes) if utf8::is_utf8($bytes);
	my $at = index $bytes, 'begin ';
	is(md5_hex(substr $bytes, $at, $length), $md5, 'is as it was');
	my $prefix = pack 'w', $length;    # big-endian
	is(join('', reverse map { chr(ord($_) & 0x7f) } split //, substr $bytes, $at - length $prefix, length $prefix),
		join('', map { chr(ord($_) & 0x7f) } split //, $prefix), 'with its length before it');
	is(substr($bytes, -1000) =~ /after/ ? 'after' : '', 'after', 'and what comes after it');
}
@lines = receive_json($node, 'large_json');
is(join(' ', map { /"failure":\{"sqlstate":"54000"/ ? 'failure' : /"op":"(\w+)"/ } @lines), 'INSERT failure UPDATE INSERT',
	'as JSON it is too large for a line, which says so');

# An event of more than 1 GB: several values, each of which is possible.
slot($node, 'huge');
# (They are compressed: a tuple has the same limit.)
sql(q{CREATE TABLE huge (id int PRIMARY KEY, a text, b text, c text, d text, e text);
CREATE TABLE source (v text);
INSERT INTO source SELECT repeat('x', 230000000);
INSERT INTO huge SELECT 1, v, v, v, v, v FROM source;
INSERT INTO huge VALUES (2, 'after')});
$node->command_fails_like(
	[ 'pg_recvlogical', '-S', 'huge', '-d', 'postgres', '--start', '--no-loop', '-f', '-', '-o', 'on_error=stop', '--endpos', end_of_wal($node) ],
	qr/ERROR:  (row is too large for one event|out of memory|string buffer exceeds)/, 'on_error=stop: an ERROR');
is_up($node, 'the server lives');
my (undef, undef, $error) = $node->psql('postgres', q{SELECT count(*) FROM pg_logical_slot_peek_binary_changes('huge', NULL, NULL, 'on_error', 'stop')});
like($error, qr/ERROR:  (row is too large for one event|out of memory|string buffer exceeds)/, 'in SQL too');
my @huge;
each_event(receive($node, 'huge', options => { tables => 'public.huge' }), sub {
	my ($e) = @_;
	push @huge, "$e->{key}{id} " . ($e->{failure} ? field_of(1, $e->{failure}) : $e->{new}{a}) });
is(join(', ', @huge), '1 54000, 2 after', 'otherwise a failure with its key, and what comes after it');
is_up($node, 'the server lives');

$node->stop;
done_testing();
