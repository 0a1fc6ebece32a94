#!/bin/bash
# The first steps of README.md, as they stand: its blocks of commands and code make a
# program that prints what README.md shows. Compiles everything anew, which takes
# minutes, unless CARGO_TARGET_DIR has it. Needs protoc, cargo and psql in the PATH, and
# PGHOST and so on: a database without a table orders. Usage:
#
#   clients/rust/steps.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
slot=orders_rust
. "$here/../steps.sh"

# What is another one at each run.
moment() { sed -E 's/placed: Some\([0-9]+\)/placed: .../'; }

sql < <(block sql 1)
block sh 1 >commands.sh
. ./commands.sh
block rust,ignore 1 >build.rs
block rust,ignore 2 >src/main.rs
cargo build
sql < <(block sql 2)
print_rows "${CARGO_TARGET_DIR:-target}/debug/shop"
wait_for_rows
diff <(block text 1 | moment) <(moment <printed)
echo "ok README.md: the first steps print $(wc -l <printed) rows"
