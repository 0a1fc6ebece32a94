# Shared by the scripts in this directory; to be sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# bench_enter NAME GROUP... -- ARGS, as enter in scripts/lib.sh. The file for the
# results is opened before root is given up, and stays open.
bench_enter()
{
	local name=$1 groups=() json= word

	shift
	while [ "$1" != -- ]; do groups+=("$1"); shift; done
	shift
	if [ -z "${CDC_WORK-}" ]; then
		for word; do
			case $json in next) json=$word; break ;; esac
			case $word in
				--json) json=next ;;
				--json=*) json=${word#*=}; break ;;
				-h | --help) json=/dev/null; break ;;
			esac
		done
		exec 3>"${json:-bench-$name.json}"
	fi
	enter "../bench/$name" server build test ${groups[@]+"${groups[@]}"} -- "$@"
}

# Builds with the no-op plugin, and starts a server that does nothing unasked.
bench_server()
{
	local settings=(shared_buffers=512MB max_wal_size=100GB checkpoint_timeout=1d autovacuum=off)

	{ build_extension && make -s -C bench/noop PG_CONFIG="$PG_CONFIG" with_llvm=no install; } \
		>"$WORK/logs/build.log" 2>&1 || { cat "$WORK/logs/build.log" >&2; return 1; }
	! prints '^output_plugin_libraries' "$BINDIR/postgres" --describe-config ||
		settings+=("output_plugin_libraries=pgoutput, test_decoding, cdc, cdc_bench_noop, wal2json, decoderbufs")
	start_server bench "${settings[@]}" "$@"
}
