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
foreach my $case ([ 'a value', 't' ], [ 'a value that is written with care', 'careful', 'box(point(1, 1), point(0, 0))' ])
{
	my ($name, $table, $more) = @$case;
	$more = defined $more ? ", $more" : '';
	sql('CREATE TABLE careful (id int PRIMARY KEY, v text, b box, m mood)') if $table eq 'careful';
	slot($node, $table);
	sql(qq{INSERT INTO $table VALUES (1, 'before'$more, 'known')});
	sql(qq{BEGIN; INSERT INTO $table SELECT g, repeat('x', 200)$more, CASE WHEN g < 200 THEN 'known'::mood ELSE 'unknown' END FROM generate_series(2, 3000) g; ROLLBACK});
	sql(qq{INSERT INTO $table VALUES (3001, 'after'$more, 'unknown')});
	my $bytes = receive($node, $table, options => { streaming => 'on' });
	my $lines = join "\n", decode($node, $bytes);
	cmp_ok(scalar(() = $lines =~ /"v":"xxx/g), '<', 250, "$name: no more of it was sent than up to there");
	like($lines, qr/"v":"xxx/, 'but that was');
	unlike($lines, qr/failure/, 'nor is it a failure');
	like($lines, qr/before.*after/s, 'and what comes after it arrives');
}

is_up($node, 'the server lives');
$node->stop;
done_testing();
