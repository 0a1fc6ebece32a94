# Bytes that are no text in a UTF8 database, as an old dump or a damaged row may
# have left them: every string of the stream is valid all the same, nothing is
# raised, and the bytes can be told again. Here they come from a SQL_ASCII
# database, whose rows are decoded as those of one with UTF8.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use Encode ();
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
# é in LATIN1, an overlong slash, half a surrogate pair, a character cut short
# between valid ones, bytes beyond Unicode, and a character that stands for a byte
my @texts = ("caf\xe9", "a\xc0\xafb", "\xed\xa0\x80", "\xc3\xa9\xf0\x9f\x90\xc3\xa9", "\xf4\x90\x80\x80\xff",
	"\xc3\xa9 \xf4\x8f\xbb\xa9", "\xe9" x 3, 'x' x 40 . "\xe9", 'x' x 16 . "\xe9" . 'x' x 40);
my $xml = has_xml($node);
my @plain = ("\xc3\xa9", "\xf0\x9f\x90\x98", "\xf4\x8f\xb7\xbf\xf4\x8f\xbc\x80", "\xf4\x80\x80\x80");

sub hex_of { return unpack 'H*', $_[0] }

# The form of the documentation, and back.
sub escaped
{
	my ($bytes) = @_;
	my $text = '';

	while (length $bytes)
	{
		my $char = Encode::decode('UTF-8', $bytes, Encode::FB_QUIET | Encode::LEAVE_SRC);
		$char = length $char ? substr($char, 0, 1) : '';
		if ($char eq '' || ord($char) >= 0x10FE00 && ord($char) <= 0x10FEFF || $char eq "\0")
		{
			$char = substr $bytes, 0, 1;
			$text .= chr(0x10FE00 + ord $char);
			substr $bytes, 0, 1, '';
			next;
		}
		$text .= $char;
		substr $bytes, 0, length(Encode::encode('UTF-8', $char)), '';
	}
	return Encode::encode('UTF-8', $text);
}

sub bytes_of
{
	my ($text) = @_;
	$text = Encode::decode('UTF-8', $text, Encode::FB_CROAK);
	return join '', map { $_ >= 0x10FE00 && $_ <= 0x10FEFF ? chr($_ - 0x10FE00) : Encode::encode('UTF-8', chr $_) }
	  map { ord } split //, $text;
}

foreach (@texts, @plain)
{
	is(hex_of(bytes_of(escaped($_))), hex_of($_), 'bytes that come back: ' . hex_of($_));
}
is(escaped($_), $_, 'text is as it is') foreach @plain;

$node->safe_psql('postgres', "CREATE DATABASE bad TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('bad', q{
CREATE EXTENSION cdc;
CREATE FUNCTION raw(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT convert_from(decode($1, 'hex'), 'SQL_ASCII') $$;
DO $$ BEGIN
	EXECUTE format('CREATE SCHEMA %I; CREATE TYPE %1$I.%2$I AS ENUM (%1$L); CREATE TABLE %1$I.%1$I (id int PRIMARY KEY, %1$I %1$I.%2$I)', raw('e9'), raw('c3a9ff'));
END $$;
CREATE TYPE pair AS (a int, t text);
CREATE TABLE texts (t text PRIMARY KEY, v varchar, c char(60), j json, b jsonb, a text[], b2 text[], ja json[], va varchar[], p pair, pa pair[], x xml);
CREATE TABLE "full" (id int PRIMARY KEY, t text);
ALTER TABLE "full" REPLICA IDENTITY FULL;
CREATE TABLE "names" (n name PRIMARY KEY, k "char");
CREATE TABLE searched (id serial PRIMARY KEY, v tsvector, q tsquery);
CREATE TABLE old (id int PRIMARY KEY);
INSERT INTO old VALUES (1);
SELECT pg_create_logical_replication_slot('protobuf', 'cdc'), pg_create_logical_replication_slot('json', 'cdc');
});
my $element = $xml ? 'xmlelement(name e, t)' : 'NULL';
foreach my $text (map { hex_of($_) } @texts, @plain)
{
	$node->safe_psql('bad', qq{
INSERT INTO texts SELECT t, t, t, to_json(t), to_jsonb(t), ARRAY[t, NULL, 'x', t], array_fill(t, ARRAY[2], ARRAY[0]),
	ARRAY[to_json(t)], ARRAY[t], ROW(1, t)::pair, ARRAY[ROW(1, t)::pair], $element FROM (SELECT raw('$text')) s(t);
INSERT INTO "names" SELECT t::name, chr(200)::"char" FROM raw('$text') t;
});
}
$node->safe_psql('bad', q{
INSERT INTO "full" VALUES (1, raw('e9')), (2, raw('ff'));
UPDATE "full" SET t = raw('fe') WHERE id = 1;
DELETE FROM "full" WHERE id = 2;
UPDATE texts SET v = 'y' WHERE t = raw('e9e9e9');
DELETE FROM texts WHERE t = raw('e9e9e9');
DO $$ BEGIN
	EXECUTE format('INSERT INTO %1$I.%1$I VALUES (1, %1$L)', raw('e9'));
	EXECUTE format('ALTER TABLE old ADD COLUMN t text DEFAULT %L', raw('e9'));
END $$;
INSERT INTO old VALUES (2);
INSERT INTO "full" VALUES (3, raw(repeat('e9', 20000000)));
});
# Their output functions look at characters, and may raise.
$node->safe_psql('bad', qq{INSERT INTO searched (v) SELECT array_to_tsvector(ARRAY[raw('$_')])}) foreach map { hex_of($_) } @texts;
$node->safe_psql('bad', q{INSERT INTO searched (q) VALUES (quote_literal(raw('e9'))::tsquery)});
$node->safe_psql('bad', q{INSERT INTO "full" VALUES (4, 'the end')});
$node->safe_psql('postgres', "UPDATE pg_database SET encoding = pg_char_to_encoding('UTF8') WHERE datname = 'bad'");
$ENV{PGCLIENTENCODING} = 'SQL_ASCII';
is($node->safe_psql('bad', 'SHOW server_encoding'), 'UTF8', 'the same database is one with UTF8');

# All strings, by a reader of the wire format; protoc is the judge of those in
# messages that it knows.
my @batches = batches(receive($node, 'protobuf', db => 'bad'));
my $proto = "$FindBin::Bin/../../proto";
my (%schemas, %rows);
sub is_valid
{
	my ($type, $bytes) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'protoc', "--decode=$type", "-I$proto", "$proto/cdc/v1/cdc.proto" ],
		'<', write_file('message', $bytes), '>', \$out, '2>', \$err);
	return $err eq '';
}
foreach my $batch (@batches)
{
	foreach (grep { $_->[0] == 6 } fields($batch))
	{
		my ($fingerprint, $table) = map { $_->[1] } fields($_->[1]);
		ok(is_valid('cdc.v1.Table', $table), 'a valid Table');
		$schemas{$fingerprint} = $table;
	}
	foreach (grep { $_->[0] == 7 } fields($batch))
	{
		my %event = map { $_->[0] => $_->[1] } fields($_->[1]);
		my ($name) = map { $_->[1] } grep { $_->[0] == 2 } fields($schemas{ $event{4} });
		push @{ $rows{$name} }, { op => $event{1}, failure => $event{14},
			map { my $number = $_; $number => { map { $_->[0] => $_->[1] } fields($event{$number} // '') } } 5 .. 7 };
	}
}
my @inserted = grep { $_->{op} == 1 } @{ $rows{texts} };
is(scalar(@inserted), @texts + @plain, 'every row arrives');
sub array_values { return [ map { $_->[1] } grep { $_->[0] == 1 } fields($_[0]) ] }
foreach my $text (@texts, @plain)
{
	my $row = shift @inserted;
	my $want = escaped($text);
	my $hex = hex_of($text);

	my ($key, $new) = ($row->{5}, $row->{7});
	is($key->{1}, $want, "$hex: as key");
	is($new->{2}, $want, "$hex: varchar");
	is($new->{3}, $want . ' ' x (60 - length $text), "$hex: char(n)");
	is($new->{4}, qq{"$want"}, "$hex: json");
	is($new->{5}, qq{"$want"}, "$hex: jsonb");
	is_deeply(array_values($new->{6}), [ $want, '', 'x', $want ], "$hex: text[]");
	is_deeply(array_values($new->{8}), [qq{"$want"}], "$hex: json[]");
	like($new->{10}, qr/^\(1,"?\Q$want\E"?\)$/, "$hex: a composite");
	SKIP:
	{
		skip 'this server has no XML', 1 if !$xml;
		is($new->{12}, "<e>$want</e>", "$hex: xml");
	}
}
is($rows{texts}[-1]{op}, 3, 'a DELETE');
is($rows{texts}[-1]{5}{1}, escaped("\xe9" x 3), 'and its key');
my @full = @{ $rows{full} };
is($full[2]{7}{2}, escaped("\xfe"), 'UPDATE under FULL: new');
is($full[2]{6}{2}, escaped("\xe9"), 'and old');
is($full[3]{6}{2}, escaped("\xff"), 'DELETE');
is(length($full[4]{7}{2}), 80_000_000, 'a value of 20 MB, none of which is text');
is($full[5]{7}{2}, 'the end', 'all of the stream arrives');
ok(defined $rows{old}, 'a default of older rows');
is_deeply([ map { $_->[1] } map { fields($_->[1]) } grep { $_->[0] == 10 } map { fields($_->[1]) }
	  grep { $_->[0] == 3 } map { fields($_) } grep { /\x03old/ } values %schemas ], [ escaped("\xe9") ], 'which is escaped');
is($rows{'\xE9'}[0]{7}{2}, escaped("\xe9"), 'an enum\'s label');
is(scalar(grep { defined $_->{failure} } map { @$_ } map { $rows{$_} } grep { $_ ne 'searched' } keys %rows), 0,
	'nothing failed');
# in minor releases that check characters (since 2026) they are failures
foreach my $row (@{ $rows{searched} })
{
	ok((defined $row->{failure} && { map { $_->[0] => $_->[1] } fields($row->{failure}) }->{1} eq '22021') ||
		eval { bytes_of($row->{7}{2} // $row->{7}{3}); 1 }, 'tsvector, tsquery: a failure, or valid text');
}

my ($odd) = grep { /\\xE9/ } values %schemas;
like($odd, qr/"\\xE9"\."\xc3\xa9\\xFF"/, 'names of types');

# as JSON
my @json = receive_json($node, 'json', db => 'bad');
is(scalar(@json), scalar(map { @$_ } values %rows), 'as many events in JSON');
my $lines = join "\n", @json;
ok(eval { Encode::decode('UTF-8', $lines, Encode::FB_CROAK); 1 }, 'which are UTF-8');
unlike($lines, qr/\0/, 'without a zero byte');
is_up($node, 'the server lives');

$node->stop;
done_testing();
