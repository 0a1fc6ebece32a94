# Rows of the stream as text: what docs/protocol.md says of types, followed
# without any of the extension's own code. A value is given as PostgreSQL's
# output functions write it, with the settings of the protocol.
package CdcRow;

use strict;
use warnings;

use CdcStream;
use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(each_event type_name field_of fields_of);

my %types = reverse slurp_file("$FindBin::Bin/../../proto/cdc/v1/cdc.proto") =~ /^  TYPE_(\w+) = (\d+);/mg;
my @ops = qw(- INSERT UPDATE DELETE TRUNCATE MESSAGE READ REWRITE);

# The fields of a message by number, the last of each.
sub fields_of { return map { $_->[0] => $_->[1] } fields($_[0]) }
sub field_of { return {fields_of($_[1])}->{ $_[0] } }

sub zigzag
{
	my ($v) = @_;
	return $v & 1 ? -($v >> 1) - 1 : $v >> 1;
}

sub floor_div
{
	my ($n, $d) = @_;
	use integer;
	return ($n - (($n % $d) + $d) % $d) / $d;
}

# The date that many days after 2000-01-01, and whether it is before Christ.
sub date
{
	my ($days) = @_;
	use integer;
	my $day = $days + 730425;    # since 0000-03-01
	my $era = CdcRow::floor_div($day, 146097);
	$day -= $era * 146097;
	my $year = ($day - $day / 1460 + $day / 36524 - $day / 146096) / 365;
	$day -= 365 * $year + $year / 4 - $year / 100;
	my $month = (5 * $day + 2) / 153;
	$day -= (153 * $month + 2) / 5 - 1;
	$month += $month < 10 ? 3 : -9;
	$year += $era * 400 + ($month <= 2 ? 1 : 0);
	return (sprintf('%04d-%02d-%02d', $year > 0 ? $year : 1 - $year, $month, $day), $year <= 0 ? ' BC' : '');
}

sub time_of
{
	my ($us) = @_;
	my $seconds = floor_div($us, 1000000);
	my $text = sprintf '%02d:%02d:%02d', $seconds / 3600, $seconds / 60 % 60, $seconds % 60;

	return $text . fraction($us % 1000000);
}

sub fraction
{
	my ($us) = @_;
	return '' if $us == 0;
	return sprintf('.%06d', $us) =~ s/0+$//r;
}

sub timestamp
{
	my ($value, $zone) = @_;
	my $us = unpack 'q<', $value;
	return 'infinity' if $us == 9223372036854775807;
	return '-infinity' if $us == -9223372036854775807 - 1;
	my $days = floor_div($us, 86400000000);
	my ($date, $bc) = date($days);
	return "$date " . time_of($us - $days * 86400000000) . "$zone$bc";
}

sub date_text
{
	my $days = zigzag($_[0]);
	return 'infinity' if $days == 0x7FFFFFFF;
	return '-infinity' if $days == -0x80000000;
	return join '', date($days);
}

sub timetz
{
	my %part = (1 => 0, 2 => 0, fields_of($_[0]));
	my $zone = zigzag($part{2});
	my $east = abs $zone;
	my $text = time_of($part{1}) . ($zone < 0 ? '-' : '+') . sprintf('%02d', $east / 3600);

	$text .= sprintf ':%02d', $east / 60 % 60 if $east % 3600;
	$text .= sprintf ':%02d', $east % 60 if $east % 60;
	return $text;
}

sub interval
{
	my %part = (1 => 0, 2 => 0, 3 => 0, fields_of($_[0]));
	my ($months, $days, $us) = map { zigzag($part{$_}) } 1 .. 3;
	return 'infinity' if $months == 0x7FFFFFFF && $days == 0x7FFFFFFF && $us == 9223372036854775807;
	return '-infinity' if $months == -0x80000000 && $days == -0x80000000 && $us == -9223372036854775807 - 1;
	my $sign = $months < 0 ? -1 : 1;
	my $year = $sign * floor_div(abs $months, 12);
	my ($text, $before) = ('', 0);

	foreach ([ $year, 'year' ], [ $months - 12 * $year, 'mon' ], [ $days, 'day' ])
	{
		my ($n, $unit) = @$_;
		next if $n == 0;
		$text .= ($text eq '' ? '' : ' ') . ($before && $n > 0 ? '+' : '') . "$n $unit" . ($n == 1 ? '' : 's');
		$before = $n < 0;
	}
	return $text if $us == 0 && $text ne '';
	# the smallest int64 has no positive counterpart
	my ($seconds, $rest);
	{
		use integer;
		($seconds, $rest) = ($us / 1000000, $us % 1000000);
		($seconds, $rest) = (-$seconds, -$rest) if $us < 0;
	}
	return $text . ($text eq '' ? '' : ' ') . ($us < 0 ? '-' : $before ? '+' : '')
	  . sprintf('%02d:%02d:%02d', $seconds / 3600, $seconds / 60 % 60, $seconds % 60) . fraction($rest);
}

# The fewest digits that read back to the same bits. Plain between the
# exponents -4 and $plain.
sub float
{
	my ($bytes, $format, $digits, $plain) = @_;
	my $value = unpack $format, $bytes;
	return 'NaN' if $value != $value;
	return $value > 0 ? 'Infinity' : '-Infinity' if abs($value) == 9**9**9;
	my $short;
	for (1 .. $digits)
	{
		$short = sprintf '%.' . ($_ - 1) . 'e', $value;
		# to Perl the rounded form of the largest float4 is infinite
		last if pack($format, $short) eq $bytes || ($digits == 9 && $_ == 8 && abs($short) > 3.4028234e38);
	}
	my ($sign, $mantissa, $exponent) = $short =~ /^(-?)([\d.]+)e([+-]\d+)$/;
	(my $all = $mantissa) =~ s/\.//;
	$all =~ s/(?<=.)0+$//;
	my $n = length $all;
	return sprintf '%s%s%se%s%02d', $sign, substr($all, 0, 1), $n > 1 ? '.' . substr($all, 1) : '',
	  $exponent < 0 ? '-' : '+', abs $exponent
	  if $exponent < -4 || $exponent >= $plain;
	return $sign . '0.' . '0' x (-$exponent - 1) . $all if $exponent < 0;
	return $sign . $all . '0' x ($exponent + 1 - $n) if $exponent + 1 >= $n;
	return $sign . substr($all, 0, $exponent + 1) . '.' . substr($all, $exponent + 1);
}

sub uuid { return join '-', unpack 'H8H4H4H4H12', $_[0] }

my %text = (
	BOOL => sub { $_[0] ? 't' : 'f' },
	(map { $_ => sub { zigzag($_[0]) } } qw(INT32 INT64)),
	UINT32 => sub { $_[0] },
	FLOAT => sub { float($_[0], 'f<', 9, 6) },
	DOUBLE => sub { float($_[0], 'd<', 17, 15) },
	(map { $_ => sub { $_[0] } } qw(NUMERIC TEXT JSON OTHER)),
	BYTES => sub { '\x' . unpack 'H*', $_[0] },
	UUID => \&uuid,
	TIMESTAMP => sub { timestamp($_[0], '') },
	TIMESTAMPTZ => sub { timestamp($_[0], '+00') },
	DATE => \&date_text,
	TIME => sub { time_of($_[0]) },
	TIMETZ => \&timetz,
	INTERVAL => \&interval,
);

my %packed = (BOOL => 0, INT32 => 0, INT64 => 0, UINT32 => 0, FLOAT => 4, DOUBLE => 8);

sub varints
{
	my ($bytes) = @_;
	my @values;
	pos($bytes) = 0;
	push @values, CdcStream::varint(\$bytes) while pos($bytes) < length $bytes;
	return @values;
}

sub nested
{
	my ($delimiter, $values, $size, @more) = @_;
	return '{' . join($delimiter, map { @more ? nested($delimiter, $values, @more) : shift @$values } 1 .. $size) . '}';
}

sub array
{
	my ($bytes, $element, $delimiter) = @_;
	my (@values, @nulls, @dims, @bounds);

	foreach (fields($bytes))
	{
		my ($number, $value) = @$_;
		if ($number == 2) { push @nulls, varints($value) }
		elsif ($number == 3) { push @dims, varints($value) }
		elsif ($number == 4) { push @bounds, map { zigzag($_) } varints($value) }
		elsif (!exists $packed{$element}) { push @values, $value }
		elsif ($packed{$element}) { push @values, unpack "(a$packed{$element})*", $value }
		else { push @values, varints($value) }
	}
	return '{}' if !@values;
	@dims = scalar @values if !@dims;
	# all that are no numbers, bytes or uuid are text
	my $text = $element =~ /^(BYTES|UUID)$/ || exists $packed{$element} ? $text{$element} : $text{TEXT};
	foreach (@values)
	{
		$_ = $text->($_);
		$_ = '"' . s/(["\\])/\\$1/gr . '"'
		  if $_ eq '' || uc $_ eq 'NULL' || /["\\{}\Q$delimiter\E \t\n\r\x0b\f]/;
	}
	$values[$_] = 'NULL' foreach @nulls;
	my $bounds = (grep { $_ != 1 } @bounds)
	  ? join('', map { "[$bounds[$_]:" . ($bounds[$_] + $dims[$_] - 1) . ']' } 0 .. $#dims) . '=' : '';
	return $bounds . nested($delimiter, \@values, @dims);
}

sub table
{
	my ($bytes) = @_;
	my %table = (columns => {});

	foreach (fields($bytes))
	{
		my ($number, $value) = @$_;
		$table{schema} = $value if $number == 1;
		$table{name} = $value if $number == 2;
		next if $number != 3;
		my %column = fields_of($value);
		$table{columns}{ $column{1} } = { name => $column{2}, pg_type => $column{4},
			type => $types{ $column{3} }, element => $types{ $column{9} // 0 } };
	}
	return \%table;
}

# Name of a type by its number.
sub type_name { return $types{ $_[0] } }

# The values of a row by name; delimiters of arrays by the names of their types.
sub row
{
	my ($table, $bytes, $delimiters) = @_;
	my %row;

	foreach (fields($bytes))
	{
		my ($number, $value) = @$_;
		my $column = $table->{columns}{$number} or die "no column $number in $table->{name}";
		$row{ $column->{name} } = $column->{type} eq 'ARRAY'
		  ? array($value, $column->{element}, $delimiters->{ $column->{pg_type} } // ',')
		  : $text{ $column->{type} }->($value);
	}
	return \%row;
}

# Calls code for each event of what receive() gave: op, table, key, new_key,
# old, new (rows: name to text; undef where absent), nulls (names), failure, subxid.
sub each_event
{
	my ($bytes, $code, %delimiters) = @_;
	my %tables;

	foreach my $batch (batches($bytes))
	{
		my @fields = fields($batch);
		foreach (grep { $_->[0] == 6 } @fields)
		{
			my %version = fields_of($_->[1]);
			$tables{ $version{1} } //= table($version{2});
		}
		foreach (grep { $_->[0] == 7 } @fields)
		{
			my %field = fields_of($_->[1]);
			my $table = defined $field{4} ? $tables{ $field{4} } : undef;
			my %event = (op => $ops[ $field{1} ], table => $table, subxid => $field{10}, failure => $field{14},
				nulls => [ map { $table->{columns}{$_}{name} } varints($field{8} // '') ]);
			foreach ([ key => 5 ], [ old => 6 ], [ new => 7 ], [ new_key => 9 ])
			{
				$event{ $_->[0] } = row($table, $field{ $_->[1] }, \%delimiters) if defined $field{ $_->[1] };
			}
			$code->(\%event);
		}
	}
}

1;
