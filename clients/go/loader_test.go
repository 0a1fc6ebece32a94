package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
)

// stopping is a progress that fails after some chunks, as a crash would.
type stopping struct {
	cdc.ProgressFile
	left int
}

var errStopped = errors.New("stopped")

func (s *stopping) Save(p *cdc.LoadProgress) error {
	if s.left--; s.left < 0 {
		return errStopped
	}
	return s.ProgressFile.Save(p)
}

// Tables are loaded in parts, under many snapshots, while they change, with
// interruptions; the stream makes of that what the source has.
func TestLiveLoad(t *testing.T) {
	for _, kind := range []string{"off", "on", "fetch"} {
		t.Run(kind, func(t *testing.T) {
			d := live(t)
			w := newWorkload(d, 11)
			w.ddl = true
			for range 30 {
				w.transaction()
			}
			for _, table := range workloadTables {
				d.exec(w.insert(table, 1000))
			}
			config := d.config(t)
			if kind == "fetch" { // by a role that may not SELECT
				config = d.reader(t, false, map[string]string{"messages": "marker"})
				d.exec(`GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO "` + d.slot() + `"`)
				d.grant(workloadTables...)
				d.query(`SELECT cdc.grant_read(role => '"` + d.slot() + `"', prefix => 'marker')`)
				config.FetchWait = 100 * time.Millisecond
			} else {
				config.Options = map[string]string{"messages": "marker", "streaming": kind}
			}
			if err := d.open(config).Close(); err != nil { // makes the slot
				t.Fatal(err)
			}
			state := cdc.NewMemoryState()
			progress := &stopping{cdc.ProgressFile(filepath.Join(t.TempDir(), "progress")), 4}
			loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Options: config.Options, RowsPerChunk: 200, Progress: progress}
			for _, table := range workloadTables {
				loader.Tables = append(loader.Tables, "public."+table)
			}
			defer loader.Close(context.Background())
			var applier *cdc.Applier
			attempts := 0
			for done := false; !done; attempts++ {
				w.ddl = attempts%3 == 0 // a load that is altered too often is given up
				for range 10 {
					w.transaction() // and rows move to where they were read, or not yet
					d.exec(fmt.Sprintf("UPDATE keyed SET id = 20000 - id WHERE id %% 97 = %d AND NOT EXISTS (SELECT FROM keyed x WHERE x.id = 20000 - keyed.id)", attempts))
					d.exec(fmt.Sprintf("UPDATE full_keyed SET id = 30000 - id WHERE id %% 89 = %d AND NOT EXISTS (SELECT FROM full_keyed x WHERE x.id = 30000 - full_keyed.id)", attempts))
				}
				applier = cdc.NewApplier(state)
				err := loader.Run(context.Background(), applier)
				if err != nil && !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				done = err == nil
				progress.left = 4
			}
			if attempts < 4 {
				t.Errorf("%d attempts", attempts)
			}
			progress.left = 1 << 30
			w.ddl = true
			for range 30 {
				w.transaction()
			}
			w.touch()
			stream := d.open(config)
			d.exec("SELECT pg_logical_emit_message(false, 'marker', 'end')")
			follow(t, stream, applier, "end")
			compareTables(t, d, state)
		})
	}
}

// altering alters a table whenever so many steps of a load have been stored, if
// nobody reads it just then.
type altering struct {
	cdc.ProgressFile
	every, steps int
	times        int
	alter        func(times int) bool
	last         *cdc.LoadProgress
	restarts     map[string]int // of tables, the most
}

func (a *altering) Save(p *cdc.LoadProgress) error {
	a.last = p
	for _, table := range p.Tables {
		if a.restarts == nil {
			a.restarts = map[string]int{}
		}
		a.restarts[table.Name] = max(a.restarts[table.Name], table.Restarts)
	}
	if a.steps++; a.steps >= a.every && a.alter(a.times) {
		a.steps = 0
		a.times++
	}
	return a.ProgressFile.Save(p)
}

// try runs statements unless a lock is in their way.
func (d *database) try(sql string) bool {
	d.t.Helper()
	_, err := d.conn.Exec(timeout(d.t, time.Minute), "SET lock_timeout = '50ms'; "+sql).ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55P03" {
		d.exec("ROLLBACK")
		return false
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return true
}

// Tables are altered before they are read, while they are, and before the stream has
// passed the load.
func TestLiveLoadAltered(t *testing.T) {
	ddl := []string{
		"ADD COLUMN x%d text DEFAULT 'old'",
		"ADD COLUMN x%d float8 DEFAULT random()", // writes all rows anew
		"DROP COLUMN IF EXISTS f, ADD COLUMN x%d int",
		"ALTER n TYPE numeric, ADD COLUMN x%d int",
	}
	for _, streaming := range []string{"off", "on", "untold"} {
		t.Run(streaming, func(t *testing.T) {
			d := live(t)
			w := newWorkload(d, 5)
			for _, table := range workloadTables {
				d.exec(w.insert(table, 1000))
			}
			config := d.config(t)
			config.Options = map[string]string{"messages": "marker", "streaming": streaming}
			if streaming == "untold" {
				config.Options["streaming"], config.Options["schema_changes"] = "off", "off"
			}
			if err := d.open(config).Close(); err != nil {
				t.Fatal(err)
			}
			alter := func(table string, n int) bool {
				return d.try(fmt.Sprintf("BEGIN; DELETE FROM %s WHERE id %% 50 = %d; ALTER TABLE %[1]s %[3]s; UPDATE %[1]s SET v = 'altered' WHERE id %% 9 = 0; COMMIT",
					table, n, fmt.Sprintf(ddl[n%len(ddl)], n)))
			}
			for range 20 {
				w.transaction()
			}
			for n, table := range workloadTables { // the stream has it under another schema first
				alter(table, n)
			}
			state := cdc.NewMemoryState()
			progress := &altering{ProgressFile: cdc.ProgressFile(filepath.Join(t.TempDir(), "progress")), every: 7}
			// The first one while it is read, and all while the last one is.
			alterations := []string{"keyed", "keyed", "full_keyed", "unkeyed", "keyed", "indexed"}
			progress.alter = func(n int) bool {
				last := progress.last != nil && len(progress.last.Tables[3].Chunks) > 1
				if progress.every = 7; last {
					progress.every = 1
				}
				return n < len(alterations) && (n < 2 || last) && alter(alterations[n], 10+n)
			}
			loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Options: config.Options, RowsPerChunk: 200, Progress: progress}
			for _, table := range workloadTables {
				loader.Tables = append(loader.Tables, "public."+table)
			}
			defer loader.Close(context.Background())
			applier := cdc.NewApplier(state)
			if err := loader.Run(context.Background(), applier); err != nil {
				t.Fatal(err)
			}
			progress.alter = func(int) bool { return false }
			for n := range 3 {
				for range 10 {
					w.transaction()
				}
				for m, table := range workloadTables[1:] {
					alter(table, 20+4*n+m)
				}
			}
			w.touch()
			stream := d.open(config)
			d.exec("SELECT pg_logical_emit_message(false, 'marker', 'end')")
			follow(t, stream, applier, "end")
			compareTables(t, d, state)
			if r := progress.restarts; r["public.keyed"] == 0 || r["public.indexed"] == 0 || progress.times < len(alterations) {
				t.Errorf("restarts: %v, %d alterations", r, progress.times)
			}
		})
	}
}

// What happened to rows that were gone when their table was read is passed over.
func TestLiveLoadEmpty(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, big text, v text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL; INSERT INTO t VALUES (1, repeat('x', 5000), 'a')")
	config := d.config(t)
	if err := d.open(config).Close(); err != nil {
		t.Fatal(err)
	}
	d.exec("UPDATE t SET v = 'b'") // without the large value
	d.exec("DELETE FROM t")
	loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Tables: []string{"t"}, Progress: cdc.ProgressFile(filepath.Join(t.TempDir(), "progress"))}
	defer loader.Close(context.Background())
	state := cdc.NewMemoryState()
	applier := cdc.NewApplier(state)
	if err := loader.Run(context.Background(), applier); err != nil {
		t.Fatal(err)
	}
	d.exec("INSERT INTO t VALUES (2, 'y', 'c')")
	d.exec("UPDATE t SET v = 'd'")
	stream := d.open(config)
	for range 4 {
		if err := applier.Apply(context.Background(), receive(t, stream)); err != nil {
			t.Fatal(err)
		}
	}
	if n := state.Len("public.t"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// A table that does not stop changing is read all the same, and followed.
func TestLiveLoadAgain(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)")
	config := d.config(t)
	config.Options = map[string]string{"messages": "marker"}
	if err := d.open(config).Close(); err != nil {
		t.Fatal(err)
	}
	progress := &altering{ProgressFile: cdc.ProgressFile(filepath.Join(t.TempDir(), "progress")), every: 2,
		alter: func(n int) bool { return d.try(fmt.Sprintf("ALTER TABLE t ADD COLUMN c%d int", n)) }}
	loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Tables: []string{"t"}, RowsPerChunk: 100, Progress: progress}
	defer loader.Close(context.Background())
	state := cdc.NewMemoryState()
	applier := cdc.NewApplier(state)
	if err := loader.Run(context.Background(), applier); err != nil {
		t.Fatal(err)
	}
	if progress.times < 3 || progress.restarts["t"] == 0 {
		t.Errorf("%d alterations, %d restarts", progress.times, progress.restarts["t"])
	}
	progress.alter = func(int) bool { return false }
	d.exec("ALTER TABLE t ADD last text DEFAULT 'x'")
	d.exec("SELECT pg_logical_emit_message(false, 'marker', 'end')")
	follow(t, d.open(config), applier, "end")
	d.sameTables(t, state)
}

func TestLivePostgresStore(t *testing.T) {
	d := live(t)
	ctx := context.Background()
	store := &cdc.PostgresStore{Conn: "dbname=" + d.name, Slot: "s", CreateTable: true}
	defer store.Close(ctx)
	if c, err := store.Load(ctx); c != nil || err != nil {
		t.Fatal(c, err)
	}
	want := cdc.Checkpoint{SystemIdentifier: 1<<64 - 1, Timeline: 3, Database: "d", Slot: "s", Position: cdc.Position{CommitLSN: 5, LSN: 4, Index: 3}, EndLSN: 0x1000000001}
	for range 2 {
		if err := store.Save(ctx, &want); err != nil {
			t.Fatal(err)
		}
	}
	back := want
	back.EndLSN--
	earlier := want
	earlier.Position.CommitLSN--
	for _, c := range []*cdc.Checkpoint{&back, &earlier} { // what comes late does not count
		if err := store.Save(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := store.Load(ctx); err != nil || *c != want {
		t.Fatal(c, err)
	}
	// In a transaction that is rolled back, it is not stored.
	more := want
	more.EndLSN++
	d.exec("BEGIN")
	err := cdc.SaveTx(ctx, &more, func(ctx context.Context, sql string, args ...any) error {
		var values [][]byte
		for _, a := range args {
			values = append(values, []byte(a.(string)))
		}
		return d.conn.ExecParams(ctx, sql, values, nil, nil, nil).Read().Err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.exec("ROLLBACK")
	if c, err := store.Load(ctx); err != nil || *c != want {
		t.Fatal(c, err)
	}
	// It lives through the loss of its connection.
	d.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
	eventually(t, "stored again", func() bool { return store.Save(ctx, &more) == nil })
	if c, err := store.Load(ctx); err != nil || *c != more {
		t.Fatal(c, err)
	}
}
