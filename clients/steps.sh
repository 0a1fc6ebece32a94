# The first steps of a client's README.md, as they stand; to be sourced by its steps.sh,
# with the client's folder in $here, and the slot's name in $slot where it is not "orders".
# Works in a folder of its own, where "cdc" is the tree.
#
# block FENCE N          the Nth block of the section "Typed rows" that begins so
# sql                    runs what it reads
# print_rows PROGRAM...  starts it; what it prints goes to the file "printed"
# wait_for_rows          until it has printed two
#
# psql has to be in the PATH, and PGHOST and so on name a database without a table orders.

root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
slot=${slot-orders}
reader=

finish()
{
	[ -z "$reader" ] || kill "$reader" 2>/dev/null || :
	[ -z "$reader" ] || wait "$reader" 2>/dev/null || :
	cd / && rm -rf "$work"
	psql -qAtXc 'SELECT cdc.drop_slot('\'"$slot"\'', true)' -c 'DROP TABLE orders' >/dev/null || :
}
trap finish EXIT

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

# a program of its own, to be ended by its number
print_rows()
{
	"$@" >printed &
	reader=$!
}

wait_for_rows()
{
	for _ in $(seq 300); do
		[ "$(wc -l <printed)" -lt 2 ] && kill -0 "$reader" || break
		sleep 0.1
	done
}

cd "$work"
ln -s "$root" cdc
