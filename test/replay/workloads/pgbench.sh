# pgbench's own tables and transactions, by several sessions at once.
pgbench=$BINDIR/pgbench
"$pgbench" -i -q -s 1 --foreign-keys
"$pgbench" -n -c 4 -j 2 -t 150
"$pgbench" -n -b simple-update -c 2 -t 100
