# pgoutput and cdc, on the same WAL through the same publications, select the
# same rows, columns and operations; and what stops the one does not stop the
# other.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

# --- what is published ----------------------------------------------------

$node->safe_psql('postgres', q{
CREATE SCHEMA app;
CREATE TABLE plain (id int PRIMARY KEY, region text, n int, note text);
CREATE TABLE whole (id int PRIMARY KEY, region text, n int, note text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE app.indexed (note text, gone int, id int NOT NULL, region text NOT NULL, n int);
ALTER TABLE app.indexed DROP gone;
CREATE UNIQUE INDEX indexed_identity ON app.indexed (id, region);
ALTER TABLE app.indexed REPLICA IDENTITY USING INDEX indexed_identity;
ALTER TABLE whole ALTER note SET STORAGE EXTERNAL;
ALTER TABLE app.indexed ALTER note SET STORAGE EXTERNAL;
-- attnums differ at each level
CREATE TABLE part (gone int, id int NOT NULL, region text, n int, note text) PARTITION BY RANGE (id);
ALTER TABLE part DROP gone;
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (0) TO (30);
CREATE TABLE part_b (note text, n int, region text, id int NOT NULL) PARTITION BY RANGE (id);
ALTER TABLE part ATTACH PARTITION part_b FOR VALUES FROM (30) TO (1000);
CREATE TABLE part_b1 PARTITION OF part_b FOR VALUES FROM (30) TO (60);
CREATE TABLE part_b2 (region text, id int NOT NULL, gone int, n int, note text);
ALTER TABLE part_b2 DROP gone;
ALTER TABLE part_b ATTACH PARTITION part_b2 FOR VALUES FROM (60) TO (1000);
ALTER TABLE part ADD PRIMARY KEY (id);

CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION everything_root FOR ALL TABLES WITH (publish_via_partition_root);
CREATE PUBLICATION schema_app FOR TABLES IN SCHEMA app;
CREATE PUBLICATION schema_root FOR TABLES IN SCHEMA public WITH (publish_via_partition_root);
CREATE PUBLICATION inserts FOR TABLE plain, whole, part WITH (publish = 'insert');
CREATE PUBLICATION updates FOR TABLE plain, app.indexed WITH (publish = 'update');
CREATE PUBLICATION deletes FOR TABLE whole, part WITH (publish = 'delete, truncate');
CREATE PUBLICATION third FOR TABLE plain WHERE (id % 3 = 0);
CREATE PUBLICATION eu FOR TABLE whole WHERE (region = 'eu'), app.indexed WHERE (region = 'eu');
CREATE PUBLICATION big FOR TABLE whole WHERE (n > 50);
CREATE PUBLICATION small_inserts FOR TABLE whole WHERE (n < 20) WITH (publish = 'insert');
CREATE PUBLICATION null_or_long FOR TABLE whole WHERE (region IS NULL OR length(note) > 100);
CREATE PUBLICATION columns FOR TABLE plain (id, n), app.indexed (region, id, n), part_a (id, region);
CREATE PUBLICATION rows_and_columns FOR TABLE plain (id, note) WHERE (id < 40);
CREATE PUBLICATION leaves FOR TABLE part;
CREATE PUBLICATION root FOR TABLE part WITH (publish_via_partition_root);
CREATE PUBLICATION root_rows FOR TABLE part (id, note) WHERE (id < 50) WITH (publish_via_partition_root);
CREATE PUBLICATION middle FOR TABLE part_b WHERE (id > 45) WITH (publish_via_partition_root);
CREATE PUBLICATION one_leaf FOR TABLE part_a WHERE (id < 10);
CREATE PUBLICATION nothing;
});

# Publications to ask for together. pgoutput gives up where column lists of one
# table differ.
my @cases = (
	[qw(everything)], [qw(everything_root)], [qw(schema_app)], [qw(schema_root)],
	[qw(inserts)], [qw(updates)], [qw(deletes)], [qw(inserts updates deletes)],
	[qw(third)], [qw(eu)], [qw(big)], [qw(null_or_long)],
	[qw(eu big)], [qw(eu small_inserts)], [qw(eu big null_or_long inserts)], [qw(third updates)],
	[qw(columns)], [qw(rows_and_columns)], [qw(eu schema_app)],
	[qw(leaves)], [qw(root)], [qw(root_rows)], [qw(middle)], [qw(one_leaf)],
	[qw(leaves root)], [qw(middle root_rows)], [qw(one_leaf middle)], [qw(leaves middle)],
	[qw(everything root_rows)], [qw(nothing)],
);

# --- what happens -----------------------------------------------------------

my $seed = $ENV{CDC_SEED} // time;
note "seed: $seed (set CDC_SEED to repeat)";
srand $seed;

my @tables = qw(plain whole app.indexed part);
my @regions = ("'eu'", "'us'", "'asia'");

sub value
{
	my ($table) = @_;
	return {
		region => sub { $table ne 'app.indexed' && rand() < 0.1 ? 'NULL' : $regions[ rand @regions ] },
		n => sub { rand() < 0.1 ? 'NULL' : int rand 100 },
		note => sub { rand() < 0.3 ? "repeat('" . int(rand 1e6) . "-', 600)" : rand() < 0.1 ? 'NULL' : "'" . int(rand 1e6) . "'" },
	};
}

sub statement
{
	my $table = $tables[ rand @tables ];
	my $value = value($table);
	my $id = int rand 90;
	my $kind = rand;

	return "INSERT INTO $table (id, region, n, note) SELECT $id, " . join(', ', map { $value->{$_}() } qw(region n note))
	  . " WHERE NOT EXISTS (SELECT FROM $table WHERE id = $id)"
	  if $kind < 0.45;
	if ($kind < 0.75)
	{
		my @set = grep { rand() < 0.5 } sort keys %$value;
		return "UPDATE $table SET " . join(', ', map { "$_ = " . $value->{$_}() } @set ? @set : 'n')
		  . ' WHERE id BETWEEN ' . $id . ' AND ' . ($id + 10);
	}
	return "UPDATE $table SET id = (SELECT max(id) + 1 FROM $table) WHERE id = (SELECT min(id) FROM $table WHERE id >= $id)"
	  if $kind < 0.85;
	return "DELETE FROM $table WHERE id BETWEEN $id AND " . ($id + 2) if $kind < 0.985;
	return 'TRUNCATE ' . join ', ', grep { rand() < 0.5 || $_ eq $table } @tables, 'part_a';
}

slot($node, 'cdc');
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('pg', 'pgoutput')});
my $statements = $ENV{CDC_STATEMENTS} // 600;
while ($statements > 0)
{
	my @transaction = map { statement() } 1 .. 1 + int rand 5;
	$node->safe_psql('postgres', join ";\n", 'BEGIN', @transaction, rand() < 0.9 ? 'COMMIT' : 'ROLLBACK');
	$statements -= @transaction;
}

# --- what pgoutput makes of it ----------------------------------------------

# Cuts values off the start of a message.
sub take
{
	my ($format, $bytes) = @_;
	my @values = unpack "$format a*", $$bytes;

	$$bytes = pop @values;
	return @values;
}

# A row by column names, without NULLs; a large value that was not touched is undef.
sub tuple
{
	my ($bytes, $columns) = @_;
	my ($count) = take('n', $bytes);
	my %row;

	foreach my $column (@$columns[ 0 .. $count - 1 ])
	{
		my ($kind) = take('a', $bytes);
		($row{$column}) = take('N/a', $bytes) if $kind eq 't';
		$row{$column} = undef if $kind eq 'u';
	}
	return \%row;
}

sub pgoutput_events
{
	my ($hex) = @_;
	my (%relations, @events);

	foreach my $message (map { pack 'H*', $_ } split /\n/, $hex)
	{
		my ($kind) = take('a', \$message);
		if ($kind eq 'R')
		{
			my ($oid, $schema, $name, undef, $count) = take('N Z* Z* a n', \$message);
			$relations{$oid} = { name => "$schema.$name", columns => [ map { (take('C Z* N N', \$message))[1] } 1 .. $count ] };
		}
		elsif ($kind =~ /[IUD]/)
		{
			my ($oid) = take('N', \$message);
			my ($name, $columns) = @{ $relations{$oid} }{qw(name columns)};
			my $event = { op => { I => 'INSERT', U => 'UPDATE', D => 'DELETE' }->{$kind}, relation => $name };
			while (length $message)
			{
				my ($which) = take('a', \$message);
				$event->{ $which eq 'N' ? 'after' : 'before' } = tuple(\$message, $columns);
			}
			push @events, $event;
		}
		elsif ($kind eq 'T')
		{
			my ($count, undef, @oids) = take('N C', \$message);
			@oids = unpack "N$count", $message;
			push @events, map { { op => 'TRUNCATE', relation => $relations{$_}{name} } } @oids;
		}
		else { die "unexpected message $kind" if $kind !~ /[BCOY]/ }
	}
	# which under FULL is in the old row
	foreach my $event (grep { $_->{after} } @events)
	{
		my ($before, $after) = @$event{qw(before after)};
		foreach my $column (grep { !defined $after->{$_} } keys %$after)
		{
			delete $after->{$column};
			$after->{$column} = $before->{$column} if $before && defined $before->{$column};
		}
	}
	return @events;
}

# --- and what cdc does, with old = 'full' ------------------------------------

sub cdc_events
{
	my @events;
	foreach my $line (@_)
	{
		my $json = decode_json($line);
		my %event = map { $_ => $json->{$_} } qw(op relation);
		my %before = (%{ $json->{key} // {} }, %{ $json->{old} // {} });
		my $full = $event{relation} eq 'public.whole';

		$event{after} = { $event{op} eq 'UPDATE' ? %before : %{ $json->{key} // {} },
			%{ $json->{new_key} // {} }, %{ $json->{new} // {} } }
		  if $event{op} =~ /INSERT|UPDATE/;
		$event{before} = \%before
		  if $event{op} eq 'DELETE' || $event{op} eq 'UPDATE' && ($full || $json->{new_key});
		foreach my $row (map { $event{$_} // () } qw(before after))
		{
			delete $row->{$_} for grep { !defined $row->{$_} } keys %$row;
			$row->{$_} = "$row->{$_}" for keys %$row;
		}
		push @events, \%event;
	}
	return @events;
}

my $upto = end_of_wal($node);

# The lines of events of a copy of a slot, through the walsender.
sub lines
{
	my ($slot, %options) = @_;
	$node->safe_psql('postgres', "SELECT pg_copy_logical_replication_slot('$slot', 'copy')");
	my @lines = $options{streaming}
	  ? grep { !/"op":"COMMITTED"/ } decode($node, receive($node, 'copy', upto => $upto, options => \%options))
	  : receive_json($node, 'copy', upto => $upto, options => \%options);
	$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('copy')});
	return @lines;
}

sub pgoutput
{
	my ($names) = @_;
	return qq{
SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('pg', NULL, NULL, 'proto_version', '1', 'publication_names', '$names')};
}

my $compared = 0;
foreach my $case (@cases)
{
	my $names = join ',', @$case;
	my @pg = pgoutput_events($node->safe_psql('postgres', pgoutput($names)));
	my @cdc = cdc_events(lines('cdc', publication_names => $names, old => 'full'));
	is_deeply(\@cdc, \@pg, "$names: " . scalar @pg . ' events');
	cmp_ok(scalar @pg, '>', 0, 'which is something') if $names ne 'nothing';
	$compared += @pg;
}
note "$compared events compared";

# --- where pgoutput stops -----------------------------------------------------

my ($status, undef, $error) = $node->psql('postgres', pgoutput('everything,columns'));
isnt($status, 0, 'pgoutput refuses column lists that differ');
my @all = lines('cdc', publication_names => 'everything');
my @narrow = lines('cdc', publication_names => 'everything,columns');
is(scalar @narrow, scalar @all, 'cdc sends all rows,');
unlike(join("\n", grep { /"relation":"public.plain"/ } @narrow), qr/"region"|"note"/, 'without columns that one list lacks');
like(join("\n", grep { /"relation":"public.whole"/ } @narrow), qr/"region".*"note"/s, 'and other tables with all of theirs');

is_deeply([ lines('cdc', publication_names => 'no_such,eu') ], [ lines('cdc', publication_names => 'eu') ],
	'a publication that does not exist adds nothing');
is(scalar lines('cdc', publication_names => 'no_such'), 0, 'and alone publishes nothing');
like(slurp_file($node->logfile), qr/WARNING: +publication "no_such" does not exist/, 'but a warning');

# --- streamed transactions, filters that raise, memory ---------------------------

$node->safe_psql('postgres', q{
CREATE TABLE many (id int PRIMARY KEY, n int);
CREATE PUBLICATION even FOR TABLE many WHERE (id % 2 = 0);
CREATE PUBLICATION never FOR TABLE many WHERE (1 / 0 = n) WITH (publish = 'insert');
CREATE PUBLICATION raises FOR TABLE many WHERE (1 / (n - 1) > 0) WITH (publish = 'insert');
});
slot($node, $_) for qw(few many);
$node->safe_psql('postgres', 'INSERT INTO many SELECT g, 1 FROM generate_series(1, 1000) g');
$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('many', pg_current_wal_lsn())});
$node->safe_psql('postgres', 'INSERT INTO many SELECT g, 1 FROM generate_series(1001, 60000) g; UPDATE many SET id = -id WHERE id < 100');
$upto = end_of_wal($node);

my @even = lines('few', publication_names => 'even');
is(scalar @even, 30000 + 49, 'rows that pass a filter');
$node->append_conf('postgresql.conf', "logical_decoding_work_mem = 64kB\n");
$node->reload;
my @streamed = lines('few', publication_names => 'even', streaming => 'on');
my ($plain, $in_parts) = map { join "\n", map { /"op":"(\w+)".*("key":\{"id":[-\d]+\})/ ? "$1 $2" : $_ } @$_ } \@even, \@streamed;
is($in_parts, $plain, 'the same when the transaction is streamed');
unlike($streamed[-1000], qr/"commit_time"/, 'which it is');

my @undecided = lines('few', publication_names => 'raises');
is(scalar @undecided, 60000, 'a filter that raises: an event for each row');
is(scalar(grep { /"failure":\{"sqlstate":"22012"/ && !/"key"|"new"/ } @undecided), 60000, 'with a failure, and no values');
is(scalar(grep { /"failure":\{"sqlstate":"22012"/ && !/"key"|"new"/ } lines('few', publication_names => 'raises', streaming => 'on')),
	60000, 'also when the transaction is streamed');

# The most memory that a walsender had until it had sent all, in kB.
sub peak
{
	my ($slot, $publication) = @_;
	my ($in, $out, $err) = ('', '', '');
	$node->safe_psql('postgres', "SELECT pg_copy_logical_replication_slot('$slot', 'copy')");
	my $client = IPC::Run::start(
		[ 'pg_recvlogical', '-S', 'copy', '-d', $node->connstr('postgres'), '--start', '-f', '/dev/null',
		  '-s', '1', '-F', '1', '--no-loop', '-o', "publication_names=$publication" ],
		'<', \$in, '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', qq{
SELECT active AND confirmed_flush_lsn >= '$upto' FROM pg_replication_slots WHERE slot_name = 'copy'})
	  or die "slot $slot is not drained";
	my $pid = $node->safe_psql('postgres', q{SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'copy'});
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
	$client->signal('INT');
	$client->finish;
	$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('copy')});
	return $kb;
}

SKIP:
{
	skip 'needs /proc/PID/status', 2 if !-r "/proc/$$/status";
	# a filter that raises for a row, and one that raises when it is prepared
	my %many = map { $_ => peak('few', $_) } qw(raises never);
	$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('many', pg_current_wal_lsn()); INSERT INTO many VALUES (70000, 1)});
	$upto = end_of_wal($node);
	foreach my $publication (sort keys %many)
	{
		my $more = $many{$publication} - peak('many', $publication);
		cmp_ok($more, '<', 8 * 1024, "$publication: $more kB for 60000 rows more");
	}
}

$node->stop;
done_testing();
