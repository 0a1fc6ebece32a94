#!/bin/bash
# The first steps of README.md, as they stand: its blocks of commands and code make a
# program that prints what README.md shows. Needs protoc, go and psql in the PATH, and
# PGHOST and so on: a database without a table orders. Usage:
#
#   clients/go/steps.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../steps.sh"

# what is installed goes nowhere else
export GOBIN=$work/bin
PATH=$GOBIN:$PATH
sql < <(block sql 1)
block sh 1 >commands.sh
. ./commands.sh
block go 1 >main.go
test "$(block sh 2)" = "$(printf 'go mod tidy\ngo run .')"
go mod tidy
go build -o printer .
print_rows ./printer
slots="SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'orders' AND active"
for _ in $(seq 300); do
	[ "$(psql -qAtXc "$slots")" = 0 ] && kill -0 "$reader" || break
	sleep 0.1
done
sql < <(block sql 2)
wait_for_rows
diff <(block text 1) printed
echo "ok README.md: the first steps print $(wc -l <printed) rows"
