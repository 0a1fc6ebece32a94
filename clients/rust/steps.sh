#!/bin/bash
# The first steps of README.md, as they stand: its blocks of commands and code make a
# program that prints what README.md shows. Compiles everything anew, which takes
# minutes, unless CARGO_TARGET_DIR has it. Needs protoc, cargo and psql in the PATH, and PGHOST and so on: a database
# without a table orders. Usage:
#
#   clients/rust/steps.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
reader=

finish()
{
	[ -z "$reader" ] || kill "$reader" 2>/dev/null || :
	[ -z "$reader" ] || wait "$reader" 2>/dev/null || :
	cd / && rm -rf "$work"
	psql -qAtXc 'SELECT cdc.drop_slot('\''orders'\'', true)' -c 'DROP TABLE orders' >/dev/null || :
}
trap finish EXIT

# block FENCE N: the Nth one that begins so, before the next heading.
block()
{
	awk -v fence="\`\`\`$1" -v wanted="$2" '
		/^## / { if (in_section) exit; in_section = /Typed rows/ }
		!in_section { next }
		/^```$/ { on = 0 }
		on
		$0 == fence { on = ++n == wanted }' "$here/README.md"
}

# What is another one at each run.
moment() { sed -E 's/placed: Some\([0-9]+\)/placed: .../'; }

sql() { psql -qAtX -v ON_ERROR_STOP=1 "$@" >/dev/null; }

cd "$work"
ln -s "$root" cdc
sql < <(block sql 1)
block sh 1 >commands.sh
. ./commands.sh
block rust,ignore 1 >build.rs
block rust,ignore 2 >src/main.rs
cargo build
sql < <(block sql 2)
"${CARGO_TARGET_DIR:-target}/debug/shop" >printed &
reader=$!
for _ in $(seq 300); do
	[ "$(wc -l <printed)" -lt 2 ] && kill -0 "$reader" || break
	sleep 0.1
done
diff <(block text 1 | moment) <(moment <printed)
echo "ok README.md: the first steps print $(wc -l <printed) rows"
