package cdc_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// loaded makes a copy whose tables are loaded; meanwhile is called at every step of the load.
func (d *database) loaded(t *testing.T, options map[string]string, meanwhile func(n int) bool, tables ...string) *copying {
	t.Helper()
	config := d.config(t)
	config.Options = map[string]string{"messages": "marker"}
	for name, value := range options {
		config.Options[name] = value
	}
	if err := d.open(config).Close(); err != nil { // makes the slot
		t.Fatal(err)
	}
	progress := &altering{ProgressFile: cdc.ProgressFile(filepath.Join(t.TempDir(), "progress")), every: 1, alter: meanwhile}
	loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Options: config.Options, Tables: tables, RowsPerChunk: 20, Progress: progress}
	t.Cleanup(func() { _ = loader.Close(context.Background()) })
	state := cdc.NewMemoryState()
	applier := cdc.NewApplier(state)
	if err := loader.Run(timeout(t, 30*time.Second), applier); err != nil {
		t.Fatal(err)
	}
	progress.alter = func(int) bool { return false }
	return &copying{d: d, stream: d.open(config), state: state, applier: applier}
}

// Tables are renamed, swapped, dropped and made anew while they are loaded, at each step of
// the load.
func TestLiveDDLWhileLoading(t *testing.T) {
	const tables = `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, 'a' || i FROM generate_series(1, 100) i;
		CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'b' || i FROM generate_series(50, 150) i;
		CREATE TABLE c (v text); ALTER TABLE c REPLICA IDENTITY FULL; INSERT INTO c SELECT 'c' || i % 7 FROM generate_series(1, 50) i`
	const changes = `UPDATE %[1]s SET v = v || '!' WHERE id %% 3 = 0; DELETE FROM %[1]s WHERE id %% 10 = 4; UPDATE %[1]s SET id = 1000 - id WHERE id %% 11 = 5`
	change := func(table string) string { return fmt.Sprintf(changes, table) }
	for name, ddl := range map[string]string{
		"rename":         "ALTER TABLE a RENAME TO z; " + change("z"),
		"rename keyless": "ALTER TABLE c RENAME TO z; UPDATE z SET v = 'new' WHERE v = 'c1'",
		"swap":           "ALTER TABLE a RENAME TO z; ALTER TABLE b RENAME TO a; ALTER TABLE z RENAME TO b; " + change("a"),
		"drop":           "DROP TABLE a",
		"drop and make":  "DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'new')",
		"replace":        "ALTER TABLE a RENAME TO old; CREATE TABLE a (LIKE old INCLUDING ALL); INSERT INTO a SELECT * FROM old WHERE id % 2 = 0; DROP TABLE old",
		"schema":         "ALTER SCHEMA public RENAME TO other; CREATE SCHEMA public",
		"key":            "ALTER TABLE a DROP CONSTRAINT a_pkey; ALTER TABLE a REPLICA IDENTITY FULL; UPDATE a SET v = 'x' WHERE id < 30",
		"other key":      "ALTER TABLE a DROP CONSTRAINT a_pkey; ALTER TABLE a ADD PRIMARY KEY (v); UPDATE a SET id = 7 WHERE id < 30",
		"column":         "ALTER TABLE a ADD w int DEFAULT 9; UPDATE a SET w = 1 WHERE id < 30",
		"rewrite":        "ALTER TABLE a ADD w float8 DEFAULT random(); UPDATE a SET w = 1 WHERE id < 30",
		"there and back": "ALTER TABLE a RENAME TO z; UPDATE z SET id = id + 1000 WHERE id < 50; ALTER TABLE z RENAME TO a",
	} {
		for _, step := range []int{2, 7, 16, 40} {
			if (step+len(name))%3 == 0 && step != 7 { // of the rest each takes some
				continue
			}
			t.Run(fmt.Sprintf("%s %d", name, step), func(t *testing.T) {
				d := live(t)
				d.exec(tables)
				at := 0
				c := d.loaded(t, nil, func(int) bool {
					if at++; at == step {
						if !d.try("BEGIN; " + ddl + "; COMMIT") {
							at-- // it is being read
						}
					}
					return false
				}, "a", "b", "c")
				if at < step {
					d.exec("BEGIN; " + ddl + "; COMMIT")
				}
				c.step(t)
				d.exec("CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1); UPDATE later SET id = 2")
				c.step(t)
			})
		}
	}
}
