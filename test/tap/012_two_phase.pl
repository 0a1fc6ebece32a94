# Transactions that are sent when they are prepared, or while they are in
# progress: outcomes, subtransactions, metadata, and consumers that come back
# between PREPARE TRANSACTION and what follows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcRow;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 10\nlogical_decoding_work_mem = 64kB\n");

sub sql { return $node->safe_psql('postgres', @_) }

# Batches in short: OUTCOME gid events metadata, one each.
sub outcomes
{
	my @names = qw(OPEN COMMITTED ROLLED_BACK PREPARED);
	my @result;

	foreach my $batch (batches($_[0]))
	{
		my %batch = (outcome => 0, events => 0, gid => '-', rolled_back => 0, metadata => '', commit => 0, prepare => 0);
		foreach (fields($batch))
		{
			my ($number, $value) = @$_;
			$batch{outcome} = $value if $number == 3;
			$batch{events}++ if $number == 7;
			$batch{rolled_back}++ if $number == 8;
			next unless $number == 1;
			foreach (fields($value))
			{
				$batch{gid} = $_->[1] if $_->[0] == 6;
				$batch{commit} = 1 if $_->[0] == 3;
				$batch{prepare} = 1 if $_->[0] == 8;
				$batch{metadata} .= join '=', map { $_->[1] } fields($_->[1]) if $_->[0] == 7;
			}
		}
		push @result, \%batch;
		$batch{name} = $names[ $batch{outcome} ];
	}
	return @result;
}

# NAME gid events, of the batches that have an outcome
sub summary
{
	return join ', ', map { "$_->{name} $_->{gid} $_->{events}" . ($_->{metadata} && " $_->{metadata}") }
	  grep { $_->{outcome} } outcomes($_[0]);
}

sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)');
sql("SELECT cdc.create_slot('prepared', two_phase => true)");
slot($node, $_) for qw(plain late streaming);
is(sql("SELECT string_agg(slot_name, ' ') FROM cdc.slots WHERE two_phase"), 'prepared', 'create_slot with two_phase');

# a prepared transaction, seen by three consumers
sql(q{BEGIN; SELECT cdc.set_metadata('who', 'ann'); INSERT INTO t VALUES (1, 'a'), (2, 'b');
SAVEPOINT s; INSERT INTO t VALUES (3, 'gone'); ROLLBACK TO s;
PREPARE TRANSACTION 'one'});
is(summary(receive($node, 'prepared')), 'PREPARED one 2 who=ann', 'sent when it is prepared');
is(summary(receive($node, 'plain')), '', 'without two_phase it is not');

# the consumer comes back between PREPARE and COMMIT PREPARED
sql(q{INSERT INTO u VALUES (1); COMMIT PREPARED 'one'});
is(summary(receive($node, 'prepared')), 'COMMITTED - 1, COMMITTED one 0', 'its commit, on another connection');
is(summary(receive($node, 'plain')), 'COMMITTED - 1, COMMITTED - 2 who=ann', 'an ordinary transaction for others');

sql(q{BEGIN; INSERT INTO t VALUES (4, 'd'); PREPARE TRANSACTION 'two'});
is(summary(receive($node, 'prepared')), 'PREPARED two 1', 'prepared');
$node->stop('immediate');
$node->start;
sql(q{ROLLBACK PREPARED 'two'; INSERT INTO u VALUES (2)});
is(summary(receive($node, 'prepared')), 'ROLLED_BACK two 0, COMMITTED - 1', 'rolled back after a crash');
is(summary(receive($node, 'plain')), 'COMMITTED - 1', 'for others it never was');

# rolled back before it is read, where all was done in savepoints: what they have made is gone from the catalogs
sql(q{CREATE TABLE gone (id int PRIMARY KEY)});
receive($node, $_) for qw(prepared plain);
sql(q{BEGIN; SAVEPOINT s; TRUNCATE gone; INSERT INTO gone VALUES (1); RELEASE s; PREPARE TRANSACTION 'gone';});
sql(q{ROLLBACK PREPARED 'gone'; INSERT INTO u VALUES (3)});
sql('VACUUM pg_class');
is(summary(receive($node, 'prepared')), 'ROLLED_BACK gone 0, COMMITTED - 1', 'rolled back before it was read: nothing but its end');
is(summary(receive($node, 'plain')), 'COMMITTED - 1', 'and for others nothing');

# positions: commit_lsn is that of COMMIT PREPARED
my ($prepared) = grep { $_->{outcome} } outcomes(do {
	sql(q{BEGIN; INSERT INTO t VALUES (5, 'e'); PREPARE TRANSACTION 'three'});
	receive($node, 'prepared');
});
ok(!$prepared->{commit} && $prepared->{prepare}, 'a prepared transaction has a prepare_lsn and no commit_lsn');

# switched on while a transaction is prepared: it comes whole with its commit
is(summary(receive($node, 'late')) =~ s/.*, (?=COMMITTED - 1$)//r, 'COMMITTED - 1', 'before two_phase is on');
is(summary(receive($node, 'late', options => { two_phase => 'on' })), '', 'switched on: nothing yet');
sql(q{COMMIT PREPARED 'three'});
is(summary(receive($node, 'late', options => { two_phase => 'on' })), 'PREPARED three 1, COMMITTED three 0',
	'prepared before it was switched on: events and commit');
is(summary(receive($node, 'prepared')), 'COMMITTED three 0', 'and for the one that had it');

# streamed and prepared, with a savepoint that is rolled back
$node->safe_psql('postgres', "SELECT pg_replication_slot_advance('$_', pg_current_wal_lsn())") for qw(streaming prepared);
my $large = q{BEGIN; SELECT cdc.set_metadata('k', 'top'); INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1000, 1999) g;
SAVEPOINT s; SELECT cdc.set_metadata('k', 'void'); SELECT cdc.set_metadata('gone', 'x');
INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(3000, 3999) g; ROLLBACK TO s;
INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(5000, 5999) g;};
sql("$large PREPARE TRANSACTION 'big'");
my @big = outcomes(receive($node, 'prepared', options => { streaming => 'on' }));
is($big[-1]{name} . $big[-1]{gid}, 'PREPAREDbig', 'a streamed transaction is prepared');
is($big[-1]{metadata}, 'k=top', 'metadata of what was not rolled back');
ok(@big > 3 && !(grep { $_->{metadata} } @big[ 0 .. $#big - 1 ]), 'in parts without metadata');
ok((grep { $_->{rolled_back} } @big), 'which tell of the savepoint');
sql(q{COMMIT PREPARED 'big'});
is(summary(receive($node, 'prepared', options => { streaming => 'on' })), 'COMMITTED big 0', 'and committed');

# streamed and then aborted, while somebody reads
sql(q{DELETE FROM t});
receive($node, 'streaming');
{
	my $session = $node->background_psql('postgres');
	$session->query_safe($large =~ s/ROLLBACK TO s;.*//sr);
	my @open = outcomes(receive($node, 'streaming', options => { streaming => 'on' }));
	ok(@open > 1 && !(grep { $_->{outcome} } @open), 'parts of a transaction in progress');
	$session->query_safe('ROLLBACK');
	$session->quit;
	my @after = outcomes(receive($node, 'streaming', options => { streaming => 'on' }));
	ok(!(grep { $_->{name} eq 'COMMITTED' } @after), 'it never commits');
}

# messages in savepoints, rolled back after they were sent, and before; what a
# reader keeps
sub kept_messages
{
	my (%void, @messages);

	foreach my $batch (batches(join '', @_))
	{
		foreach (fields($batch))
		{
			$void{$_} = 1 foreach $_->[0] == 8 ? CdcRow::varints($_->[1]) : ();
			next if $_->[0] != 7;
			my %event = map { $_->[0] => $_->[1] } fields($_->[1]);
			next if $event{1} != 5;
			my %message = map { $_->[0] => $_->[1] } fields($event{13});
			push @messages, [ $event{10}, $message{2} ];
		}
	}
	return join ' ', map { ($void{ $_->[0] // 0 } ? '-' : '') . $_->[1] } @messages;
}

my %savepoints = (
	filler => q{INSERT INTO t SELECT nextval('filler'), repeat('x', 100) FROM generate_series(1, 1000)},
	map { $_ => "SELECT pg_logical_emit_message(true, '$_', 'x')" } qw(top void nested released small kept last));
sql('CREATE SEQUENCE filler START 100000');
my @steps = ('BEGIN', 'top', 'filler', 'SAVEPOINT a', 'void', 'filler', '?', 'SAVEPOINT b', 'nested', 'filler', '?', 'RELEASE b', 'released',
	'filler', '?', 'ROLLBACK TO a', 'small', 'ROLLBACK TO a', 'filler', '?', 'SAVEPOINT c', 'kept', 'filler', '?', 'RELEASE c', 'RELEASE a', 'last');
slot($node, $_) for qw(messages live);
sql("SELECT cdc.create_slot('messages_prepared', two_phase => true)");
my %streamed = (options => { streaming => 'on', messages => '*' });
{
	# read while it is in progress, by one connection and by one for each '?'
	my $session = $node->background_psql('postgres');
	my $file = write_file('live.bin', '');
	my ($in, $out, $err, @received, $last) = ('', '', '');
	my $client = IPC::Run::start([ 'pg_recvlogical', '-S', 'live', '-d', $node->connstr('postgres'), '--start', '--no-loop',
			'-o', 'streaming=on', '-o', 'messages=*', '-f', $file ], '<', \$in, '>', \$out, '2>', \$err);
	foreach (@steps, 'COMMIT', '?')
	{
		if ($_ ne '?')
		{
			$session->query_safe($savepoints{$_} // $_);
			$last = $_ if exists $savepoints{$_} && $_ !~ /^(filler|small)$/;
			next;
		}
		push @received, receive($node, 'messages', %streamed);
		eventually(sub { slurp_file($file) =~ /\Q$last\E/ }) or die "no $last";
	}
	$session->quit;
	$client->signal('INT');
	$client->finish;
	is(kept_messages(slurp_file($file)), 'top -void -nested -released kept last', 'messages in savepoints that were rolled back after they were sent');
	# A new connection streams only once it is beyond what was confirmed, and
	# newer servers look what is rolled back already: that need not come.
	is(join(', ', map { kept_messages($_) =~ s/ -\w+//gr } @received), 'top void, top void nested, top void nested released, top, top kept, top kept last',
		'and over several connections');
}
receive($node, 'messages_prepared', %streamed);
slot($node, 'messages_plain');
sql(join '; ', map { $savepoints{$_} // $_ } (grep { $_ ne '?' } @steps), "PREPARE TRANSACTION 'messages'");
is(kept_messages(receive($node, 'messages_prepared', %streamed)) =~ s/ -\w+//gr, 'top kept last', 'of a prepared transaction');
sql("COMMIT PREPARED 'messages'");
is(kept_messages(receive($node, 'messages_plain', options => { messages => '*' })), 'top kept last', 'those that count, as core tells them');

# an origin is known at the end only, where there is no transaction
sql(q{SELECT pg_replication_origin_create('far'); SELECT pg_replication_origin_session_setup('far');} .
	"$large COMMIT");
my $bytes = receive($node, 'streaming', options => { streaming => 'on' });
like((batches($bytes))[-1], qr/far/, 'the origin of a streamed transaction');
unlike((batches($bytes))[0], qr/far/, 'is not known before');

# What one transaction has said of itself is never another's. The connection stays
# open, so that the walsender has sent parts of what is rolled back.
receive($node, 'streaming');
my $file = "$PostgreSQL::Test::Utils::tmp_check/live.bin";
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'streaming', '--start', '--no-loop',
		'-f', $file, '-F', '0', '-s', '1', '-o', 'streaming=on' ]);
wait_active($node, 'streaming', 'true');
sub sent
{
	my $upto = sql('CHECKPOINT; SELECT pg_current_wal_insert_lsn()');
	$node->poll_query_until('postgres',
		"SELECT sent_lsn >= '$upto' FROM pg_stat_replication WHERE pid = (SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'streaming')")
	  or die 'the walsender does not get on';
}
my $rows = q{INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(700000, 702000) g};
my $named = q{BEGIN; SELECT cdc.set_metadata('whose', 'mine'); INSERT INTO u VALUES (%d); COMMIT};
my $other = $node->background_psql('postgres');
$other->query_safe("BEGIN; SAVEPOINT s; $rows");
sent();
sql(sprintf $named, 700);
$other->query_safe("ROLLBACK TO s; $rows");
sent();
sql(sprintf $named, 701);
$other->query_safe('ROLLBACK');
$other->quit;
sent();
$live->signal('INT');
$live->finish;
my @outcomes = outcomes(slurp_file($file));
ok((grep { $_->{rolled_back} } @outcomes), 'a savepoint was rolled back after it was sent');
ok((grep { $_->{name} eq 'ROLLED_BACK' } @outcomes), 'and a transaction');
is(join(' ', map { $_->{name} . ($_->{rolled_back} ? ' savepoint' : '') } grep { $_->{metadata} } @outcomes),
	'COMMITTED COMMITTED', 'metadata in the batches of its own transaction alone');

my ($ret, $out, $err) = $node->psql('postgres',
	q{SELECT * FROM pg_logical_slot_peek_changes('streaming', NULL, NULL, 'streaming', 'on', 'format', 'json')});
like($err, qr/"streaming" does not go with format = 'json'/, 'streaming as JSON is refused');
ok(is_up($node), 'the server is up');

done_testing();
