# Fingerprints depend on what a table is, not on the server; bytes of events
# on the WAL, not on the slot or the session.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $other = new_node('other', extension => 0);

$node->safe_psql('postgres', q{
CREATE SCHEMA "odd schema";
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS numeric(10,2) CHECK (value > 0);
CREATE TYPE "odd schema".pair AS (a int, b text);
CREATE TABLE plain (id int PRIMARY KEY, t text NOT NULL, n numeric(12,2), m mood, p positive, a int[], v varchar(7), z timestamptz(3));
CREATE TABLE "odd schema"."odd ""table""" (id uuid PRIMARY KEY, p "odd schema".pair, g int GENERATED ALWAYS AS (1 + 1) STORED);
CREATE TABLE full_identity (a int, b text); ALTER TABLE full_identity REPLICA IDENTITY FULL;
CREATE TABLE by_index (a int NOT NULL, b text); CREATE UNIQUE INDEX by_index_a ON by_index (a);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_a;
CREATE TABLE nothing (a int); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE parent (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF parent FOR VALUES FROM (0) TO (100);
CREATE TABLE no_columns ();
CREATE TABLE dropped (id int PRIMARY KEY, gone int, t text); ALTER TABLE dropped DROP COLUMN gone;
});

# Other OIDs over there, then the same objects.
$other->safe_psql('postgres', "CREATE TABLE x$_ (id serial PRIMARY KEY)") for 1 .. 3;
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', 'postgres', '-f', $dump ], 'pg_dump');
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', $dump ], 'restore');

my $list = q{
SELECT c.oid::regclass, cdc.fingerprint(c.oid) FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('public', '"odd schema"') AND relname !~ '^x\d'
ORDER BY 1};
my %here = map { split /\|/ } split /\n/, $node->safe_psql('postgres', $list =~ s/ORDER.*//r);
my %there = map { split /\|/ } split /\n/, $other->safe_psql('postgres', $list =~ s/ORDER.*//r);
is(scalar keys %here, 9, 'tables to compare');
my $gone = delete $here{dropped};
isnt($gone, delete $there{dropped}, 'other attnums (a dropped column is not restored): another fingerprint');
is_deeply(\%there, \%here, 'the same fingerprints after dump and restore');
my %unique = reverse %here;
is(scalar keys %unique, scalar keys %here, 'and each table has its own');
isnt($node->safe_psql('postgres', q{SELECT 'plain'::regclass::oid}), $other->safe_psql('postgres', q{SELECT 'plain'::regclass::oid}),
	'although the OIDs are others');
is($other->safe_psql('postgres', q{SET search_path = "odd schema"; SET quote_all_identifiers = on; SELECT cdc.fingerprint('public.plain')}),
	$here{plain}, 'whatever the settings');

# Everything that a reader must know changes it; what he need not does not.
foreach my $case (
	[ 'a comment', q{COMMENT ON TABLE plain IS 'x'}, 0 ],
	[ 'an index', q{CREATE INDEX ON plain (t)}, 0 ],
	[ 'a default for new rows', q{ALTER TABLE plain ALTER t SET DEFAULT 'x'}, 0 ],
	[ 'an owner', q{CREATE ROLE owner; ALTER TABLE plain OWNER TO owner}, 0 ],
	[ 'a name', q{ALTER TABLE plain RENAME t TO u}, 1 ],
	[ 'a type', q{ALTER TABLE plain ALTER n TYPE numeric(12,3)}, 1 ],
	[ 'NOT NULL', q{ALTER TABLE plain ALTER u DROP NOT NULL}, 1 ],
	[ 'a column', q{ALTER TABLE plain ADD w int}, 1 ],
	[ 'a default of older rows', q{ALTER TABLE plain ADD x int DEFAULT 7}, 1 ],
	[ 'replica identity', q{ALTER TABLE plain REPLICA IDENTITY FULL}, 1 ],
	[ 'the name of a type', q{ALTER TYPE mood RENAME TO feeling}, 1 ],
	[ 'the schema', q{ALTER TABLE plain SET SCHEMA "odd schema"; ALTER TABLE "odd schema".plain SET SCHEMA public}, 0 ])
{
	my ($name, $sql, $changes) = @$case;
	my $before = $other->safe_psql('postgres', q{SELECT cdc.fingerprint('plain')});
	$other->safe_psql('postgres', $sql);
	my $after = $other->safe_psql('postgres', q{SELECT cdc.fingerprint('plain')});
	is($after ne $before ? 1 : 0, $changes, "$name " . ($changes ? 'changes it' : 'does not change it'));
}

# The same WAL through two slots, with other options and settings.
slot($node, $_) for qw(one two sql);
$node->safe_psql('postgres', q{
INSERT INTO plain SELECT g, 'text ' || g, g, 'ok', g, ARRAY[g, g + 1], 'v', '2020-01-01 00:00+00' FROM generate_series(1, 2000) g;
UPDATE plain SET n = n + 0.5 WHERE id < 100;
INSERT INTO "odd schema"."odd ""table""" VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '(1,"a b")');
INSERT INTO full_identity VALUES (1, 'a'); UPDATE full_identity SET b = 'b'; DELETE FROM full_identity;
INSERT INTO parent VALUES (1, 'leaf');
TRUNCATE plain, full_identity, nothing;
});
my $upto = end_of_wal($node);

# What identifies each event, and its bytes.
sub events
{
	my ($bytes) = @_;
	my @events;
	foreach my $batch (batches($bytes))
	{
		my @fields = fields($batch);
		my ($transaction) = map { $_->[1] } grep { $_->[0] == 1 } @fields;
		my %transaction = map { $_->[0] => $_->[1] } fields($transaction);
		push @events, map { unpack 'H*', $transaction{2} . $transaction{3} . $_->[1] } grep { $_->[0] == 7 } @fields;
	}
	return @events;
}

my @one = events(receive($node, 'one', upto => $upto));
my @two = events(receive($node, 'two', upto => $upto,
	options => { batch_bytes => '500B', schemas => 'batch' },
	pgoptions => '-c search_path=public,pg_catalog -c DateStyle=German -c quote_all_identifiers=on -c TimeZone=Asia/Tokyo -c IntervalStyle=iso_8601 -c extra_float_digits=0 -c bytea_output=escape'));
is(scalar @one, 2000 + 99 + 1 + 3 + 1 + 3, 'events');
is_deeply(\@two, \@one, 'identical through another slot, with other options and settings');
my $hex = $node->safe_psql('postgres', q{
SET DateStyle = 'SQL, DMY'; SET quote_all_identifiers = on; SET search_path = public, pg_catalog; SET TimeZone = 'America/Caracas';
SELECT string_agg(encode(data || '\x0a', 'hex'), '') FROM pg_logical_slot_get_binary_changes('sql', NULL, NULL, 'batch_bytes', '7kB')});
is_deeply([ events(pack 'H*', $hex) ], \@one, 'and through SQL');

$_->stop for $node, $other;
done_testing();
