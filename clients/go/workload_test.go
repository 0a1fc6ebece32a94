package cdc_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

// workload makes random changes to four tables with different identities.
type workload struct {
	d        *database
	r        *rand.Rand
	prepared []string
	columns  int // added to each table so far
	gids     int
	touched  int
	prepares bool
	ddl      bool
}

var workloadTables = []string{"keyed", "full_keyed", "unkeyed", "indexed"}

// newWorkload makes the tables. CDC_SEED replaces the seed.
func newWorkload(d *database, seed uint64) *workload {
	if n, err := strconv.ParseUint(os.Getenv("CDC_SEED"), 10, 64); err == nil {
		seed = n
	}
	for _, t := range workloadTables {
		d.exec(fmt.Sprintf(`CREATE TABLE %s (id int NOT NULL, n bigint, v text, big text, f float8, a int[], j jsonb)`, t))
		d.exec(fmt.Sprintf(`ALTER TABLE %s ALTER big SET STORAGE EXTERNAL`, t))
	}
	d.exec(`ALTER TABLE keyed ADD PRIMARY KEY (id);
		ALTER TABLE full_keyed ADD PRIMARY KEY (id); ALTER TABLE full_keyed REPLICA IDENTITY FULL;
		ALTER TABLE unkeyed REPLICA IDENTITY FULL;
		ALTER TABLE indexed ALTER n SET NOT NULL; CREATE UNIQUE INDEX ix ON indexed (n, id);
		ALTER TABLE indexed REPLICA IDENTITY USING INDEX ix`)
	return &workload{d: d, r: rand.New(rand.NewPCG(seed, 0))}
}

func (w *workload) pick(list ...string) string { return list[w.r.IntN(len(list))] }

func (w *workload) table() string { return `"` + w.pick(workloadTables...) + `"` }

// insert adds n rows whose keys are free, beginning anywhere.
func (w *workload) insert(table string, n int) string {
	return fmt.Sprintf(`INSERT INTO %s (id, n, v, big, f, a, j)
		SELECT i, i %% 7, CASE WHEN i %% 3 > 0 THEN 'é' || i %% 5 END, CASE WHEN i %% 4 = 0 THEN repeat('b', 3000) END,
			i / 7.0, ARRAY[i, NULL], jsonb_build_object('k', i %% 2)
		FROM generate_series(%d, %[2]d + %[3]d) i WHERE NOT EXISTS (SELECT FROM %[1]s t WHERE t.id = i)`,
		table, w.r.IntN(2000), n)
}

func (w *workload) change(big bool) string {
	t, id := w.table(), w.r.IntN(2000)
	n := w.r.IntN(6)
	if big {
		n = 300 + w.r.IntN(500)
	}
	switch w.r.IntN(9) {
	case 0, 1, 2:
		return w.insert(t, n)
	case 3, 4, 5:
		set := w.pick("v = NULL", "v = 'new', f = '-0'", "big = repeat('c', 2500)", "j = NULL, a = '{}'", "id = id", "f = 'NaN', a = '[0:0]={1}'")
		return fmt.Sprintf("UPDATE %s SET %s WHERE id BETWEEN %d AND %d", t, set, id, id+n)
	case 6: // keys move
		return fmt.Sprintf("UPDATE %s SET id = id + 10000 WHERE id BETWEEN %d AND %d AND NOT EXISTS (SELECT FROM %[1]s x WHERE x.id = %[1]s.id + 10000)", t, id, id+n)
	case 7:
		return fmt.Sprintf("DELETE FROM %s WHERE id BETWEEN %d AND %d", t, id, id+n)
	}
	return "SELECT 1"
}

func (w *workload) schema() string {
	t := w.table()
	w.columns++
	switch w.r.IntN(6) {
	case 0:
		return "TRUNCATE " + t
	case 1:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN c%d text DEFAULT 'old %[2]d'", t, w.columns)
	case 2:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN c%d int", t, w.columns)
	case 3:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN c%d float8 DEFAULT random()", t, w.columns) // rewrites
	case 4: // drops the newest column that was added
		return fmt.Sprintf(`DO $$ DECLARE c name; BEGIN
			SELECT attname INTO c FROM pg_attribute WHERE attrelid = '%s'::regclass AND attname ~ '^c[0-9]' AND NOT attisdropped ORDER BY attnum DESC LIMIT 1;
			IF FOUND THEN EXECUTE 'ALTER TABLE %[1]s DROP COLUMN ' || c; END IF; END $$`, t)
	}
	return fmt.Sprintf("ALTER TABLE %s ALTER v TYPE %s", t, w.pick("varchar(100)", "text"))
}

// transaction runs one, which may be rolled back, prepared, or have savepoints.
func (w *workload) transaction() {
	sql := []string{"BEGIN"}
	big := w.r.IntN(6) == 0
	for range 1 + w.r.IntN(4) {
		switch {
		case w.ddl && len(w.prepared) == 0 && w.r.IntN(25) == 0:
			sql = append(sql, w.schema())
		case w.r.IntN(4) == 0:
			sql = append(sql, "SAVEPOINT s", w.change(big), w.pick("ROLLBACK TO s", "RELEASE s"))
		default:
			sql = append(sql, w.change(big))
		}
	}
	switch end := w.r.IntN(10); {
	case end == 0:
		sql = append(sql, "ROLLBACK")
	case end < 3 && w.prepares && len(w.prepared) == 0:
		w.gids++
		gid := fmt.Sprintf("%s %d", w.d.name, w.gids)
		sql = append(sql, "PREPARE TRANSACTION '"+gid+"'")
		w.prepared = append(w.prepared, gid)
	default:
		sql = append(sql, "COMMIT")
	}
	_, err := w.d.conn.Exec(timeout(w.d.t, 60e9), "SET lock_timeout = '50ms';"+strings.Join(sql, ";")).ReadAll()
	if err != nil { // a lock that a prepared transaction holds
		w.d.exec("ROLLBACK")
		if strings.HasPrefix(sql[len(sql)-1], "PREPARE") {
			w.prepared = w.prepared[:len(w.prepared)-1]
		}
	}
	if len(w.prepared) > 0 && w.r.IntN(4) == 0 || err != nil {
		w.resolve()
	}
}

// touch writes to every table, since the stream tells of an altered table only with
// the next change of it.
func (w *workload) touch() {
	for _, table := range workloadTables {
		w.touched++
		insert := fmt.Sprintf("INSERT INTO %s (id, n) VALUES (%d, 0)", table, -w.touched)
		if _, err := w.d.conn.Exec(timeout(w.d.t, 60e9), insert).ReadAll(); err != nil {
			w.resolve() // a prepared transaction holds the table's lock
			w.d.exec(insert)
		}
	}
}

// resolve ends the prepared transactions.
func (w *workload) resolve() {
	for _, gid := range w.prepared {
		w.d.exec(w.pick("COMMIT", "COMMIT", "ROLLBACK") + " PREPARED '" + gid + "'")
	}
	w.prepared = nil
}

// contents gives a table's rows as the server would send them, each sorted by
// field.
func (d *database) contents(table string) map[string]int {
	d.t.Helper()
	rows := map[string]int{}
	for _, raw := range d.snapshot(table) {
		rows[raw]++
	}
	return rows
}
