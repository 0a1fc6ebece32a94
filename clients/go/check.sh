#!/bin/bash
# Checks the Go client. Output is TAP: a line for every step and every test.
#
#   clients/go/check.sh
#
# libpq's environment names a server that has the extension (PGHOST: the directory
# of its socket), with wal_level = logical and max_prepared_transactions = 10; the
# tests make databases of their own there. Without PGHOST, scripts/check starts one.
# FUZZ_SECONDS: for each fuzz target, by default 3. CDC_GO_CACHE: a directory for
# modules and compiled packages that is kept from run to run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" go "$@"

. "$here/tap.sh"

cd "$here"
generated()
{
	local out

	out=$(mktemp -d)
	./generate.sh "$out" && for f in cdcv1/cdc.pb.go examples/typed/rows/orders.pb.go; do diff -q "$f" "$out/$f" || return 1; done
	rm -rf "$out"
}
# The main module needs no more than the protocol, Protobuf and the codecs of batches,
# neither by its packages nor by its go.mod. What is for other libraries is in modules of
# their own.
modules=(cdcprom cdcotel)
dependencies()
{
	local list

	list=$({ go list -deps -f '{{if and .Module (not .Module.Main)}}{{.Module.Path}}{{end}}' ./...
		go mod edit -json | sed -n '/"Require"/,/]/s/.*"Path": "\(.*\)".*/\1/p'; } | sort -u |
		grep -vxE 'github.com/(jackc/(pgx/v5|pgpassfile|pgservicefile)|klauspost/compress|pierrec/lz4/v4)|golang.org/x/text|google.golang.org/protobuf' || :)
	[ -z "$list" ] || { echo "the main module depends on $list"; return 1; }
}
# A package imports what is before it in this list; the last ones, and what is not in the
# list, stand on all of it.
layers="internal/wire internal/pgtext internal/files fault wal metrics tuple value schema internal/acks change topic internal/libpq
	transport replica"
layers()
{
	go list -f '{{.ImportPath}} {{join .Imports " "}}' ./... | awk -v list="$layers" -v module="$(go list -m)" '
		BEGIN { n = split(list, l); for (i = 1; i <= n; i++) rank[module "/" l[i]] = i }
		$1 in rank { for (i = 2; i <= NF; i++) if (index($i, module) == 1 && $i != module "/cdcv1" && !($i in rank && rank[$i] < rank[$1])) { print $1 " imports " $i; bad = 1 } }
		END { exit bad }'
}
# inside MODULE COMMAND...
inside() { (cd "$1" && shift && "$@"); }
# One target at a time: the go command takes no more.
fuzz() { go test -run '^$' -fuzz "^$1\$" -fuzztime "${FUZZ_SECONDS:-3}s" ./change; }

step "modules are there, and are those of go.sum" fetch
step "go.mod and go.sum are tidy" go mod tidy -diff
step "gofmt" "$root/scripts/lint" go
step "go vet" go vet ./...
step "go build, examples included" go build -o /dev/null ./...
step "staticcheck" staticcheck ./...
step "generated code is that of the .proto" generated
step "what is exported is what former releases did, or more" "$root/scripts/api" go
step "dependencies of the main module" dependencies
step "packages import those below them" layers
step "the first steps of the README" ./steps.sh
step "no allocation for an event, a value, a line of JSON" go test -count 1 -run '^TestAllocations$' ./change
gotests "go test -race" -race -count 1 -timeout 15m ./...
for module in "${modules[@]}"; do
	step "$module: modules are there" inside "$module" go mod download
	step "$module: go.mod and go.sum are tidy" inside "$module" go mod tidy -diff
	step "$module: go vet" inside "$module" go vet ./...
	step "$module: staticcheck" inside "$module" staticcheck ./...
	cd "$module"
	gotests "$module: go test -race" -race -count 1 ./...
	cd "$here"
done
for target in $(grep -oh '^func Fuzz[A-Za-z]*' ./change/*_test.go | cut -c6-); do
	step "$target, ${FUZZ_SECONDS:-3} s" fuzz "$target"
done
step "benchmarks run" go test -run '^$' -bench . -benchtime 100x ./change
step "the stream's benchmark runs" go test -run '^$' -bench Live -benchtime 1x .
finish
