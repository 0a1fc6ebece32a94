# DDL in the backlog of a slot whose consumer connects later, and settings
# that the client gives: neither may change what old rows look like.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

$node->safe_psql('postgres', q{
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE TABLE app.t (id int PRIMARY KEY, a text, b int, m app.mood, d date, f float8, i interval,
                    tz timestamptz, y bytea, p point, r regclass);
CREATE TABLE app.gone (id int PRIMARY KEY, x text);
});

# One slot for each connection that is tried below.
my %settings = (
	plain => undef,
	nonsense => '-c cdc.nonsense=1',
	search_path => '-c search_path=app,pg_catalog',
	datestyle => '-c DateStyle=German,DMY -c IntervalStyle=sql_standard -c TimeZone=Asia/Kolkata',
	numbers => '-c extra_float_digits=-15 -c bytea_output=escape -c lc_monetary=C',
	quoted => '-c quote_all_identifiers=on',
	all => '-c cdc.nonsense=1 -c search_path=app -c DateStyle=SQL,DMY -c TimeZone=Asia/Tokyo -c extra_float_digits=0 -c quote_all_identifiers=on -c client_encoding=LATIN1');

# the JSON form of each, too
slot($node, $_), slot($node, "json_$_") for sort keys %settings;

$node->safe_psql('postgres', q{
SET search_path = app;
INSERT INTO t VALUES (1, 'before', 10, 'sad', '2020-02-01', 0.1, '1 year 2 days 03:00', '2020-02-01 10:00+00', '\x00ff', '(0.1,0.2)', 'app.t');
INSERT INTO gone VALUES (1, 'x');
ALTER TABLE t DROP COLUMN a;
ALTER TABLE t RENAME COLUMN b TO bb;
INSERT INTO t (id, bb) VALUES (2, 20);
ALTER TABLE t ADD COLUMN c text DEFAULT 'c';
ALTER TYPE mood RENAME TO feeling;
INSERT INTO t (id, bb, m) VALUES (3, 30, 'ok');
ALTER TABLE t ALTER COLUMN bb TYPE text;
INSERT INTO t (id, bb) VALUES (4, 'forty');
DROP TABLE gone;
ALTER TABLE t RENAME TO t2;
ALTER SCHEMA app RENAME TO app2;
INSERT INTO app2.t2 (id, bb) VALUES (5, 'fifty');
DROP TABLE app2.t2;
});

my $upto = end_of_wal($node);
my @rows = receive_json($node, 'json_plain', upto => $upto);
my @expected = (
	[ qr/"relation":"app.t".*"key":\{"id":1\},"new":\{"a":"before","b":10,"m":"sad","d":"2020-02-01","f":0.1,"i":\{"months":12,"days":2,"microseconds":10800000000\},"tz":"2020-02-01T10:00:00\+00:00","y":"\\\\x00ff","p":"\(0.1,0.2\)","r":"app.t"\}/, 'a row as of before the changes' ],
	[ qr/"relation":"app.gone".*"new":\{"x":"x"\}/, 'a row of a table that is gone' ],
	[ qr/"relation":"app.t".*"key":\{"id":2\},"new":\{"bb":20\}/, 'a column dropped, another one renamed' ],
	[ qr/"relation":"app.t".*"key":\{"id":3\},"new":\{"bb":30,"m":"ok","c":"c"\}/, 'a column added' ],
	(map { [ qr/"op":"REWRITE","relation":"app.t".*"key":\{"id":$_\}.*"bb":"${_}0"/, "row $_, rewritten" ] } 1 .. 3),
	[ qr/"relation":"app.t".*"key":\{"id":4\},"new":\{"bb":"forty","c":"c"\}/, 'a type changed' ],
	[ qr/"relation":"app2.t2".*"key":\{"id":5\}/, 'table and schema renamed' ]);

is(scalar @rows, scalar @expected, 'number of rows');
like($rows[$_], $expected[$_][0], $expected[$_][1]) for 0 .. $#expected;

my %fingerprints;
$fingerprints{$_}++ for map { /"fingerprint":"(\w+)"/ } @rows;
is(scalar keys %fingerprints, 6, 'a fingerprint for each form of the tables');

# The bytes differ in the name of the slot alone.
my @plain = without_source(receive($node, 'plain', upto => $upto));
ok(@plain > 5, 'there are bytes to compare');
foreach my $name (sort keys %settings)
{
	next if $name eq 'plain';
	my $got = receive($node, $name, upto => $upto, pgoptions => $settings{$name});
	is_deeply([ without_source($got) ], \@plain, "$name: the same bytes");
	is_deeply([ receive_json($node, "json_$name", upto => $upto, pgoptions => $settings{$name}) ],
		\@rows, "$name: the same JSON");
	is_up($node, "$name: the server lives");
}

# The settings did reach the server.
{
	local $ENV{PGOPTIONS} = $settings{datestyle};
	is($node->safe_psql('postgres', 'SHOW datestyle'), 'German, DMY', 'settings reach the server');
}

# A session that has looked at a table of today, and then asks for its rows of
# yesterday: nothing that is cached may be used.
$node->safe_psql('postgres', q{CREATE TABLE c (id int PRIMARY KEY, a int, b text)});
slot($node, 'session');
$node->safe_psql('postgres', q{INSERT INTO c VALUES (1, 10, 'x'); ALTER TABLE c DROP COLUMN a; ALTER TABLE c RENAME b TO d});
my $script = write_file('session.py', <<'PYTHON');
import sys, psycopg2, psycopg2.extras
connection = psycopg2.connect(sys.argv[1], connection_factory=psycopg2.extras.LogicalReplicationConnection)
cursor = connection.cursor()
cursor.execute('SELECT * FROM c')
print([column.name for column in cursor.description])
cursor.start_replication('session', options={'format': 'json'}, decode=True)
while True:
    message = cursor.read_message()
    if message is not None:
        print(message.payload)
        break
PYTHON
my ($out, $err) = ('', '');
IPC::Run::run([ 'python3', $script, $node->connstr('postgres') ], '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
like($out, qr/^\['id', 'd'\]$/m, 'a session that has seen the table as it is') or diag($err);
like($out, qr/"key":\{"id":1\},"new":\{"a":10,"b":"x"\}/, 'gets the row as it was');

$node->stop;
done_testing();
