#!/bin/bash
# What takes long: ROUNDS faults (default 200) on each bus while tables change, of relay, brokers, PostgreSQL and what
# is between them, and a quarter of that again where packets get lost; all tests under the race detector.
# Otherwise as check.sh.
#
#   ROUNDS=20 relay/long.sh
#
# A small disk below a broker, and lost packets, take namespaces of one's own: root has them, and users where
# the system lets them. In PATH: the programs of PostgreSQL, for servers that crash and fail over.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/..
CDC_GO_MINOR=26
export CDC_GO_MINOR

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" relay-long "$@"

. "$root/clients/go/tap.sh"

cd "$here"
rounds=${ROUNDS:-200}
[ -n "${CDC_KAFKA_LIBS-}" ] || ! libs=$(testdata/kafka/fetch.sh) || export CDC_KAFKA_LIBS=$libs
gotests "go test -race" -race -count 1 -timeout 30m $(go list ./... | grep -v internal/live)

own="unshare --user --map-current-user --keep-caps"
[ "$(id -u)" != 0 ] || own=unshare
exec=()
! $own --mount true 2>/dev/null || exec=(-exec "$own --mount")
gotests "crashes" -count 1 -timeout 9h ${exec[@]+"${exec[@]}"} ./internal/live -args -rounds "$rounds"
if how=$($own --mount --net "$here/internal/live/lossy.sh" 2>&1); then
	gotests "crashes with $how" -count 1 -timeout 5h -exec "$own --mount --net $here/internal/live/lossy.sh" \
		-run '^(TestCrashes.*|TestStandby)$' ./internal/live -args -rounds $(((rounds + 3) / 4))
else
	result ok "crashes with packets that get lost # SKIP $(tail -1 <<<"$how")"
fi
finish
