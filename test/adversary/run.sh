#!/bin/bash
# Random players against an oracle that knows, by the definition in docs/security.md and
# PostgreSQL's catalogs alone, which value may be seen by whom. Usage:
#
#   test/adversary/run.sh [SEED...]     1 to 5 without arguments
#
# libpq's environment says where the server is (PGHOST, PGPORT, PGUSER); the programs are
# those of PG_CONFIG or of the PATH. Without PGHOST, scripts/check starts a server.
#
# CDC_ADVERSARY_STEPS     how many steps (2,000)
# CDC_ADVERSARY_WITHOUT   kinds of steps to leave out, with commas: those in actions.py,
#                         "concurrent" (one session with transactions), "late" (COMMITs
#                         that wait for a standby) and "restore"
# CDC_ADVERSARY_JOBS      how many seeds at a time (2)
# CDC_ADVERSARY_MINIMIZE  how many seconds to look for fewer operations that fail (0)
# CDC_ADVERSARY_OPS       a folder for all operations of seeds that fail
#
# The same seed plays the same game. Output is TAP.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" adversary "$@"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
protoc -I"$root/proto" --python_out="$out" cdc/v1/cdc.proto
PATH=$("${PG_CONFIG:-pg_config}" --bindir):$PATH
[ $# -gt 0 ] || set -- 1 2 3 4 5

say_settings() { psql -XAtqc "$1" -c "SELECT pg_reload_conf()" >/dev/null; }

# What is changed for all goes back in the other order.
undo=
trap 'eval "$undo"; rm -rf "$out"' EXIT
set_for_all()
{
	undo="say_settings 'ALTER SYSTEM RESET $1'; $undo"
	say_settings "ALTER SYSTEM SET $1 = $2"
	sleep 0.2
}

# What readers' backends have logged is looked through as well, where the log can be read.
log=$PGHOST/logs/server.log
if [ -r "$log" ]; then set_for_all log_line_prefix "'%m [%p] %a '"; else log=; fi
# A synchronous standby that is away: who asks to wait for it does, and nobody else.
set_for_all synchronous_commit local
set_for_all synchronous_standby_names nobody

# The system's first: one of the user's may not see the packaged modules.
python=/usr/bin/python3
"$python" -c 'import google.protobuf, psycopg2' 2>/dev/null || python=python3
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$out:$here/../replay

printf '%s\n' "$@" | xargs -P "${CDC_ADVERSARY_JOBS:-2}" -I SEED \
	"$python" "$here/adversary.py" --steps "${CDC_ADVERSARY_STEPS:-2000}" --without "${CDC_ADVERSARY_WITHOUT-}" \
	--minimize "${CDC_ADVERSARY_MINIMIZE:-0}" ${log:+--log "$log"} ${CDC_ADVERSARY_OPS:+--ops "$CDC_ADVERSARY_OPS/SEED"} SEED
