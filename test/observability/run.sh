#!/bin/bash
# Checks what observability/ has, with the real promtool and postgres_exporter: the list of metrics,
# the alerts, and the exporter's queries on a server of its own. Output is TAP.
#
#   test/observability/run.sh
#
# PG_CONFIG names an installation that has the extension.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

tools=$("$here/tools.sh") || { rc=$?; [ $rc != 77 ] || echo "1..0 # SKIP no promtool, and none can be fetched"; exit $rc; }
PATH=$tools:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests=0 failed=0

result() { tests=$((tests + 1)); echo "$1 $tests - $2"; [ "$1" = ok ] || failed=1; }
# step DESCRIPTION COMMAND...
step()
{
	local what=$1

	shift
	if (cd "$root/observability" && "$@") >"$work/out" 2>&1; then
		result ok "$what"
	else
		result "not ok" "$what"
		tail -40 "$work/out" | sed 's/^/#   /'
	fi
}
# several COMMAND...: results of another test
several()
{
	local word rest

	"$@" >"$work/out" || failed=1
	while read -r word rest; do
		case $word in
			ok) result ok "${rest#* - }" ;;
			not) result "not ok" "${rest#* - }" ;;
			"#") echo "# $rest" ;;
		esac
	done <"$work/out"
}

several python3 "$here/metrics.py"
step "promtool takes the alerts" promtool check rules alerts.yaml
step "alerts fire, and are silent, when they should" promtool test rules alerts_test.yaml
go_bin=$(CDC_GO_MINOR=26 "$root/scripts/toolchain-go.sh") || go_bin=
# Prometheus's own parser reads the dashboard's queries.
dashboard() { cd dashboard && PATH=$go_bin:$PATH GOTOOLCHAIN=local GOFLAGS=-buildvcs=false go test -count 1 .; }
if [ -n "$go_bin" ]; then
	step "the dashboard is what its code makes, of metrics that there are" dashboard
else
	result ok "the dashboard # SKIP no Go toolchain, and none can be fetched"
fi
several python3 "$here/exporter.py" "$("${PG_CONFIG:-pg_config}" --bindir)" "$work"
[ -z "$go_bin" ] || several "$here/live.sh" short
echo "1..$tests"
exit $failed
