#!/bin/bash
# What takes long: the relay, NATS and Kafka are killed ROUNDS times (default 200) each while
# tables change, and all tests run under the race detector. Otherwise as check.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/..
CDC_GO_MINOR=26
export CDC_GO_MINOR

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" relay-long "$@"

. "$root/clients/go/tap.sh"

cd "$here"
[ -n "${CDC_KAFKA_LIBS-}" ] || ! libs=$(testdata/kafka/fetch.sh) || export CDC_KAFKA_LIBS=$libs
gotests "go test -race" -race -count 1 -timeout 30m $(go list ./... | grep -v internal/live)
gotests "crashes" -count 1 -timeout 5h ./internal/live -args -rounds "${ROUNDS:-200}"
finish
