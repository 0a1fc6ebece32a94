package cdc_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// ddlSteps are the steps of a load at which something happens: 7, or what CDC_DDL_STEPS lists.
func ddlSteps() (steps []int) {
	for _, s := range strings.Fields(cmp.Or(os.Getenv("CDC_DDL_STEPS"), "7")) {
		n, _ := strconv.Atoi(s)
		steps = append(steps, n)
	}
	return steps
}

// Tables are renamed, swapped, dropped and made anew while they are loaded, at each step of
// a load.
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
		for _, step := range ddlSteps() {
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

// apply applies what there is.
func (c *copying) apply(t *testing.T) {
	t.Helper()
	c.markers++
	marker := fmt.Sprint("apply ", c.markers)
	c.d.exec("SELECT pg_logical_emit_message(false, 'marker', '" + marker + "')")
	follow(t, c.stream, c.applier, marker)
}

// Values of a type read otherwise: what has them is read again, long after the load.
func TestLiveDDLTypes(t *testing.T) {
	d := live(t)
	d.exec(`CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (a int, b text);
		CREATE TABLE m (id int PRIMARY KEY, m mood, all_of mood[]); INSERT INTO m SELECT i, 'sad', '{sad,happy}' FROM generate_series(1, 50) i;
		CREATE TABLE keyless (m mood, p pair); ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless VALUES ('sad', (1, 'x')), ('happy', (2, 'y'));
		CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)`)
	c := d.loaded(t, nil, func(int) bool { return false }, "m", "keyless", "other")
	for _, sql := range []string{
		"INSERT INTO m VALUES (100, 'sad', NULL)",
		"ALTER TYPE mood RENAME VALUE 'sad' TO 'unhappy'",
		"UPDATE keyless SET p = (3, 'z') WHERE m = 'unhappy'; DELETE FROM m WHERE id = 7; UPDATE m SET m = 'happy' WHERE id = 8",
		"INSERT INTO m VALUES (101, 'unhappy', NULL); ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'; INSERT INTO m VALUES (102, 'glad', '{glad}'); ALTER TABLE m RENAME TO n; INSERT INTO n VALUES (103, 'glad')",
		"ALTER TYPE mood ADD VALUE 'other'",
		"DELETE FROM keyless WHERE m = 'glad'; INSERT INTO keyless VALUES ('other', (4, NULL))",
		"ALTER TYPE mood RENAME TO humour",
		"ALTER TYPE humour RENAME VALUE 'glad' TO 'joyful'; ALTER TABLE n DROP all_of; DROP TABLE keyless",
	} {
		d.exec("BEGIN; " + sql + "; COMMIT")
		if c.step(t); t.Failed() {
			t.Fatal(sql)
		}
	}
}

// A table comes into a publication and leaves it: what it has is read, or, without a Loader,
// nothing is there but what comes.
func TestLiveDDLPublication(t *testing.T) {
	for _, loaded := range []bool{true, false} {
		t.Run(fmt.Sprint(loaded), func(t *testing.T) {
			d := live(t)
			d.exec(`CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x'), (2, 'y'); CREATE TABLE b (id int PRIMARY KEY, v text);
				INSERT INTO b VALUES (1, 'b1'), (2, 'b2'); CREATE PUBLICATION p FOR TABLE a`)
			options := map[string]string{"publication_names": "p"}
			c := d.loaded(t, options, func(int) bool { return false }, "a")
			if !loaded {
				c.applier, c.state = nil, cdc.NewMemoryState()
				c.applier = cdc.NewApplier(c.state)
			}
			d.exec("INSERT INTO a VALUES (3, 'z')")
			c.apply(t)
			d.exec("ALTER PUBLICATION p ADD TABLE b")
			c.apply(t)
			d.exec("INSERT INTO b VALUES (3, 'b3')")
			c.apply(t)
			if loaded {
				d.exec("UPDATE b SET v = 'new', id = id + 10")
				c.apply(t)
				d.sameRows(t, c.state, "public.a", "public.a")
				d.sameRows(t, c.state, "public.b", "public.b")
			} else if n := c.state.(*cdc.MemoryState).Len("public.b"); n != 1 {
				t.Errorf("%d rows", n)
			}
			rows := c.state.(*cdc.MemoryState).Len("public.a")
			d.exec("ALTER PUBLICATION p DROP TABLE a; DELETE FROM a WHERE id = 1; INSERT INTO a VALUES (4, 'not sent')")
			c.apply(t)
			if n := c.state.(*cdc.MemoryState).Len("public.a"); n != rows {
				t.Errorf("%d rows of a table that has left", n)
			}
			d.exec("BEGIN; ALTER PUBLICATION p ADD TABLE a; INSERT INTO a VALUES (5, 'sent'); COMMIT")
			c.apply(t)
			if !loaded {
				if n := c.state.(*cdc.MemoryState).Len("public.a"); n != 1 {
					t.Errorf("%d rows", n)
				}
				return
			}
			d.exec("UPDATE a SET v = 'again' WHERE id = 4; DROP TABLE b")
			c.apply(t)
			d.sameTables(t, c.state)
		})
	}
}

// A process that ends after tables were read again goes on where it was.
func TestLiveDDLRestart(t *testing.T) {
	d := live(t)
	d.exec("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE a (id int PRIMARY KEY, m mood); INSERT INTO a SELECT i, 'sad' FROM generate_series(1, 90) i; CREATE TABLE b (id int PRIMARY KEY)")
	config := d.config(t)
	config.Options = map[string]string{"messages": "marker"}
	if err := d.open(config).Close(); err != nil {
		t.Fatal(err)
	}
	state := cdc.NewMemoryState()
	name := filepath.Join(t.TempDir(), "progress")
	for n, sql := range []string{"", "ALTER TYPE mood RENAME VALUE 'sad' TO 'unhappy'", "ALTER TABLE a RENAME TO z", "ALTER TYPE mood RENAME VALUE 'unhappy' TO 'sad'; ALTER TABLE z RENAME TO a", "DROP TABLE a"} {
		if sql != "" {
			d.exec(sql)
		}
		loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Options: config.Options, Tables: []string{"a", "b"}, RowsPerChunk: 20, Progress: cdc.ProgressFile(name)}
		applier := cdc.NewApplier(state)
		if err := loader.Run(timeout(t, 30*time.Second), applier); err != nil {
			t.Fatal(err)
		}
		c := &copying{d: d, stream: d.open(config), state: state, applier: applier, markers: 100 * n}
		d.exec("INSERT INTO b VALUES (" + strconv.Itoa(n) + ")")
		c.step(t)
		if err := c.stream.Close(); err != nil {
			t.Fatal(err)
		}
		_ = loader.Close(context.Background())
	}
}
