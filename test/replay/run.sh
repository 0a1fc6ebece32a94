#!/bin/bash
# Replays workloads: their streams, applied to an empty database by a reader
# that knows the specification alone, give the source's tables. Usage:
#
#   test/replay/run.sh [WORKLOAD...]    all in workloads/, and some random ones
#   test/replay/run.sh random-7         a random one by its seed
#   test/replay/run.sh large-7          with large values only
#   test/replay/run.sh changes-7        random DDL, and what it makes after each transaction
#   test/replay/run.sh mixed-7          the same by three sessions
#   test/replay/run.sh aborts-7         large transactions that are rolled back
#   test/replay/run.sh join-7           first rows read while they change
#   test/replay/run.sh history-shop     the migrations in test/history/shop
#
# libpq's environment says where the server is (PGHOST, PGPORT, PGUSER); the
# programs are those of PG_CONFIG or of the PATH. Without PGHOST, scripts/check
# starts a server. CDC_REPLAY_STATEMENTS: length of the random workloads. CDC_REPLAY_DDL: that of
# random DDL, 1000 unless it is set; in a long run 5000. CDC_REPLAY_TELL=1 prints the statements
# of random DDL that fail.
# Output is TAP.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" replay "$@"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
protoc -I"$root/proto" --python_out="$out" cdc/v1/cdc.proto
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

if [ $# = 0 ]; then
	set -- $(cd "$here/workloads" && ls *.sql *.sh | sed '/\.pre\.sql$/d; s/\.[a-z]*$//') history-shop history-ledger random-1 random-2 large-1 aborts-1 join-1 changes-{1..5} mixed-1
fi

# The system's first: one of the user's may not see the packaged modules.
python=/usr/bin/python3
"$python" -c 'import google.protobuf, psycopg2' 2>/dev/null || python=python3
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$out "$python" "$here/replay.py" "$bindir" "$out" "$@"
