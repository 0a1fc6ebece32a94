# Two histories of a schema, twenty migrations each (test/history), under the gate: it stops those
# that it should, by the rules that it should, and those that are allowed then get the versions that
# they should; the stream tells them, and scripts/schema-check finds the same as the gate.
# (test/replay applies what the stream has of both.)
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $histories = "$FindBin::Bin/../history";
my $check = "$FindBin::Bin/../../scripts/schema-check";
my $dir = $PostgreSQL::Test::Utils::tmp_check;

# Runs a migration in one transaction: the rules that stop it, or nothing.
sub migrate
{
	my ($db, $file, @first) = @_;
	my ($out, $err) = ('', '');
	return '-' if IPC::Run::run([ 'psql', '-Xq1', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), (map { (-c => $_) } @first), -f => $file ], '>', \$out, '2>', \$err);
	return 'dropped' if $err =~ /would drop the registered table/;
	my %rules = map { $_ => 1 } $err =~ /\((\w+)\)\.$/mg;
	return %rules ? join(',', sort keys %rules) : $err;
}

sub versions
{
	my ($db) = @_;
	return $node->safe_psql($db, q{SELECT string_agg(relname || ' ' || major || '.' || minor, ', ' ORDER BY relname) FROM cdc.schema_versions JOIN pg_class c ON c.oid = relation WHERE current});
}

foreach my $name (qw(shop ledger))
{
	my @steps = map { [split ' ', $_, 3] } grep { !/^#/ } split /\n/, slurp_file("$histories/$name/expected");
	my @files = map { s/.*\///r =~ s/\.sql$//r } sort glob "$histories/$name/*.sql";
	my (%stopped, $before);

	is(scalar(@steps), 20, "$name: twenty steps");
	is_deeply([ '00_types', map { $_->[0] } @steps ], \@files, "$name: what is expected of each");
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, q{CREATE EXTENSION cdc; SELECT cdc.set_enforcement('reject')});
	slot($node, $name, $name);
	is(migrate($name, "$histories/$name/00_types.sql"), '-', "$name: types");
	foreach my $step (@steps)
	{
		my ($file, $rules, $versions) = @$step;
		my $path = "$histories/$name/$file.sql";
		my $stopped = migrate($name, $path);

		is($stopped, $rules, "$name: $file " . ($rules eq '-' ? 'passes' : "is stopped: $rules"));
		is(migrate($name, $path, "SELECT cdc.allow_breaking('$file')"), '-', "$name: $file is allowed") if $stopped ne '-';
		is(versions($name), $versions, "$name: versions after $file");
		# a baseline of half of the way
		append_to_file("$dir/$name.baseline", $node->safe_psql($name, 'SELECT cdc.export_schemas()') . "\n") if $file =~ /^10_/;
	}

	# each allowed one has its reason in the audit
	my $reasons = $node->safe_psql($name, q{SELECT string_agg(DISTINCT reason, ' ' ORDER BY reason) FROM cdc.schema_audit WHERE reason ~ '^\d\d_'});
	is($reasons, join(' ', map { $_->[0] } grep { $_->[1] ne '-' } @steps), "$name: why, in the audit");

	# majors of each table, in the order of the stream
	my %majors;
	foreach my $field (grep { $_->[0] == 6 } map { fields($_) } batches(receive($node, $name, db => $name)))
	{
		my %schema = map { $_->[0] => $_->[1] } fields($field->[1]);
		my %table = map { $_->[0] => $_->[1] } fields($schema{2});
		my $list = $majors{ $table{2} } //= [];
		push @$list, $schema{3} // 0 if !@$list || $list->[-1] != ($schema{3} // 0);
	}
	my %told = map { $_ => "@{ $majors{$_} }" } keys %majors;
	is_deeply(\%told, $name eq 'shop' ? {
			customers => '1 2 3 4 5', orders => '1 2', items => '1 2 3' } : {
			accounts => '1 2 3', entries_2025 => '1 2', entries_2026 => '1 2', entries_2027 => '1' },
		# also of ledger.entries_2025, which is gone by now, and of what rewrites have made
		"$name: the stream tells the versions") or diag explain \%told;

	# the other way to the same verdict
	my ($out, $err);
	IPC::Run::run([ $check, "$dir/$name.baseline", $node->connstr($name) ], '>', \$out, '2>', \$err);
	is(join(' ', sort keys %{ { map { $_ => 1 } $out =~ /^\w+\.(\w+) /mg } }), $name eq 'shop' ? 'customers items orders' : 'accounts entries_2025 entries_2026 entries_2027',
		"$name: schema-check names the tables that broke since step 10") or diag $out;
	is($err, '', "$name: without an error");
}

is_up($node, 'the server lives');
$node->stop;
done_testing();
