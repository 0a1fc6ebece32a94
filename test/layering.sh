#!/bin/bash
# Checks how the code in src/ hangs together, by the table of layers in
# docs/design.md. Prints TAP. Then it spoils a small sound tree, one rule at a
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

declare -A layer				# by file; a header is where its .c file is

# Reads the tree that the rules are about: its sources without comments and
# texts, in $code with their lines where they were, and the table of layers.
look_at()				# DIRECTORY
{
	local number files file

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
			open(my $out, ">", "$ENV{CODE}/$file") or die $!;
			print $out $text;
		}' *.[ch])
	layer=()
	while read -r number files; do
		for file in $files; do
			layer[$file]=$number
			case $file in *.c) layer[${file%.c}.h]=$number ;; esac
		done
	done < <(sed -n 's/^| \([0-9]\) | \(`[^|]*\) |.*/\1 \2/p' "$root/docs/design.md" | tr -d '`')
}

# The files of layers 0 and 1, in which nothing may be kept.
lower_layers()
{
	local file

	for file in $(cd "$code" && echo *.[ch]); do
		[ "${layer[$file]:-9}" -gt 1 ] || echo "$file"
	done
}

# --- the rules: each prints what is wrong, with file and line ------------

every_file_has_a_layer()
{
	local file

	for file in $(cd "$code" && echo *.[ch]); do
		[ -n "${layer[$file]-}" ] || echo "$file is not in the table of docs/design.md"
	done
	for file in "${!layer[@]}"; do
		# the header of a .c file need not be there
		[ -e "$code/$file" ] || [ -n "${layer[${file%.h}.c]+set}" ] ||
			echo "$file, in the table of docs/design.md, does not exist"
	done
}

includes_point_down()
{
	local file line name

	(cd "$root/src" && grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' *.[ch]) |
		sed 's/^\([^:]*\):\([^:]*\):.*"\(.*\)".*/\1 \2 \3/' |
		while read -r file line name; do
			[ "${layer[$name]:-0}" -le "${layer[$file]:-9}" ] ||
				echo "$file:$line: layer ${layer[$file]} includes $name of layer ${layer[$name]}"
		done
}

# Prints the places of a pattern in files other than $2.
only_in() { (cd "$code" && grep -nE "$1" *.[ch] | grep -v "^$2:") || :; }

server_versions_only_in_compat() { only_in '\bPG_VERSION(_NUM)?\b|\bPG_MAJORVERSION' 'compat\.h'; }
output_only_in_batch() { only_in '\bOutputPlugin(Prepare)?Write\b' 'batch\.c'; }

lower_layers_know_no_session()
{
	(cd "$code" && grep -nE '\bLogicalDecodingContext\b' $(lower_layers) /dev/null) || :
}

# A static variable is constant only if the pointer that it may be is.
lower_layers_have_no_state()
{
	(cd "$code" && perl -ne '
		if (/^\s*static\b/ && !/^\s*static\s+inline\b/)
		{
			my $pointer = /\*\s*\w+\s*(=|;|$)/ && !/\*\s*const\b/;
			print "$ARGV:$.: $_" if /\(\s*\*\s*(?!const)\w+\s*\)/
				|| (/^[^()]*[;=\[]/ && ($pointer || !/\bconst\b/));
		}
		close ARGV if eof;' $(lower_layers))
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
		if (eof) { close ARGV; $before = "" }' *.c)
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

RULES="every_file_has_a_layer includes_point_down
server_versions_only_in_compat output_only_in_batch
lower_layers_know_no_session lower_layers_have_no_state externs_bear_the_prefix cannot_is_one_word"

# --- each rule can fail --------------------------------------------------

# rule|file|line that is added to it
SPOILERS='every_file_has_a_layer|src/stray.h|
includes_point_down|src/row.c|#include "batch.h"
includes_point_down|src/wire.h|# include "row.h"
includes_point_down|src/tablecache.h|#include "plugin.h"
server_versions_only_in_compat|src/plugin.c|#if PG_VERSION_NUM >= 170000
output_only_in_batch|src/plugin.c|	OutputPluginWrite(ctx, true);
output_only_in_batch|src/event.c|	OutputPluginPrepareWrite(ctx, true);
lower_layers_know_no_session|src/row.h|extern void cdc_x(struct LogicalDecodingContext *ctx);
lower_layers_have_no_state|src/row.c|static int calls = 0;
lower_layers_have_no_state|src/row.c|	static bool seen;
lower_layers_have_no_state|src/wire.c|static const char *last = NULL;
lower_layers_have_no_state|src/wire.c|static void (*hook) (void);
lower_layers_have_no_state|src/wire.c|static char buffer[10];
externs_bear_the_prefix|src/row.c|int helper(int x)
externs_bear_the_prefix|src/row.c|helper(int x)
externs_bear_the_prefix|src/options.c|int counter = 0;
cannot_is_one_word|src/row.h|/* it can not */
cannot_is_one_word|docs/other.md|It can  * not.
|src/row.h|/* it cannot, or can: not so; it can nothing */
|src/row.c|static const int table[] = {1};
|src/row.c|static const char *const names[] = {"PG_VERSION_NUM"};
|src/row.c|/* OutputPluginWrite and LogicalDecodingContext */
|src/row.c|cdc_helper(int x)
|src/tablecache.c|static int calls = 0;'

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

	mkdir -p "$1/src" "$1/docs"
	printf '| 3 | `plugin.c` | |\n| 2 | `options.c` `batch.c` `tablecache.c` | |\n' >"$1/docs/design.md"
	printf '| 1 | `event.c` `row.c` | |\n| 0 | `wire.c` `compat.h` | |\n' >>"$1/docs/design.md"
	for file in plugin options batch tablecache event row wire; do
		printf '/* %s */\n' $file >"$1/src/$file.h"
		printf '#include "%s.h"\n\nstatic int\nlocal(void)\n{\n}\n\nint\ncdc_%s(void)\n{\n}\n' \
			$file $file >"$1/src/$file.c"
	done
	printf '#if PG_VERSION_NUM >= 150000\n' >"$1/src/compat.h"
	printf '\tOutputPluginWrite(ctx, true);\n' >>"$1/src/batch.c"
}

prove_rules()
{
	local rule file line found tree=$work/tree

	while IFS='|' read -r rule file line; do
		rm -rf "$tree"
		sound_tree "$tree"
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
