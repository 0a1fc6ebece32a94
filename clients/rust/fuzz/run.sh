#!/bin/bash
# Damaged bytes, guided by coverage: builds the targets with what libFuzzer needs, which
# every toolchain has, and runs each for a time from seeds of the golden files. Usage:
#
#   clients/rust/fuzz/run.sh [TARGET...]     FUZZ_SECONDS (60): for each
#
# What fails is kept in fuzz/artifacts/TARGET; fuzz/target/…/release/TARGET FILE does it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${FUZZ_SECONDS-60}
[ $# -gt 0 ] || set -- batch compressed event stream table row

failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p corpus
FUZZ_SEEDS=$PWD/corpus cargo test -q --locked --all-features --manifest-path ../Cargo.toml \
	--test fuzz seeds -- --nocapture

# what cargo-fuzz sets, without a sanitizer. The triple keeps it away from build scripts
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions \
-Ccodegen-units=1"
cargo build -q --release --target "$host"
for target; do
	mkdir -p "corpus/$target" "artifacts/$target"
	if "${CARGO_TARGET_DIR:-target}/$host/release/$target" "corpus/$target" \
		-artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
		-rss_limit_mb=512 -timeout=10 -print_final_stats=1 -verbosity=0 >"$log" 2>&1; then
		echo "ok $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
			"$(sed -n 's/^stat::peak_rss_mb: *//p' "$log") MB at most"
	else
		tail -60 "$log"
		echo "not ok $target"
		failed=1
	fi
done
exit $failed
