#!/bin/bash
# Makes cmd/cdc-relay/default.pgo anew, the profile that the Go compiler optimises the relay by: of BenchmarkCarry onto a
# real Kafka, in large transactions and in small ones. It takes some two minutes.
#
#   relay/profile.sh
#
# libpq's environment names a server that has the extension, and CDC_KAFKA_LIBS a folder with the jars of Kafka, as for
# check.sh. It is worth doing when what the relay does for each event has changed; what the profile does not know of is compiled as ever.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${PGHOST:?has to name a server with the extension}"
PATH=$(CDC_GO_MINOR=26 "$here/../scripts/toolchain-go.sh"):$PATH
export GOTOOLCHAIN=local CDC_KAFKA_LIBS=${CDC_KAFKA_LIBS:-$("$here/testdata/kafka/fetch.sh")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here"
go test -run '^$' -bench 'Carry/.*/kafka' -benchtime 6x -cpuprofile "$work/cpu" -o "$work/live.test" ./internal/live
go tool pprof -proto "$work/cpu" >cmd/cdc-relay/default.pgo
