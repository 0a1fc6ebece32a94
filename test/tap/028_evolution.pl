# Each form of DDL under each mode: the expected verdict of the gate; and for each "compatible"
# the proof, which is that protoc reads the bytes of rows from before by the .proto of after, or
# the other way round.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# What breaks whom at level wire, and at level file: B(ackward), F(orward), BF, or - for nobody.
# %s is the table.
my $forms = <<'FORMS';
-  -  ALTER TABLE %s ADD x int
-  -  ALTER TABLE %s ADD x text DEFAULT 'x'
-  -  ALTER TABLE %s ADD x int NOT NULL DEFAULT 1
B  B  ALTER TABLE %s ADD x float NOT NULL DEFAULT random()
F  F  ALTER TABLE %s DROP note
F  BF ALTER TABLE %s DROP note, ADD note text
-  BF ALTER TABLE %s RENAME note TO remark
F  F  ALTER TABLE %s ALTER n TYPE bigint
B  B  ALTER TABLE %s ALTER big TYPE int
-  -  ALTER TABLE %s ALTER n TYPE smallint
-  -  ALTER TABLE %s ALTER name TYPE varchar(20)
-  -  ALTER TABLE %s ALTER name TYPE text
-  -  ALTER TABLE %s ALTER price TYPE numeric(12,4)
-  -  CREATE DOMAIN short AS text; ALTER TABLE %s ALTER note TYPE short
-  BF ALTER TABLE %s ALTER price TYPE text
-  BF ALTER TABLE %s ALTER note TYPE jsonb USING to_jsonb(note)
-  BF ALTER TABLE %s ALTER ts TYPE timestamptz
-  BF ALTER TABLE %s ALTER u TYPE bytea USING raw
-  BF ALTER TABLE %s ALTER day TYPE int USING 1
BF BF ALTER TABLE %s ALTER price TYPE float
BF BF ALTER TABLE %s ALTER f TYPE float8
BF BF ALTER TABLE %s ALTER note TYPE int USING 1
BF BF ALTER TABLE %s ALTER day TYPE timestamp
BF BF ALTER TABLE %s ALTER tags TYPE int[] USING nums
BF BF ALTER TABLE %s ALTER nums TYPE bigint[]
-  -  ALTER TABLE %s ALTER tags TYPE varchar(9)[]
B  B  ALTER TABLE %s ALTER note SET NOT NULL
F  F  ALTER TABLE %s ALTER big DROP NOT NULL
-  -  ALTER TABLE %s ALTER note SET DEFAULT 'x'
BF BF ALTER TABLE %s DROP CONSTRAINT %s_pkey, ADD PRIMARY KEY (id, big)
BF BF ALTER TABLE %s DROP CONSTRAINT %s_pkey
-  -  ALTER TABLE %s REPLICA IDENTITY FULL
F  F  ALTER TABLE %s REPLICA IDENTITY NOTHING
-  BF ALTER TABLE %s RENAME TO renamed
-  BF ALTER TABLE %s SET SCHEMA elsewhere
-  BF ALTER SCHEMA public RENAME TO former
-  F  ALTER TYPE mood ADD VALUE 'great'
-  BF ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'
-  -  ALTER TABLE %s ADD CHECK (id > 0)
-  -  CREATE INDEX ON %s (note)
-  -  ALTER TABLE %s DISABLE TRIGGER ALL
-  -  ALTER TABLE parent ATTACH PARTITION %s FOR VALUES FROM (0) TO (10)
BF BF DROP TABLE %s
BF BF DROP TABLE %s; CREATE TABLE %s (id int PRIMARY KEY)
FORMS
my @modes = qw(none backward forward full backward_transitive forward_transitive full_transitive);
my $columns = 'id int PRIMARY KEY, big bigint NOT NULL, n int, name varchar(10), note text, price numeric(5,2), m mood, day date, ts timestamp, raw bytea, u uuid, tags text[], nums int[], f real';
my $row = q{1, 5, 3, 'name', 'note', 12.50, 'ok', '2026-01-02', '2026-01-02 03:04:05', '\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{a,b}', '{1,NULL,3}', 0.5};

my $node = new_node('main');
my $dir = PostgreSQL::Test::Utils::tempdir();
sub sql { return $node->safe_psql('postgres', @_) }

sql(qq{SELECT cdc.set_enforcement('reject'); CREATE SCHEMA elsewhere; CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE parent ($columns) PARTITION BY RANGE (id);
CREATE FUNCTION refused(mode text, level text, ddl text[]) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
  command text;
BEGIN
  CREATE TABLE t ($columns);
  PERFORM cdc.register('t', mode, level);
  FOREACH command IN ARRAY ddl LOOP EXECUTE command; END LOOP;
  RAISE EXCEPTION 'passed' USING ERRCODE = 'ZZ000';
EXCEPTION
  WHEN SQLSTATE 'ZZ000' THEN RETURN '';
  WHEN object_not_in_prerequisite_state THEN RETURN SQLERRM;
END \$\$});

sub breaks
{
	my ($whom, $mode) = @_;
	return $mode =~ /^(backward|full)/ && $whom =~ /B/ || $mode =~ /^(forward|full)/ && $whom =~ /F/
	  # nobody reads a table that is gone
	  || $mode ne 'none' && $whom eq 'gone';
}

sub literal { return q{'} . ($_[0] =~ s/'/''/gr) . q{'} }

# the matrix
my @forms = map { [split ' ', $_, 3] } split /\n/, $forms;
foreach my $form (@forms)
{
	my ($wire, $file, $ddl) = @$form;
	my $commands = join ', ', map { literal(s/%s/t/gr) } split /; /, $ddl;
	my @verdicts = split /\n/, sql("SELECT mode || ' ' || level || ' ' || refused(mode, level, ARRAY[$commands]) FROM unnest('{"
		  . join(',', @modes) . "}'::text[]) WITH ORDINALITY m(mode, o), unnest('{wire,file}'::text[]) level ORDER BY o, level DESC");
	my @wanted = map { my $mode = $_; map { "$mode $_->[0] " . (breaks($_->[1], $mode) ? 'refused' : '') } [ wire => $wire ], [ file => $file ] } @modes;
	s/^(\w+ \w+ )this would (break readers of|drop the registered) table .*/$1refused/ for @verdicts;
	is_deeply(\@verdicts, \@wanted, "verdicts: $ddl") or diag explain \@verdicts;
}

# more than one version ago
my $again = q{CREATE TABLE t (id int PRIMARY KEY, note text); SELECT cdc.register('t', '%s'); ALTER TABLE t DROP note; ALTER TABLE t ADD note text};
my ($out, $err);
is($node->psql('postgres', sprintf("BEGIN; $again; ROLLBACK", 'backward'), on_error_stop => 1, stderr => \$err), 0, 'dropped and added again: the last version alone is asked');
isnt($node->psql('postgres', sprintf("BEGIN; $again; ROLLBACK", 'backward_transitive'), on_error_stop => 1, stderr => \$err), 0, 'and all of them');
like($err, qr/note: dropped and added again: it was number 2 and is number 3 \(column_recreated\)/, 'a name that means another column is told');

# The fields of a row by number, as protoc prints them by a .proto: text, with what is inside;
# undefined for what the .proto does not know.
my $files = 0;
sub read_row
{
	my ($bytes, $proto) = @_;
	my ($package) = $proto =~ /^package (.*);/m;
	my ($message) = $proto =~ /^message (\w+)/m;
	my %numbers = map { m/(\w+) = (\d+);/ } grep { /^  optional/ } split /\n/, $proto;
	my $name = 'p' . ++$files . '.proto';
	my (%found, $text, $messages);

	append_to_file("$dir/$name", $proto);
	IPC::Run::run([ 'protoc', "-I$dir", "-I$FindBin::Bin/../../proto", "--decode=$package.$message", $name ], '<', \$bytes, '>', \$text, '2>', \$messages)
	  or die "protoc: $messages\n$proto";
	while ($text =~ /^(\w+)(: .*| \{\n(?:  .*\n)*\})\n/gm)
	{
		$found{ $numbers{$1} // $1 } = defined $numbers{$1} ? $2 : undef;
	}
	return \%found;
}

# attnums of columns that are NOT NULL, by a .proto
sub required { return map { m/= (\d+);/ } $_[0] =~ /not null.*\n(?:  \/\/ .*\n)*(  optional .*)/g }

# Whether a reader by one .proto has all that both sides know, of bytes written by the other, and lacks nothing.
sub is_readable
{
	my ($bytes, $written, $read, $told, $name) = @_;
	my ($by_writer, $by_reader) = (read_row($bytes, $written), read_row($bytes, $read));
	my %known = map { $_ => 1 } map { m/ = (\d+);/ } grep { /^  optional/ } split /\n/, $read;
	my %common = map { $_ => $by_writer->{$_} } grep { $known{$_} } keys %$by_writer;
	my %got = map { $_ => $by_reader->{$_} } grep { defined $by_reader->{$_} } keys %$by_reader;

	is_deeply(\%got, \%common, "$name: the same values") or diag explain [ $written, $read, $by_writer, $by_reader ];
	is_deeply([ grep { !exists $by_reader->{$_} && !$told->{$_} } required($read) ], [], "$name: nothing is missing that must be there");
}

# the row as it is, in bytes; an UPDATE sends all of it
sub bytes_of
{
	my ($oid) = @_;
	sql(qq{DO \$\$ BEGIN EXECUTE 'UPDATE ' || $oid\::regclass || ' SET id = id'; END \$\$});
	my ($event) = map { $_->[1] } grep { $_->[0] == 7 } map { fields($_) } batches(receive($node, 's', options => { rewrites => 'off', old => 'full' }));
	my %event = map { $_->[0] => $_->[1] } fields($event);
	return join '', map { $event{$_} // '' } 5, 7;
}

# the proof, with a table of its own for each form
slot($node, 's');
my $n = 0;
my ($backward, $forward) = (0, 0);
foreach my $form (@forms)
{
	my ($wire, $file, $ddl) = @$form;
	next if $ddl =~ /DROP TABLE/ || $wire eq 'BF';
	my $table = 't' . ++$n;
	my $commands = $ddl =~ s/%s/$table/gr;
	sql("CREATE TABLE $table ($columns); INSERT INTO $table VALUES ($row); SELECT cdc.register('$table', 'none')");
	receive($node, 's');
	my $oid = sql("SELECT '$table'::regclass::oid");
	my ($before, $old_proto) = (bytes_of($oid), sql("SELECT cdc.proto($oid)"));
	sql($commands);
	receive($node, 's');
	sql("ALTER TABLE $table REPLICA IDENTITY DEFAULT") if $ddl =~ /REPLICA IDENTITY/;
	my ($after, $new_proto) = (bytes_of($oid), sql("SELECT cdc.proto($oid)"));
	# the stream tells the value of older rows where a column has a constant default
	my %told = map { $_ => 1 } split /\n/, sql("SELECT attnum FROM pg_attribute WHERE attrelid = $oid AND atthasmissing");
	if ($wire !~ /B/) { is_readable($before, $old_proto, $new_proto, \%told, "a newer reader, older bytes: $ddl"); $backward++ }
	if ($wire !~ /F/) { is_readable($after, $new_proto, $old_proto, {}, "an older reader, newer bytes: $ddl"); $forward++ }
	sql(q{ALTER SCHEMA former RENAME TO public}) if $ddl =~ /SCHEMA public/;
	sql(q{ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'}) if $ddl =~ /RENAME VALUE/;
}
cmp_ok($backward, '>', 20, 'proofs of backward compatibility');
cmp_ok($forward, '>', 20, 'and of forward compatibility');

# where it breaks, reading shows it
sql("CREATE TABLE cut ($columns); INSERT INTO cut VALUES ($row)");
my $old_proto = sql(q{SELECT cdc.proto('cut')});
sql('ALTER TABLE cut ALTER n TYPE bigint, DROP big; UPDATE cut SET n = 3000000000');
receive($node, 's');
my $bytes = bytes_of(sql(q{SELECT 'cut'::regclass::oid}));
my ($old, $new) = (read_row($bytes, $old_proto), read_row($bytes, sql(q{SELECT cdc.proto('cut')})));
is($new->{3}, ': 3000000000', 'a value that is wider than it was');
isnt($old->{3}, $new->{3}, 'is another one to an older reader');
is_deeply([ grep { !exists $old->{$_} } required($old_proto) ], [2], 'who also lacks what was dropped');

is_up($node, 'the server lives');
$node->stop;
done_testing();
