# A transaction that is streamed has been rolled back by then, which decoding notices when it
# next looks into a catalog: in the middle of a row, after others that were sent.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\n");

sub sql { return $node->safe_psql('postgres', @_) }

# the table and one label are known from a row before, the other label is not
sql(q{CREATE TYPE mood AS ENUM ('known', 'unknown'); CREATE TABLE t (id int PRIMARY KEY, v text, m mood)});
slot($node, 's');
sql(q{INSERT INTO t VALUES (1, 'before', 'known')});
sql(q{BEGIN; INSERT INTO t SELECT g, repeat('x', 200), CASE WHEN g < 200 THEN 'known'::mood ELSE 'unknown' END FROM generate_series(2, 3000) g; ROLLBACK});
sql(q{INSERT INTO t VALUES (3001, 'after', 'unknown')});
my $bytes = receive($node, 's', options => { streaming => 'on' });
my $lines = join "\n", decode($node, $bytes);
cmp_ok(scalar(() = $lines =~ /"v":"xxx/g), '<', 250, 'no more of it was sent than up to there');
like($lines, qr/"v":"xxx/, 'but that was');
unlike($lines, qr/failure/, 'and it is no failure');
like($lines, qr/before.*after/s, 'what comes after it arrives');

is_up($node, 'the server lives');
$node->stop;
done_testing();
