#!/bin/bash
# Checks how the code in src/ hangs together: the rooms are its folders, their order is that of
# ROOMS in the Makefile. Prints TAP. Then it spoils a small sound tree, one rule at a
# time, and expects that rule, and no other, to find something.
#
#   test/layering.sh [DIRECTORY]    the tree to look at; default: this one

set -euo pipefail
shopt -s nullglob

tree=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)
tests=0 failed=0

result()				# NAME COMPLAINTS
{
	tests=$((tests + 1))
	if [ -z "$2" ]; then
		echo "ok $tests - $1"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $1"
		sed 's/^/#   /' <<<"$2"
	fi
}

# --- what is looked at ---------------------------------------------------

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

declare -A room_number			# by the name of a room, from 1
rooms=()

# In these nothing is kept between calls, and outside of those nothing is known of a session.
STATELESS='wire values schema json rows select snapshot'
SESSION='session slots'

# Reads the tree that the rules are about: its sources without comments and
# texts, in $code with their lines where they were, and the order of the rooms.
look_at()				# DIRECTORY
{
	local room

	root=$1
	code=$work/code
	rm -rf "$code"
	mkdir "$code"
	(cd "$root/src" && CODE=$code perl -0e '
		for my $file (@ARGV)
		{
			open(my $in, "<", $file) or die $!;
			my $text = <$in> // "";
			$text =~ s{(/\*.*?\*/)|(//[^\n]*)|("(?:[^"\\\n]|\\.)*")}{
				defined $3 ? "\"\"" : do { (my $c = $&) =~ s/[^\n]//g; " $c" } }gse;
			mkdir("$ENV{CODE}/$1") if $file =~ m{(.*)/};
			open(my $out, ">", "$ENV{CODE}/$file") or die $!;
			print $out $text;
		}' $(sources))
	read -ra rooms < <(sed -n 's/^ROOMS = //p' "$root/Makefile")
	room_number=()
	for room in "${rooms[@]}"; do
		room_number[$room]=$((${#room_number[@]} + 1))
	done
}

# The files under src/ of the tree, but what is generated.
sources() { (cd "$root/src" && printf '%s\n' *.[ch] */*.[ch]) | grep -v '^cdc/' || :; }

# The number of the room of a file: 0 for compat.h and generated headers, which anybody may
# include, and the highest for cdc.c.
number_of()
{
	case $1 in
		compat.h | cdc/*) echo 0 ;;
		*/*) echo "${room_number[${1%%/*}]:-99}" ;;
		*) echo 98 ;;
	esac
}

files_of()				# ROOM...
{
	local room

	for room; do
		(cd "$code" && printf '%s\n' "$room"/*.[ch])
	done
}

# --- the rules: each prints what is wrong, with file and line ------------

every_file_has_a_room()
{
	local file room

	for file in $(sources); do
		case $file in
			cdc.c | compat.h) ;;
			*/*) [ -n "${room_number[${file%%/*}]-}" ] || echo "src/$file is in no room of the Makefile's ROOMS" ;;
			*) echo "src/$file is in no room" ;;
		esac
	done
	for room in "${rooms[@]}"; do
		[ -n "$(files_of "$room")" ] || echo "room $room is empty"
		grep -q "^| \`$room/\`" "$root/docs/design.md" || echo "room $room is not in the table of docs/design.md"
	done
}

# Prints the arrows from a file to another: FILE LINE INCLUDED.
arrows()
{
	(cd "$root/src" && grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $(sources) /dev/null) |
		sed 's/^\([^:]*\):\([^:]*\):.*"\(.*\)".*/\1 \2 \3/'
}

includes_point_down()
{
	local file line name

	arrows | while read -r file line name; do
		[ -e "$root/src/$name" ] || continue
		[ "$(number_of "$name")" -le "$(number_of "$file")" ] || echo "$file:$line: includes $name, of a higher room"
	done
}

# Of files, also within a room; a header and its .c file are one.
includes_make_no_circle()
{
	arrows | while read -r file line name; do
		[ ! -e "$root/src/$name" ] || [ "${file%.?}" = "${name%.?}" ] || echo "${file%.?} ${name%.?}"
	done | tsort 2>&1 >/dev/null | sed 's/^tsort: //'
}

# Prints the places of a pattern in files other than $2.
only_in() { (cd "$code" && grep -nE "$1" $(sources) | grep -v "^$2:") || :; }

server_versions_only_in_compat() { only_in '\bPG_VERSION(_NUM)?\b|\bPG_MAJORVERSION' 'compat\.h'; }
output_only_in_batch() { only_in '\bOutputPlugin(Prepare)?Write\b' 'session/batch\.c'; }

other_rooms_know_no_session()
{
	local files

	files=$(sources | grep -vE "^(compat\.h|(${SESSION// /|})/)") || :
	(cd "$code" && grep -nE '\bLogicalDecodingContext\b' $files /dev/null) || :
}

# A static variable is constant only if the pointer that it may be is.
some_rooms_have_no_state()
{
	(cd "$code" && perl -ne '
		if (/^\s*static\b/ && !/^\s*static\s+inline\b/)
		{
			my $pointer = /\*\s*\w+\s*(=|;|$)/ && !/\*\s*const\b/;
			print "$ARGV:$.: $_" if /\(\s*\*\s*(?!const)\w+\s*\)/
				|| (/^[^()]*[;=\[]/ && ($pointer || !/\bconst\b/));
		}
		close ARGV if eof;' $(files_of $STATELESS) /dev/null)
}

# Modules are loaded with all their symbols visible to one another.
externs_bear_the_prefix()
{
	(cd "$code" && perl -ne '
		if (/^(static|typedef|extern|struct|enum|union|#|\}|\s|$)/) { }
		elsif (/^(?:\w[\w\s*]*[\s*])?([a-z_]\w*)\s*\(/)
		{ print "$ARGV:$.: $_" if $before !~ /^static\b/ && $1 !~ /^(cdc_|_PG_)/ }
		elsif (/^\w[\w\s*]*?[\s*](\w+)\s*(\[[^]]*\]\s*)*(=|;)/)
		{ print "$ARGV:$.: $_" if $1 !~ /^cdc_/ }
		$before = $_;
		if (eof) { close ARGV; $before = "" }' $(sources | grep '\.c$'))
}

# As PostgreSQL writes; in every text of the tree, over the ends of lines too.
cannot_is_one_word()
{
	(cd "$root" && find . \( -name .git -o -name target -o -name tmp_check \) -prune -o -type f \
			\( -name '*.[ch]' -o -name '*.sql' -o -name '*.out' -o -name '*.p[lmy]' -o -name '*.sh' -o -name '*.md' \
			-o -name '*.go' -o -name '*.rs' -o -name '*.proto' -o -name '*.spec' -o -path './scripts/*' \) \
			! -name layering.sh -print0 | xargs -0 perl -0777 -ne '
		print "$ARGV:", 1 + (substr($_, 0, $-[0]) =~ tr/\n//), ": can not\n" while m{\bcan[\s*#/!-]+not\b}gi')
}

RULES="every_file_has_a_room includes_point_down includes_make_no_circle
server_versions_only_in_compat output_only_in_batch
other_rooms_know_no_session some_rooms_have_no_state externs_bear_the_prefix cannot_is_one_word"

# --- each rule can fail --------------------------------------------------

# rule|file|line that is added to it
SPOILERS='every_file_has_a_room|src/stray.h|
every_file_has_a_room|src/attic/stray.h|
includes_point_down|src/rows/row.c|#include "session/batch.h"
includes_point_down|src/wire/wire.h|# include "rows/row.h"
includes_point_down|src/options/options.h|#include "session/plugin.h"
includes_make_no_circle|src/rows/event.h|#include "rows/row.h"
server_versions_only_in_compat|src/session/plugin.c|#if PG_VERSION_NUM >= 170000
output_only_in_batch|src/session/plugin.c|	OutputPluginWrite(ctx, true);
output_only_in_batch|src/rows/event.c|	OutputPluginPrepareWrite(ctx, true);
other_rooms_know_no_session|src/rows/row.h|extern void cdc_x(struct LogicalDecodingContext *ctx);
some_rooms_have_no_state|src/rows/row.c|static int calls = 0;
some_rooms_have_no_state|src/rows/row.c|	static bool seen;
some_rooms_have_no_state|src/wire/wire.c|static const char *last = NULL;
some_rooms_have_no_state|src/wire/wire.c|static void (*hook) (void);
some_rooms_have_no_state|src/wire/wire.c|static char buffer[10];
externs_bear_the_prefix|src/rows/row.c|int helper(int x)
externs_bear_the_prefix|src/rows/row.c|helper(int x)
externs_bear_the_prefix|src/options/options.c|int counter = 0;
cannot_is_one_word|src/rows/row.h|/* it can not */
cannot_is_one_word|docs/other.md|It can  * not.
|src/rows/row.h|/* it cannot, or can: not so; it can nothing */
|src/rows/row.c|static const int table[] = {1};
|src/rows/row.c|static const char *const names[] = {"PG_VERSION_NUM"};
|src/rows/row.c|/* OutputPluginWrite and LogicalDecodingContext */
|src/rows/row.c|cdc_helper(int x)
|src/session/plugin.c|static int calls = 0;'

verdicts()
{
	local rule

	for rule in $RULES; do
		[ -z "$($rule)" ] || echo "$rule"
	done
}

# A small tree in which nothing is wrong.
sound_tree()
{
	local file

	mkdir -p "$1/docs"
	printf 'ROOMS = wire rows options session\n' >"$1/Makefile"
	printf '| `wire/` | |\n| `rows/` | |\n| `options/` | |\n| `session/` | |\n' >"$1/docs/design.md"
	for file in session/plugin session/batch options/options rows/event rows/row wire/wire; do
		mkdir -p "$1/src/${file%/*}"
		printf '/* %s */\n' $file >"$1/src/$file.h"
		printf '#include "%s.h"\n\nstatic int\nlocal(void)\n{\n}\n\nint\ncdc_%s(void)\n{\n}\n' \
			$file ${file#*/} >"$1/src/$file.c"
	done
	printf '#include "rows/event.h"\n' >>"$1/src/rows/row.h"
	printf '#if PG_VERSION_NUM >= 150000\n' >"$1/src/compat.h"
	printf '\tOutputPluginWrite(ctx, true);\n' >>"$1/src/session/batch.c"
}

prove_rules()
{
	local rule file line found tree=$work/tree

	while IFS='|' read -r rule file line; do
		rm -rf "$tree"
		sound_tree "$tree"
		mkdir -p "$(dirname "$tree/$file")"
		printf '%s\n' "$line" >>"$tree/$file"
		look_at "$tree"
		found=$(verdicts)
		result "${rule:-nothing} is found with \"${line:-$file}\"" \
			"$([ "$found" = "$rule" ] || echo "found: ${found:-nothing}")"
	done <<<"$SPOILERS"
}

look_at "$tree"
for rule in $RULES; do
	result "${rule//_/ }" "$($rule)"
done
prove_rules
echo "1..$tests"
[ $failed = 0 ]
