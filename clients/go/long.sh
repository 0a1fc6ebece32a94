#!/bin/bash
# The long tests of the Go client: 200 crashes, 5 failovers by each transport, a million
# events that decode to what the server makes of them, DDL at the steps of a load, random
# changes by many seeds, and a fuzz campaign.
# Output is TAP.
#
#   clients/go/long.sh
#
# The environment is that of check.sh. CDC_CRASH_ROUNDS (200), CDC_FAILOVERS (5),
# CDC_EVENTS (1000000), CDC_SEEDS (50), FUZZ_SECONDS (300, for each target).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" go-long

. "$here/tap.sh"

cd "$here"
export CDC_FAILOVERS=${CDC_FAILOVERS:-5} CDC_CRASH_ROUNDS=${CDC_CRASH_ROUNDS:-200} CDC_EVENTS=${CDC_EVENTS:-1000000}
gotests "$CDC_CRASH_ROUNDS crashes, $CDC_EVENTS events" -count 1 -timeout 3h -run '^(TestCrashes|TestFailover|TestLiveEquality)$' .
CDC_DDL_STEPS="1 2 3 4 5 7 12 16 20 40" gotests "DDL at the steps of a load" -count 1 -timeout 1h -run '^TestLiveDDLWhileLoading$' .
for seed in $(seq "${CDC_SEEDS:-50}"); do
	CDC_SEED=$seed gotests "random changes number $seed" -count 1 -run '^(TestLiveReplay|TestLiveLoad)$' .
done
for target in $(grep -oh '^func Fuzz[A-Za-z]*' ./change/*_test.go | cut -c6-); do
	step "$target, ${FUZZ_SECONDS:-300} s" go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZ_SECONDS:-300}s" ./change
done
finish
