# pgbench's own tables and transactions, by several sessions at once. Of its
# 100000 accounts every fifth is enough: an UPDATE that meets none is no event.
"$BINDIR/pgbench" -i -I dtp -q
"$BINDIR/psql" -XAtq -v ON_ERROR_STOP=1 <<SQL
INSERT INTO pgbench_branches VALUES (1, 0);
INSERT INTO pgbench_tellers SELECT i, 1, 0 FROM generate_series(1, 10) i;
COPY pgbench_accounts (aid) FROM PROGRAM 'seq 5 5 100000';
UPDATE pgbench_accounts SET bid = 1, abalance = 0, filler = '' WHERE aid <= 10000;
SQL
"$BINDIR/pgbench" -n -c 4 -j 2 -t 150
"$BINDIR/pgbench" -n -b simple-update -c 2 -t 100
