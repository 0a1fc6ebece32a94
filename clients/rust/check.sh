#!/bin/bash
# Everything of the Rust client that takes about two minutes once it is compiled:
# format, lints, documentation, unit, golden, live and crash tests, allocations, a
# few seconds of damaged bytes (long.sh: guided by coverage). Prints TAP; what a step said is shown where it
# failed, or what it counted. Usage:
#
#   clients/rust/check.sh [STEP...]      all steps, or those whose name contains a word
#
# The server is that of libpq's environment, with the extension; without PGHOST
# scripts/check starts one. The toolchain is what scripts/toolchain-rust.sh gives;
# where there is none, status 77 says that all was skipped. FUZZ_SECONDS (5), EVENTS
# (20000), ROUNDS (8), CDC_FAILOVERS (2): how much of it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" rust "$@"

toolchain=$("$root/scripts/toolchain-rust.sh") || {
	echo "1..0 # SKIP no Rust toolchain"
	exit 77
}
PATH=$toolchain:$PATH
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cd "$here"
export CARGO_TERM_COLOR=never RUST_BACKTRACE=${RUST_BACKTRACE-0}
export FUZZ_SECONDS=${FUZZ_SECONDS-5} EVENTS=${EVENTS-20000} ROUNDS=${ROUNDS-8}

wanted=("$@") tests=0 failed=0

# step NAME COMMAND...
step()
{
	local name=$1 start=$SECONDS word

	shift
	for word in ${wanted[@]+"${wanted[@]}"}; do
		case $name in *"$word"*) word=; break ;; esac
	done
	[ -z "${word-}" ] || return 0
	tests=$((tests + 1))
	if "$@" >"$log" 2>&1 </dev/null; then
		echo "ok $tests - $name ($((SECONDS - start)) s)"
		grep -E '^(test result:|SEED=|[0-9].* (equal|same JSON|each once|refused)|[a-z]+: [0-9]+ rows|[0-9]+ files, |ok [a-z]+: [0-9]+ inputs|skipped:)' "$log" |
			sort -u | cut -c1-160 | sed 's/^/#   /' || :
	else
		failed=$((failed + 1))
		echo "not ok $tests - $name ($((SECONDS - start)) s)"
		tail -60 "$log" | cut -c1-400 | sed 's/^/#   /'
	fi
}

unsafe_code()
{
	grep -q '^#!\[forbid(unsafe_code)\]' src/lib.rs && grep -q '^#!\[deny(missing_docs)\]' src/lib.rs
}

# with what is compiled already
steps() { CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} ./steps.sh; }

# long.sh runs it, and that for Kafka, which has minutes of C to compile
bus()
{
	printf '%s\n' "1.89" "$(rustc --version | cut -d' ' -f2)" | sort -VC || { echo "skipped: async-nats needs Rust 1.89"; return 0; }
	(cd examples-bus && cargo check --locked)
}

observability() { (cd examples-observability && cargo check --locked); }

# one that waits for ever shows what it has said
test_() { timeout 900 cargo test --locked --all-features "$@" -- --nocapture; }

step "format" "$root/scripts/lint" rust
step "the generated code is what protoc and prost make" codegen/generate.sh --check
step "unsafe code is forbidden, documentation demanded" unsafe_code
step "compiles without features" cargo check --locked --no-default-features --lib --bins
step "clippy, warnings denied" cargo clippy --locked --all-targets --all-features -- -D warnings
step "documentation, warnings denied" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features
step "what is exported is what former releases did, or more" "$root/scripts/api" rust
step "examples and tests compile" cargo test --locked --all-features --no-run
step "unit tests" test_ --lib
step "rooms, and no circle of files" test_ --test layering
step "examples of the documentation" cargo test --locked --all-features --doc
step "golden files" test_ --test golden
step "messages of topics" test_ --test topic
step "what a copy makes of them" test_ --test topic_rules
step "a copy from topics equals the source" test_ --test topic_copy
step "the program for NATS compiles" bus
step "consumers with metrics and traces compile" observability
step "typed rows" test_ --test typed
step "a source in memory" test_ --test script
step "whole transactions" test_ --test txn
step "compressed batches" test_ --test compressed
step "versions of schemas" test_ --test versions
step "no allocation for an event" test_ --test alloc
step "damaged copies" test_ --test fuzz
step "TLS and passwords" test_ --test tls
step "lists of hosts, and a failover" test_ --test hosts
step "cdc-tail" test_ --test tail
step "what all clients do alike" test_ --test scenarios
step "live streams" test_ --test live
step "streams by cdc.fetch()" test_ --test fetch
step "the first steps of the README" steps
step "a copy equals the source" test_ --test replay
step "a copy follows every command" test_ --test ddl
step "the initial load joins the stream" test_ --test load
step "the same JSON as the server's" test_ --test equal
step "each change once, whatever is killed" test_ --test crash
step "each change once, whatever fails over" test_ --test failover
echo "1..$tests"
[ $failed = 0 ]
