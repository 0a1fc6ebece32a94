#!/bin/bash
# Runs the command blocks of README.md, docs/ and the clients' READMEs as a reader would:
# see run.py. Needs an installation of the extension, that of PG_CONFIG, and starts
# servers of its own. Prints TAP.
#
#   test/docs/run.sh [DOCUMENT...]      for example README docs/security clients/go/README
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/run.py" "${PG_CONFIG:-pg_config}" "$@"
