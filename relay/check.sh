#!/bin/bash
# Checks the relay. Output is TAP: a line for every step and every test.
#
#   relay/check.sh
#
# libpq's environment names a server that has the extension, as for clients/go/check.sh. Without
# PGHOST, scripts/check starts one. CDC_GO_CACHE: a directory for modules and compiled packages
# that is kept from run to run. CDC_KAFKA_LIBS: a folder with the jars of Kafka; otherwise
# testdata/kafka/fetch.sh looks for them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/..
CDC_GO_MINOR=26				# what the brokers' libraries need
export CDC_GO_MINOR

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" relay "$@"

. "$root/clients/go/tap.sh"

cd "$here"
export GOFLAGS="$GOFLAGS -pgo=off"	# or all is compiled twice: for the command, and for tests
formatted()
{
	local list

	list=$(gofmt -l .)
	[ -z "$list" ] || { echo "gofmt would change: $list"; return 1; }
}
# A package imports what is before it in this list.
layers="bus internal/slab plan config checkpoint jetstream kafka registry load pump setup admin"
layered()
{
	go list -f '{{.ImportPath}} {{join .Imports " "}}' ./... | awk -v list="$layers" -v module="$(go list -m)" '
		BEGIN { n = split(list, l); for (i = 1; i <= n; i++) rank[module "/" l[i]] = i }
		$1 in rank { for (i = 2; i <= NF; i++) if (index($i, module "/") == 1 && !($i in rank && rank[$i] < rank[$1])) { print $1 " imports " $i; bad = 1 } }
		END { exit bad }'
}
# The table of settings in the manual is that of the command.
documented() { diff <(go run ./cmd/cdc-relay config --table) <(grep -E '^\| `[a-z]+\.[a-z_]+` \|' "$root/docs/relay.md"); }
# What is logged as a warning or an error is in the manual, with what to do.
explained()
{
	local message missing=0

	while IFS= read -r message; do
		grep -qF "$message" "$root/docs/relay.md" || { echo "docs/relay.md does not have: $message"; missing=1; }
	done < <(grep -rhoE '[lL]ogger\.(Warn|Error)\("[^"]+"|p\.warn\("[^"]+"' --include='*.go' . | sed 's/^[^"]*"//; s/"$//')
	return $missing
}

step "modules are there, and are those of go.sum" fetch
step "go.mod and go.sum are tidy" go mod tidy -diff
step "gofmt" formatted
step "go vet" go vet ./...
step "staticcheck" staticcheck ./...
step "packages import those below them" layered
step "docs/relay.md has every setting" documented
step "docs/relay.md has every warning" explained
if [ -z "${CDC_KAFKA_LIBS-}" ] && libs=$(testdata/kafka/fetch.sh 2>"$work/kafka"); then
	export CDC_KAFKA_LIBS=$libs
fi
gotests "go test" -short -count 1 -timeout 15m ./...
finish
