#!/bin/bash
# What takes long: hundreds of crashes of client, walsender and server, 5 failovers by
# each transport, a million random events that decode to the server's JSON, many random
# workloads, minutes of damaged bytes, copies that are kept from NATS and from Kafka, and the
# first steps of the README in a crate of their own. Needs PGHOST and so on as check.sh does; the server must be one that may be
# killed, run by the same user. Usage:
#
#   clients/rust/long.sh [crash|failover|equal|replay|topics|fuzz|bus|bench|steps...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" rust-long "$@"

toolchain=$("$root/scripts/toolchain-rust.sh")
PATH=$toolchain:$PATH
cd "$here"
test_() { cargo test --locked --all-features "$@" -- --nocapture; }

crash()
{
	cargo build --locked --all-features --examples
	CRASH_SERVER=$("${PG_CONFIG:-pg_config}" --bindir)/pg_ctl ROUNDS=${ROUNDS-200} test_ --test crash
}

failover()
{
	cargo build --locked --all-features --examples
	CDC_FAILOVERS=${CDC_FAILOVERS-5} test_ --test failover
}

equal() { EVENTS=${EVENTS-1000000} test_ --release --test equal; }

replay()
{
	local seed

	for seed in $(seq "${SEEDS-20}"); do
		SEED=$seed test_ --test replay --test load
	done
}

topics() { TOPIC_ROUNDS=${TOPIC_ROUNDS-100} test_ --release --test topic_copy; }

# Brokers that are real, with the relay.
bus() { examples-bus/test.sh; }

# Guided by coverage, and random.
fuzz()
{
	FUZZ_SECONDS=${FUZZ_SECONDS-120} fuzz/run.sh
	FUZZ_SECONDS=${FUZZ_SECONDS-120} test_ --release --test fuzz
}

bench() { cargo bench --locked; }

steps() { ./steps.sh; }

[ $# -gt 0 ] || set -- crash failover equal replay topics fuzz bus bench steps
for what; do
	echo "# $what"
	"$what"
done
