#!/bin/bash
# The first steps of README.md, as they stand: its blocks of commands and code make a
# program that prints what README.md shows. Needs protoc, go and psql in the PATH, and
# PGHOST and so on: a database without a table orders. Usage:
#
#   clients/go/steps.sh
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

sql() { psql -qAtX -v ON_ERROR_STOP=1 "$@" >/dev/null; }

# what is installed goes nowhere else
export GOBIN=$work/bin
PATH=$GOBIN:$PATH
cd "$work"
ln -s "$root" cdc
sql < <(block sql 1)
block sh 1 >commands.sh
. ./commands.sh
block go 1 >main.go
test "$(block sh 2)" = "$(printf 'go mod tidy\ngo run .')"
go mod tidy
# a program of its own, to be ended by its number
go build -o printer .
./printer >printed &
reader=$!
slots="SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'orders' AND active"
for _ in $(seq 300); do
	[ "$(psql -qAtXc "$slots")" = 0 ] && kill -0 "$reader" || break
	sleep 0.1
done
sql < <(block sql 2)
for _ in $(seq 300); do
	[ "$(wc -l <printed)" -lt 2 ] && kill -0 "$reader" || break
	sleep 0.1
done
diff <(block text 1) printed
echo "ok README.md: the first steps print $(wc -l <printed) rows"
