# Shared by bench/run and bench/memory; to be sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# As enter in scripts/lib.sh. The file for the results is opened before root
# is given up, and stays open.
bench_enter()
{
	local name=$1

	shift
	[ -n "${CDC_WORK-}" ] || exec 3>"${BENCH_JSON:-/dev/null}"
	enter "../bench/$name" server build test -- "$@"
}

# Builds with the no-op plugin, and starts a server that does nothing unasked.
bench_server()
{
	local settings=(shared_buffers=512MB max_wal_size=100GB checkpoint_timeout=1d autovacuum=off)

	{ build_extension && make -s -C bench/noop PG_CONFIG="$PG_CONFIG" with_llvm=no install; } \
		>"$WORK/logs/build.log" 2>&1 || { cat "$WORK/logs/build.log" >&2; return 1; }
	! prints '^output_plugin_libraries' "$BINDIR/postgres" --describe-config ||
		settings+=("output_plugin_libraries=pgoutput, cdc, cdc_bench_noop, wal2json, decoderbufs")
	start_server bench "${settings[@]}"
}
