# A rule counts by where a transaction stands, and by what it has done itself: while a consumer
# is connected that has sent rows of the same table before.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\n");
my $file = "$PostgreSQL::Test::Utils::tmp_check/order.json";

sub sql { return $node->safe_psql('postgres', @_) }

sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE own (id int PRIMARY KEY, v text)');

# A transaction that began before a rule was removed is streamed after one that was committed
# later, and to which the rule does not apply any more.
slot($node, 'streamed');
sql(q{SELECT cdc.redact('t', 'v', 'drop')});
my $long = $node->background_psql('postgres');
$long->query_safe(q{BEGIN; INSERT INTO t VALUES (1, 'SECRET')});
sql(q{SELECT cdc.unredact(max(id)) FROM cdc.redaction_rules});
sql(q{INSERT INTO t VALUES (2, 'open')});
$long->query_safe(q{INSERT INTO t SELECT g, 'SECRET' || repeat('x', 200) FROM generate_series(3, 3000) g});
sql(q{INSERT INTO t VALUES (3001, 'open too')});
$long->query_safe('COMMIT');
$long->quit;
my $bytes = receive($node, 'streamed', options => { streaming => 'on' });
like($bytes, qr/open.*open too/s, 'what was committed after a rule was removed is open');
cmp_ok(scalar(batches($bytes)), '>', 3, 'a transaction that is streamed in between');
unlike($bytes, qr/SECRET/, 'has begun under the rule');

# The transaction makes the rule when it has written already, and nobody has told of it: a
# synchronous standby is away.
slot($node, 'live');
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'live', '--start', '--no-loop', '-f', $file, '-F', '0', '-s', '1', '-o', 'format=json' ]);
wait_active($node, 'live', 'true');
sub seen { my ($what) = @_; return eventually(sub { -e $file && slurp_file($file) =~ $what }) }
sql(q{INSERT INTO own VALUES (1, 'open')});
ok(seen(qr/"id":1\}/), 'a consumer has rows of the table');
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
sql(q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
ok(eventually(sub { sql('SHOW synchronous_standby_names') eq 'nobody' }), 'a standby is away');
my ($out, $err);
my $waiting = do {
	local $ENV{PGOPTIONS} = '-c synchronous_commit=on';
	IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-c', q{BEGIN; INSERT INTO own VALUES (2, 'SECRET'); SELECT cdc.redact('own', 'v', 'drop'); COMMIT} ], '>', \$out, '2>', \$err);
};
ok(seen(qr/"id":2\}/), 'the row of a transaction that hangs in its COMMIT');
unlike(slurp_file($file), qr/SECRET/, 'is under the rule that it has made');
sql(q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
$waiting->finish;
$live->signal('INT');
$live->finish;

is_up($node, 'the server lives');
$node->stop;
done_testing();
