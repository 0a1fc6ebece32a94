# Two sessions, of which the first is streamed in parts. Between these, what is decoded of the second
# has its catalogs, without the first's changes: its command looks at a table that the first has
# changed, since it hears of a change before (which the WAL does not tell it, as it has written
# nothing by then); and its row is of a table whose schema the first has renamed. Then the second
# changes tables while the first is in a savepoint that is rolled back. At the end the second's commands
# concern tables that it does not lock, and that the first alters and commits before.
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
for name in first second; do
	mkfifo "$directory/$name"
done
exec 3> >(exec "$BINDIR/psql" -XAtq -v ON_ERROR_STOP=1 >"$directory/first") 4<"$directory/first"
exec 5> >(exec "$BINDIR/psql" -XAtq -v ON_ERROR_STOP=1 >"$directory/second") 6<"$directory/second"

say() {                                 # waits until it is done
	local line
	printf '%s\n' "$3" '\echo answered' >&"$1"
	read -r line <&"$2"
	[ "$line" = answered ]
}

first() {
	say 3 4 "$1"
}

second() {
	say 5 6 "$1"
}

rows() {                                # enough for a part of their own
	echo "INSERT INTO changed SELECT i, repeat('v', 100) FROM generate_series($1, $1 + 999) i;"
}

first "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, v text); CREATE TABLE changed (id int PRIMARY KEY, v text); CREATE TABLE seconds (id int PRIMARY KEY);"
second "CREATE TABLE made0 (id int PRIMARY KEY);"

second "BEGIN;"
first "ALTER TABLE changed ADD COLUMN a int;"
first "BEGIN; ALTER TABLE changed ADD COLUMN n int DEFAULT 5; $(rows 1)"
second "CREATE TABLE made1 (id int PRIMARY KEY); COMMIT;"
first "$(rows 1001) COMMIT;"

second "BEGIN;"
first "ALTER TABLE changed ADD COLUMN b int;"
first "BEGIN; ALTER TABLE changed ADD COLUMN f float8 DEFAULT random(); $(rows 2001)"
second "CREATE TABLE made2 (id int PRIMARY KEY); COMMIT;"
first "SAVEPOINT s; $(rows 3001) ALTER TABLE changed DROP COLUMN b; ROLLBACK TO s; $(rows 4001) COMMIT;"

first "BEGIN; ALTER SCHEMA shop RENAME TO store;"
first "INSERT INTO store.orders SELECT i, 'sad' FROM generate_series(101, 2000) i;"
second "INSERT INTO shop.orders VALUES (1, 'ok');"
first "UPDATE store.orders SET v = 'ok' WHERE id > 100; COMMIT;"

first "BEGIN; SAVEPOINT s; INSERT INTO changed SELECT i, 'few' FROM generate_series(-50, -1) i;"
second "ALTER TABLE seconds ADD COLUMN n int;"
first "$(rows 5001) ROLLBACK TO s; INSERT INTO seconds VALUES (1, 2); COMMIT;"
first "BEGIN; SAVEPOINT s; INSERT INTO changed SELECT i, 'few' FROM generate_series(-50, -1) i;"
second "TRUNCATE seconds;"
first "$(rows 5001) ROLLBACK TO s; INSERT INTO seconds VALUES (3, 4); COMMIT;"

first "CREATE TABLE moods (id int PRIMARY KEY, m mood, v int, gone int); INSERT INTO moods VALUES (1, 'sad', 5, 6);"
second "BEGIN; ALTER TYPE mood ADD VALUE 'unused';"
first "ALTER TABLE moods ALTER v TYPE text USING 'five', DROP gone, ADD n int DEFAULT random();"
first "INSERT INTO moods VALUES (2, 'sad', 'six', 7); GRANT SELECT ON moods TO PUBLIC;"
second "CREATE TABLE made3 (id int PRIMARY KEY); COMMIT;"
first "INSERT INTO moods VALUES (3, 'sad', 'seven', 8);"

second "BEGIN; CREATE TABLE made4 (id int PRIMARY KEY); ALTER SCHEMA store RENAME TO shelf;"
first "ALTER TABLE store.orders ADD n int DEFAULT 3, DROP v; INSERT INTO store.orders VALUES (5000, 1); GRANT SELECT ON store.orders TO PUBLIC;"
second "COMMIT;"
first "INSERT INTO shelf.orders VALUES (5001, 2);"
