package cdc_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

var _ = addScenarios(map[string]func(*testing.T){
	"load-progress":  loadProgress,
	"state-postgres": statePostgres,
})

func loadProgress(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 5000); ANALYZE t")
	d.makeSlot()
	log, metrics := &journal{}, newMeter()
	loader := &cdc.Loader{Conn: "dbname=" + d.name, Slot: d.slot(), Tables: []string{"public.t"}, RowsPerChunk: 1000,
		Progress: cdc.ProgressFile(filepath.Join(t.TempDir(), "progress")), Logger: log.logger(), Metrics: metrics}
	defer loader.Close(context.Background())
	if err := loader.Run(context.Background(), cdc.NewApplier(cdc.NewMemoryState())); err != nil {
		t.Fatal(err)
	}
	if n, expected := metrics.count(cdc.LoadRowsTotal, ""), metrics.now(cdc.LoadRowsExpected); n != 5000 || expected != 5000 {
		t.Errorf("%d rows of about %v", n, expected)
	}
	for _, words := range []string{"msg=loaded", "relation=public.t", "rows=5000", "expected=5000", "rows_per_second="} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("%q is not in %s", words, log)
		}
	}
}

// dying is a state whose process is killed at some change.
type dying struct {
	*cdc.PostgresState
	left int
}

var errKilled = errors.New("killed")

func (d *dying) Put(ctx context.Context, relation string, key []byte, row cdc.Row) error {
	if d.left--; d.left <= 0 {
		return errKilled
	}
	return d.PostgresState.Put(ctx, relation, key, row)
}

func (d *dying) Commit(ctx context.Context, p cdc.Position) error {
	if d.left--; d.left <= 0 {
		return errKilled
	}
	return d.PostgresState.Commit(ctx, p)
}

func statePostgres(t *testing.T) {
	d := live(t)
	w := newWorkload(d, 5)
	w.ddl = true
	for range 30 {
		w.transaction()
	}
	config := d.config(t)
	config.Options = map[string]string{"messages": "marker"}
	if err := d.open(config).Close(); err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, table := range workloadTables {
		tables = append(tables, "public."+table)
	}
	target := d.second() // not where its own changes would be in the stream
	random := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	for round := range 12 {
		last := round == 11
		state := &dying{&cdc.PostgresState{Conn: "dbname=" + target, Name: "copy", CreateTables: true}, 1 + random.IntN(3000)}
		if last {
			state.left = 1 << 40
		}
		applier := cdc.NewApplier(state)
		loader := &cdc.Loader{Conn: config.Conn, Slot: config.Slot, Options: config.Options, Tables: tables, RowsPerChunk: 200,
			Progress: cdc.ProgressFile(filepath.Join(filepath.Dir(string(config.Store.(cdc.FileStore))), "progress"))}
		err := loader.Run(ctx, applier)
		stream := d.open(config)
		for range 5 {
			w.transaction()
		}
		if last {
			w.touch()
		}
		d.exec("SELECT pg_logical_emit_message(false, 'marker', '')")
		for err == nil {
			txn := receive(t, stream)
			if err = applier.Apply(ctx, txn); err == nil {
				stream.Ack(txn)
				if txn.IsMessage && txn.EndLSN >= d.confirmed() {
					break
				}
			}
		}
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if last {
			time.Sleep(100 * time.Millisecond)
			drain(t, stream, applier)
			compareTables(t, d, state)
		}
		_ = state.Close(ctx) // what was not committed is gone
		_ = loader.Close(ctx)
		_ = stream.Close()
	}
}

// drain applies what comes until a last message does.
func drain(t *testing.T, stream *cdc.Stream, applier *cdc.Applier) {
	t.Helper()
	for {
		txn, err := stream.Next(timeout(t, 500*time.Millisecond))
		if err != nil {
			return
		}
		if err := applier.Apply(context.Background(), txn); err != nil {
			t.Fatal(err)
		}
		stream.Ack(txn)
	}
}
