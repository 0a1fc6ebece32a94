# Prepared transactions that have done all in savepoints, and are rolled back at once: just while they
# are decoded, or before.
"$BINDIR/psql" -XAtq -v ON_ERROR_STOP=1 -c "CREATE TABLE kept (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);" \
	-c "CREATE TABLE emptied1 (id int PRIMARY KEY); CREATE TABLE emptied2 (id int PRIMARY KEY);"
statements() {
	for i in {1..150}; do
		cat <<-END
			BEGIN; SAVEPOINT s; TRUNCATE emptied$1; INSERT INTO emptied$1 SELECT generate_series(1, 40);
			ALTER TABLE emptied$1 ADD c$i int DEFAULT $i; INSERT INTO emptied$1 VALUES (50, $i); RELEASE s;
			PREPARE TRANSACTION 'prepares $1';
			SELECT pg_sleep($((i % 5)) / 1000.0) \g /dev/null
			ROLLBACK PREPARED 'prepares $1';
			INSERT INTO kept (v) SELECT repeat('$1 $i ', 20) FROM generate_series(1, 20);
		END
	done
}
for i in 1 2; do
	statements $i | "$BINDIR/psql" -XAtq -v ON_ERROR_STOP=1 &
	running[i]=$!
done
wait "${running[1]}"
wait "${running[2]}"
