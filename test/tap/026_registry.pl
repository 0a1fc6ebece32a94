# The registry and walsenders: versions of rows' schemas, after a restore, with its
# tables gone; and the comparison of databases by scripts/schema-check.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $dir = $PostgreSQL::Test::Utils::tmp_check;

sub sql { return $node->safe_psql('postgres', @_) }

# The versions that a stream tells, in their order: 0 where it tells none.
sub versions
{
	my @versions;
	foreach my $batch (batches($_[0]))
	{
		foreach my $field (grep { $_->[0] == 6 } fields($batch))
		{
			my %schema = map { $_->[0] => $_->[1] } fields($field->[1]);
			push @versions, $schema{3} // 0;
		}
	}
	return "@versions";
}

sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY)');
slot($node, $_) for qw(one two gone);
sql(q{INSERT INTO t VALUES (1); SELECT cdc.register('t'); INSERT INTO t VALUES (2); ALTER TABLE t ADD w int; INSERT INTO t VALUES (3);
INSERT INTO other VALUES (1); SET client_min_messages = error; ALTER TABLE t DROP v; INSERT INTO t VALUES (4);
BEGIN; INSERT INTO t VALUES (5); ALTER TABLE t ADD v text NOT NULL DEFAULT 'x'; INSERT INTO t VALUES (6); ALTER TABLE t RENAME v TO u; INSERT INTO t VALUES (7); COMMIT;
ALTER TABLE t RENAME u TO v; INSERT INTO t VALUES (8)});
# (other is not registered; the first row has the schema that was registered after it)
is(versions(receive($node, 'one')), '1 1 0 2 2 3 2', 'versions of the schemas of then');
is(versions(receive($node, 'two', options => { schemas => 'batch' })), '1 1 1 0 2 2 2 3 2', 'and with every batch');
is(sql(q{SELECT string_agg(major || '.' || minor, ' ' ORDER BY major, minor) FROM cdc.schema_versions}), '1.0 1.1 2.0 2.1 3.0', 'as the registry has them');

# registered while a consumer is connected: the schema is told again, with its version
receive($node, 'one');
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'one', '--start', '--no-loop', '-f', "$dir/live", '-F', '0', '-s', '1' ]);
wait_active($node, 'one', 'true');
sql('INSERT INTO other VALUES (2)');
ok(eventually(sub { -s "$dir/live" }), 'a consumer is there');
my $told = sub { versions(slurp_file("$dir/live") =~ s/\n?$/\n/r) };
sql(q{SELECT cdc.register('other'); INSERT INTO other VALUES (3)});
ok(eventually(sub { $told->() eq '0 1' }), 'the version alone is news') or diag $told->();
sql(q{SELECT cdc.unregister('other'); INSERT INTO other VALUES (4)});
ok(eventually(sub { $told->() eq '0 1 0' }), 'and that there is none') or diag $told->();
sql(q{SELECT cdc.register('t', 'none'); INSERT INTO other VALUES (5); INSERT INTO t VALUES (9)});
ok(eventually(sub { $told->() eq '0 1 0 2' }), 'what is told of one is not told of others') or diag $told->();
$live->signal('INT');
$live->finish;

# DDL of a role that may do nothing with the registry is looked at as well
sql(q{CREATE ROLE owner LOGIN; ALTER TABLE other OWNER TO owner; SELECT cdc.register('other'); SELECT cdc.set_enforcement('reject')});
my ($out, $err);
# Whatever a client sets, before the library is loaded, when it is, and afterwards: all of them are refused.
my $rename = 'ALTER TABLE other RENAME id TO number';
my %ways = ('plainly' => [$rename], 'by SET' => [ 'SET cdc.schema_enforcement = off', $rename ], 'by set_config' => [ q{SELECT set_config('cdc.schema_enforcement', 'off', false)}, $rename ],
	'in a transaction' => [ 'BEGIN', 'SET LOCAL cdc.schema_enforcement = off', $rename, 'COMMIT' ],
	'by the function' => [ q{SELECT cdc.set_enforcement('off')}, $rename ], 'by the table' => [ q{UPDATE cdc.schema_enforcement SET level = 'off'}, $rename ],
	'by allowing it' => [ q{SELECT cdc.allow_breaking('mine')}, $rename ], 'by dropping it' => ['DROP TABLE other']);
foreach my $preload ('', 'cdc')
{
	sql(($preload eq '' ? 'ALTER SYSTEM RESET session_preload_libraries' : "ALTER SYSTEM SET session_preload_libraries = $preload") . '; SELECT pg_reload_conf()');
	ok(eventually(sub { sql('SHOW session_preload_libraries') eq $preload }), "preloaded: '$preload'");
	foreach my $options ('', '-c cdc.schema_enforcement=off', '-c cdc.enforcement=off')
	{
		local $ENV{PGOPTIONS} = $options;
		foreach my $way (sort keys %ways)
		{
			IPC::Run::run([ 'psql', '-Xq', '-U', 'owner', '-d', $node->connstr('postgres'), map { (-c => $_) } @{ $ways{$way} } ], '>', \$out, '2>', \$err);
			like($err, qr/would (break readers of|drop the registered) table public.other|transaction is aborted/, "an owner is refused: $way, with \"$options\"");
		}
	}
}
is(sql(q{SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'other'::regclass AND attnum > 0}), 'id', 'nothing has happened to the table');
is($node->psql('postgres', 'ALTER TABLE other ADD more int', extra_params => [ '-U', 'owner' ]), 0, 'what breaks nobody flows on');
is(sql(q{SELECT by FROM cdc.schema_audit ORDER BY at DESC LIMIT 1}), 'owner', 'recorded as who did it');

# dump and restore: the gate is not in the way, and the tables are found again
sql(q{CREATE TABLE renumbered (gone int, id int PRIMARY KEY, v text); ALTER TABLE renumbered DROP gone; CREATE TABLE same (id int PRIMARY KEY, v text);
SELECT cdc.register('renumbered'); SELECT cdc.register('same'); SELECT cdc.register_reader('billing', 'same', version => 1)});
$node->command_ok([ 'pg_dump', '-d', 'postgres', '-f', "$dir/dump.sql" ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', "$dir/dump.sql" ], 'restored under the gate');
my $restored = sub { return $node->safe_psql('restored', @_) };
$restored->(q{SELECT cdc.create_slot('restored'); INSERT INTO same VALUES (1); INSERT INTO renumbered VALUES (1)});
# a version is a schema: that of one is the same, that of the other has other numbers
is(versions(receive($node, 'restored', db => 'restored')), '1 0', 'what is known is told before they are found again');
is($restored->('SELECT count(*) FROM cdc.schema_versions'), '0', 'which they are not yet');
$node->psql('restored', q{SELECT cdc.check_compatibility('same')}, stderr => \$err);
like($err, qr/was restored.*\n.*\n?.*refresh_registry/, 'who asks for them is told so');
is($restored->(q{SELECT string_agg(relation || ' ' || version, ', ' ORDER BY relation::text) FROM cdc.refresh_registry()}), 'other 1.1, renumbered 2.0, same 1.0, t 4.0',
	'those with other numbers have another version');
$restored->(q{INSERT INTO same VALUES (2); INSERT INTO renumbered VALUES (2)});
is(versions(receive($node, 'restored', db => 'restored')), '1 2', 'the stream tells them');
is($restored->(q{SELECT consumer || ' ' || relation || ' ' || reads FROM cdc.readers}), 'billing same 1', 'readers came along');
is($restored->('SELECT count(*) FROM cdc.refresh_registry()'), '0', 'once is enough');

# comparing databases
my $script = "$FindBin::Bin/../../scripts/schema-check";
append_to_file("$dir/baseline", sql('SELECT cdc.export_schemas()') . "\n");
$node->command_ok([ $script, "$dir/baseline", $node->connstr('postgres') ], 'schema-check: the same database');
sql('CREATE DATABASE migrated');
$node->safe_psql('migrated', q{CREATE EXTENSION cdc; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id bigint PRIMARY KEY, more int); CREATE TABLE same (id int PRIMARY KEY, v text, w text)});
$node->command_checks_all([ $script, "$dir/baseline", $node->connstr('migrated') ], 1,
	[ qr/^public.other \(version 1.1\): id: was pg_catalog.int4, is pg_catalog.int8: .* \(column_retyped; breaks old readers of new data\)$/m, qr/^public.renumbered .*there is no such table/m ], [qr/^$/], 'schema-check: another one');
my $report = (IPC::Run::run([ $script, "$dir/baseline", $node->connstr('migrated') ], '>', \$out), $out)[1];
unlike($report, qr/public\.(same|t) /, 'additions, and tables without a mode, are nothing to report');
append_to_file("$dir/nonsense", "nonsense\n");
$node->command_checks_all([ $script, "$dir/nonsense", $node->connstr('migrated') ], 2, [qr/^$/], [qr/line is none that cdc.export_schemas\(\) gives/], 'schema-check: no baseline');
$node->command_checks_all([ $script, "$dir/none", $node->connstr('migrated') ], 2, [qr/^$/], [qr/cannot read/], 'schema-check: no file');

# the extension is made anew, with a backlog: nobody can tell the versions of then
receive($node, 'gone');
sql(q{INSERT INTO same VALUES (10); DROP EXTENSION cdc CASCADE; INSERT INTO same VALUES (11); CREATE EXTENSION cdc; SELECT cdc.register('same'); INSERT INTO same VALUES (12)});
is(versions(receive($node, 'gone')), '1', 'without an error: the schema is known again');

is_up($node, 'the server lives');
$node->stop;
done_testing();
