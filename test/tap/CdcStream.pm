# What the tests share: servers with cdc in them, and draining slots through
# the walsender by pg_recvlogical.
package CdcStream;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(knows_plugin_list has_plugin has_xml major new_node slot end_of_wal receive receive_json
  batches
  fields schema_versions without_source decode write_file wait_active is_up eventually);

# For who only wants to know whether all is well (scripts/mutants).
if ($ENV{CDC_BAIL_ON_FAIL})
{
	require Test2::API;
	Test2::API::test2_add_callback_context_release(sub {
		my ($context) = @_;
		$context->bail('the first failure') if !$context->hub->is_passing;
	});
}

# Whether this server only lets plugins create slots that are listed.
sub knows_plugin_list
{
	my ($out, $err);
	IPC::Run::run([ 'postgres', '--describe-config' ], '>', \$out, '2>', \$err);
	return $out =~ /^output_plugin_libraries\t/m;
}

# Whether the server's installation has an output plugin: there are builds without contrib.
sub has_plugin
{
	my ($name) = @_;
	my ($out, $err);
	IPC::Run::run([ 'pg_config', '--pkglibdir' ], '>', \$out, '2>', \$err);
	chomp $out;
	return -e "$out/$name.so" || -e "$out/$name.dylib";
}

# Whether it has values of XML: there are builds without libxml.
sub has_xml
{
	my ($node) = @_;
	return $node->psql('postgres', q{SELECT '<a/>'::xml}) == 0;
}

# Its major version.
sub major
{
	my ($out, $err);
	IPC::Run::run([ 'postgres', '-V' ], '>', \$out, '2>', \$err);
	return ($out =~ /^postgres \(PostgreSQL\) (\d+)/)[0];
}

# A running server. Parameters: initdb (list of options), conf (settings),
# extension => 0 to do without CREATE EXTENSION, plugins => the list of plugins
# allowed, where the server has it; install_path => of another installation.
sub new_node
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, map { $_ => $params{$_} } grep { $params{$_} } 'install_path');

	$node->init(
		allows_streaming => 'logical',
		extra => [ '--locale=C', @{ $params{initdb} // ['--encoding=UTF8'] } ]);
	$node->append_conf('postgresql.conf', "timezone = 'UTC'\nmax_wal_size = 4GB\nmax_replication_slots = 30\nmax_wal_senders = 20\nmax_connections = 40\nlog_statement = none\nlog_min_messages = warning\ncdc.warn_of_old_minor = off\n");
	# most tests are about rows
	$node->append_conf('postgresql.conf', 'cdc.track_schema = off');
	# of which 19 makes more as long as there is a logical slot
	$node->append_conf('postgresql.conf', 'wal_level = replica') if major() >= 19;
	$node->append_conf('postgresql.conf', 'output_plugin_libraries = '
		  . ($params{plugins} // "'pgoutput, test_decoding, cdc'"))
	  if knows_plugin_list();
	$node->append_conf('postgresql.conf', $params{conf}) if $params{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION cdc') if $params{extension} // 1;
	return $node;
}

sub slot
{
	my ($node, $name, $db) = @_;
	$node->safe_psql($db // 'postgres', "SELECT cdc.create_slot('$name')");
}

# A position behind everything that was done; it is on disk, so that a
# walsender reaches it.
sub end_of_wal
{
	my ($node) = @_;
	return $node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_current_wal_flush_lsn()');
}

# Drains a slot up to now, and confirms it. Parameters: db, options (hash),
# pgoptions (settings of the connection), upto. Returns the bytes.
sub receive
{
	my ($node, $slot, %params) = @_;
	local $ENV{PGOPTIONS} = $params{pgoptions} if defined $params{pgoptions};

	return scalar $node->pg_recvlogical_upto($params{db} // 'postgres', $slot,
		$params{upto} // end_of_wal($node),
		$PostgreSQL::Test::Utils::timeout_default, %{ $params{options} // {} });
}

# The same with format=json: the lines of events, and of outcomes if outcomes
# is given.
sub receive_json
{
	my ($node, $slot, %params) = @_;
	$params{options} = { %{ $params{options} // {} }, format => 'json' };
	return grep { $params{outcomes} || /^\{"position"/ } split /\n/, receive($node, $slot, %params);
}

# A varint at the position of a string; moves the position.
sub varint
{
	my ($bytes) = @_;
	$$bytes =~ /\G([\x80-\xff]{0,9}[\x00-\x7f])/gcs or die 'no varint';
	my ($value, $shift) = (0, 0);
	foreach my $byte (unpack 'C*', $1)
	{
		$value |= ($byte & 0x7f) << $shift;
		$shift += 7;
	}
	return $value;
}

# The serialized batches of what receive() gave. Dies on anything that is not
# a length, a batch, a newline, and so on.
sub batches
{
	my ($bytes) = @_;
	my @batches;

	pos($bytes) = 0;
	while (pos($bytes) < length $bytes)
	{
		my $length = varint(\$bytes);
		push @batches, substr $bytes, pos($bytes), $length;
		pos($bytes) += $length;
		$bytes =~ /\G\n/gc or die 'no newline after a batch';
	}
	return @batches;
}

# The fields of a serialized message: [number, value, all of its bytes].
sub fields
{
	my ($message) = @_;
	my @fields;

	pos($message) = 0;
	while (pos($message) < length $message)
	{
		my $start = pos $message;
		my $tag = varint(\$message);
		my $value;
		if (($tag & 7) == 0) { $value = varint(\$message) }
		else
		{
			my $length = { 1 => 8, 5 => 4 }->{ $tag & 7 } // varint(\$message);
			$value = substr $message, pos($message), $length;
			pos($message) += $length;
		}
		push @fields, [ $tag >> 3, $value, substr($message, $start, pos($message) - $start) ];
	}
	return @fields;
}

# The name and version of each schema in a stream, "t 1, u 0".
sub schema_versions
{
	my @versions;
	foreach my $field (grep { $_->[0] == 6 } map { fields($_) } batches($_[0]))
	{
		my %schema = map { $_->[0] => $_->[1] } fields($field->[1]);
		my %table = map { $_->[0] => $_->[1] } fields($schema{2});
		push @versions, "$table{2} " . ($schema{3} // 0);
	}
	return join ', ', @versions;
}

# The batches in hexadecimal, without Batch.source, which names the slot.
sub without_source
{
	return map { unpack 'H*', join '', map { $_->[2] } grep { $_->[0] != 9 } fields($_) }
	  batches(@_);
}

sub write_file
{
	my ($name, $bytes) = @_;
	my $path = "$PostgreSQL::Test::Utils::tmp_check/$name";

	open my $file, '>:raw', $path or die "$path: $!";
	print $file $bytes;
	close $file or die "$path: $!";
	return $path;
}

# The JSON lines of what receive() gave, made by the SQL function.
sub decode
{
	my ($node, $bytes, $db) = @_;
	my $path = write_file('decode.bin', $bytes);
	return split /\n/,
	  $node->safe_psql($db // 'postgres', "SELECT cdc.decode_json(pg_read_binary_file('$path'))");
}

sub wait_active
{
	my ($node, $slot, $active) = @_;
	$node->poll_query_until('postgres',
		"SELECT active = $active FROM pg_replication_slots WHERE slot_name = '$slot'")
	  or die "slot $slot: active is not $active";
}

# A server that crashed stays down (restart_after_crash is off in these tests).
sub is_up
{
	my ($node, $name) = @_;
	is($node->safe_psql('postgres', 'SELECT 1'), '1', $name);
}

# Waits until code returns true; false after the timeout.
sub eventually
{
	my ($code) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $code->();
		select undef, undef, undef, 0.1;
	}
	return 0;
}

1;
