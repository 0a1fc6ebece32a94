package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

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
	for _, streaming := range []string{"off", "on"} {
		t.Run(streaming, func(t *testing.T) {
			d := live(t)
			w := newWorkload(d, 11)
			for range 30 {
				w.transaction()
			}
			for _, table := range workloadTables {
				d.exec(w.insert(table, 1000))
			}
			config := d.config(t)
			config.Options = map[string]string{"messages": "marker", "streaming": streaming}
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
