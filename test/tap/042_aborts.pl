# Transactions that are rolled back while they are being decoded: in the middle of an event,
# inside a value that is written with care, and before anything was sent of them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 10\nlogical_decoding_work_mem = 64kB\ncdc.max_event_size = 1MB\n");

sub sql { return $node->safe_psql('postgres', @_) }

# What came of transactions, in the order of their ends: NAME, its events, of these failures,
# what the end says of their number, and whether a savepoint was rolled back.
sub received
{
	my (@ended, %open);

	foreach my $batch (batches($_[0]))
	{
		my %batch = (map { $_->[0] => $_->[1] } fields($batch));
		my %head = map { $_->[0] => $_->[1] } fields($batch{1} // '');
		my $t = $open{ $head{1} } //= { xid => $head{1}, events => 0, failures => 0, savepoints => 0, parts => 0 };

		$t->{parts}++;
		$t->{savepoints}++ if defined $batch{8};
		foreach my $event (map { $_->[1] } grep { $_->[0] == 7 } fields($batch))
		{
			# all of it: half an event would not be one
			my %event = map { $_->[0] => $_->[1] } fields($event);
			$event{$_} and fields($event{$_}) foreach 5, 6, 7;
			$t->{events}++;
			$t->{failures}++ if defined $event{14};
		}
		next if !$batch{3};
		push @ended, { %$t, count => $batch{5} // 0, gid => $head{6} // '', name => (qw(OPEN COMMITTED ROLLED_BACK PREPARED))[ $batch{3} ] };
		delete $open{ $head{1} };
	}
	return (@ended, values %open);
}

sub text { return join ', ', map { join ' ', $_->{name} // 'OPEN', grep { length } $_->{gid} } @_ }

# --- a consumer that is connected all the time --------------------------------------

sub connect_to
{
	my ($slot, @options) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$slot.bin";
	my $client = IPC::Run::start([ 'pg_recvlogical', '-S', $slot, '-d', $node->connstr('postgres'), '--start', '--no-loop', '-f', $file, '-F', '0', '-s', '1',
			map { ('-o', $_) } @options ], '2>', \my $err);
	wait_active($node, $slot, 'true');
	my $read = 0;
	return {
		client => $client,
		# what came since the last time, up to a transaction that says so
		next => sub {
			my ($mark) = @_;
			sql("INSERT INTO mark VALUES ('$mark')");
			ok(eventually(sub { -e $file && slurp_file($file) =~ /\Q$mark\E/ }), "$slot: $mark is there");
			my $all = slurp_file($file);
			my $new = substr $all, $read;
			$read = length $all;
			return received($new);
		},
		end => sub { $client->signal('INT'); $client->finish },
	};
}

# A type whose output looks into pg_enum, and which is not known not to raise.
sql(q{
CREATE TABLE mark (v text);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE label;
CREATE FUNCTION label_in(cstring) RETURNS label LANGUAGE internal IMMUTABLE STRICT AS 'oidin';
CREATE FUNCTION label_out(label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'enum_out';
CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, INTERNALLENGTH = 4, PASSEDBYVALUE);
CREATE TABLE half (id int PRIMARY KEY, v text, m mood);
CREATE TABLE guarded (id int PRIMARY KEY, v text, m label);
CREATE TABLE other (id int PRIMARY KEY, v text);
});
my $ok = sql(q{SELECT oid FROM pg_enum WHERE enumlabel = 'ok'});
my $filler = q{INSERT INTO %s (id, v) SELECT g, repeat('x', 100) FROM generate_series(%d, %d) g};

# The rows of a transaction: many, one that cannot be written, many, one whose label has to be
# looked up, many.
sub rows
{
	my ($table, $first) = @_;
	my @fill = map { sprintf $filler, $table, $_, $_ + 999 } 1000, 3000, 5000;
	my $label = $table eq 'half' ? "INSERT INTO half VALUES (4000, 'label', 'ok')" : "INSERT INTO guarded VALUES (4000, 'label', '$ok')";
	my $failing = $table eq 'half' ? 'SELECT 1' : q{INSERT INTO guarded VALUES (2000, repeat('too large', 200000), NULL)};

	return join '; ', $first ? ($label, @fill) : ($fill[0], $failing, $fill[1], $label, $fill[2]);
}

# Has a transaction decoded up to that label, and rolls it back there: nobody can look into
# pg_enum meanwhile. $begin is what reads.
sub roll_back_at_label
{
	my ($rows, $gid, $slot, @options) = @_;
	my $session = $node->background_psql('postgres');
	# (core does not look for an abort in savepoints of a prepared transaction)
	$session->query_safe($gid ? "BEGIN; $rows; PREPARE TRANSACTION '$gid'" : "BEGIN; SAVEPOINT s; $rows; RELEASE s");
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; LOCK TABLE pg_catalog.pg_enum');
	my $consumer = connect_to($slot, @options);
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'pg_enum'::regclass AND NOT granted}), 'decoded up to the label');
	$session->query_safe($gid ? "ROLLBACK PREPARED '$gid'" : 'ROLLBACK');
	$locker->query_safe('COMMIT');
	$_->quit for $session, $locker;
	return $consumer;
}

my $n = 0;
foreach my $table ('half', 'guarded')
{
	my $name = $table eq 'half' ? 'in the middle of an event' : 'inside a value that is written with care';
	# what comes before the label
	my ($expected, $failures) = $table eq 'half' ? (2000, 0) : (2001, 1);

	foreach my $streaming ('on', 'off')
	{
		foreach my $gid ('', 'gid')
		{
			next if $streaming eq 'off' && $gid eq '';
			my $slot = 'slot' . ++$n;
			my $what = "$name, streaming $streaming" . ($gid && ', prepared');
			sql("SELECT cdc.create_slot('$slot', two_phase => " . ($gid ? 'true' : 'false') . ')');
			my $consumer = roll_back_at_label(rows($table), $gid, $slot, "streaming=$streaming");
			my @seen = $consumer->{next}->("end of $slot");
			my ($mark) = pop @seen;
			is("$mark->{name} $mark->{events}", 'COMMITTED 1', "$what: what comes after it");
			# of a stream what was whole before the part that was interrupted may be all that is sent
			cmp_ok($seen[0]{events}, $streaming eq 'on' ? '>' : '==', $streaming eq 'on' ? 100 : $expected, "$what: events before it");
			cmp_ok($seen[0]{events}, '<=', $expected, "$what: and none from there on");
			is($seen[0]{failures}, $seen[0]{events} > 1000 ? $failures : 0, "$what: it is no failure");
			is($seen[0]{count}, $seen[0]{events}, "$what: the count is that of whole events");
			is(text(@seen), $streaming eq 'on' && !$gid ? 'ROLLED_BACK' : 'PREPARED gid, ROLLED_BACK gid', "$what: and how it ends") if $streaming eq 'off' || !$gid;
			is($seen[-1]{name}, 'ROLLED_BACK', "$what: rolled back");
			# and the connection serves
			sql("BEGIN; " . rows($table) . "; DELETE FROM $table; COMMIT");
			@seen = $consumer->{next}->("rest of $slot");
			is("$seen[0]{name} $seen[0]{events}", 'COMMITTED ' . 2 * ($table eq 'half' ? 3001 : 3002), "$what: the same rows, committed");
			$consumer->{end}->();
			sql("SELECT cdc.drop_slot('$slot', force => true)");
		}
	}
}

# --- prepared and rolled back before that is decoded -------------------------------

# parts were sent: how it ends is told as if it had never been prepared
{
	sql(q{SELECT cdc.create_slot('between', two_phase => true)});
	my $consumer = connect_to('between', 'streaming=on');
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; SAVEPOINT s; ' . sprintf($filler, 'half', 10000, 13999));
	sql('CHECKPOINT');
	ok($node->poll_query_until('postgres', q{SELECT stream_count > 0 FROM pg_stat_replication_slots WHERE slot_name = 'between'}), 'a part is decoded');
	my $walsender = sql(q{SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'between'});
	kill 'STOP', $walsender;
	$session->query_safe("RELEASE s; PREPARE TRANSACTION 'between'");
	$session->query_safe("ROLLBACK PREPARED 'between'");
	$session->quit;
	kill 'CONT', $walsender;
	my @seen = $consumer->{next}->('between');
	is(text(@seen), 'ROLLED_BACK, COMMITTED', 'parts were sent: rolled back');
	cmp_ok($seen[0]{parts}, '>', 1, 'after some parts');
	$consumer->{end}->();
	sql("SELECT cdc.drop_slot('between', force => true)");
}

# --- of which nothing was sent -------------------------------------------------------

# before the first event was whole
foreach my $table ('half', 'guarded')
{
	slot($node, "first_$table");
	my $consumer = roll_back_at_label(rows($table, 1), '', "first_$table", 'streaming=on');
	is(text($consumer->{next}->("first of $table")), 'COMMITTED', "$table: rolled back in its first event: nothing is sent of it");
	$consumer->{end}->();
	sql("SELECT cdc.drop_slot('first_$table', force => true)");
}

# nothing of it is selected
sql(q{SELECT cdc.create_slot('nothing', two_phase => true)});
my $consumer = connect_to('nothing', 'streaming=on', 'exclude_tables=*.other');
my $session = $node->background_psql('postgres');
my $streams = 0;
sub streamed
{
	my ($statement) = @_;
	$session->query_safe($statement);
	sql('CHECKPOINT');
	ok($node->poll_query_until('postgres', "SELECT stream_count > $streams FROM pg_stat_replication_slots WHERE slot_name = 'nothing'"), 'a part is decoded');
	$streams = sql(q{SELECT stream_count FROM pg_stat_replication_slots WHERE slot_name = 'nothing'});
}
my ($all, $more) = map { sprintf $filler, 'other', $_, $_ + 1999 } 10000, 20000;
streamed("BEGIN; $all");
$session->query_safe('ROLLBACK');
is(text($consumer->{next}->('rolled back')), 'COMMITTED', 'rolled back: nothing is sent of it');
streamed("BEGIN; SAVEPOINT s; $all");
$session->query_safe('ROLLBACK TO s');
streamed($more);
$session->query_safe('COMMIT');
is(text($consumer->{next}->('with a savepoint')), 'COMMITTED', 'a savepoint is rolled back, the rest committed: nothing is sent of it');
streamed('BEGIN; SAVEPOINT s; DELETE FROM other');
$session->query_safe("ROLLBACK TO s; INSERT INTO mark VALUES ('in it'); COMMIT");
my @seen = $consumer->{next}->('with one row');
is(join(', ', map { "$_->{name} $_->{events} of $_->{count}, $_->{savepoints}" } @seen), 'COMMITTED 1 of 1, 0, COMMITTED 1 of 1, 0', 'one row is selected: that, and nothing of the savepoint');
streamed("BEGIN; DELETE FROM other");
$session->query_safe("PREPARE TRANSACTION 'p'");
is(text($consumer->{next}->('prepared')), 'COMMITTED', 'prepared: nothing is sent of it');
$session->query_safe("ROLLBACK PREPARED 'p'");
$session->quit;
# (a consumer is told the end of what may have been prepared before)
is(text($consumer->{next}->('prepared and rolled back')), 'ROLLED_BACK p, COMMITTED', 'but its end');
$consumer->{end}->();

is_up($node, 'the server lives');
$node->stop;
done_testing();
