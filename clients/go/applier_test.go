package cdc_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// snapshot gives the rows of a table, as cdc.snapshot() reads them.
func (d *database) snapshot(table string) (rows []string) {
	d.t.Helper()
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	d.exec("BEGIN ISOLATION LEVEL REPEATABLE READ")
	defer d.exec("COMMIT")
	for _, r := range d.query(fmt.Sprintf(`SELECT encode(s, 'hex') FROM cdc.snapshot('"%s"') s`, table)) {
		frame, err := hex.DecodeString(r[0])
		if err != nil {
			d.t.Fatal(err)
		}
		raw, err := cdc.Unframe(frame)
		if err != nil {
			d.t.Fatal(err)
		}
		b, err := cdc.ParseBatch(raw, schemas)
		if err != nil {
			d.t.Fatal(err)
		}
		c := b.Events()
		for c.Next() {
			row, err := cdc.Sorted(append(append(cdc.Row{}, c.Event().Key...), c.Event().New...))
			if err != nil {
				d.t.Fatal(err)
			}
			rows = append(rows, string(row))
		}
		if c.Err() != nil {
			d.t.Fatal(c.Err())
		}
	}
	return rows
}

// follow applies what comes until the marker does. It counts streamed transactions
// and prepared ones.
func follow(t *testing.T, stream *cdc.Stream, a *cdc.Applier, marker string) (streamed, prepared int) {
	t.Helper()
	for {
		txn := receive(t, stream)
		if txn.IsMessage {
			for e := range txn.Events() {
				if m, err := e.Message(); err == nil && string(m.Content) == marker {
					stream.Ack(txn)
					return streamed, prepared
				}
			}
		}
		if txn.PrepareLSN != 0 && txn.Len() > 0 {
			prepared++
		}
		for e := range txn.Events() {
			if e.SubXID != 0 {
				streamed++
			}
			break
		}
		if err := a.Apply(context.Background(), txn); err != nil {
			t.Fatal(err)
		}
		stream.Ack(txn)
	}
}

func compareTables(t *testing.T, d *database, state cdc.State) {
	t.Helper()
	for _, table := range workloadTables {
		want := d.contents(table)
		relation, n := "public."+table, 0
		err := state.Scan(context.Background(), relation, func(_ []byte, row cdc.Row) error {
			row = cdc.WithoutLoadMark(row)
			if want[string(row)]--; want[string(row)] < 0 {
				t.Errorf("%s: a row that the source does not have: %x", table, row)
			}
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for row, left := range want {
			if left > 0 {
				t.Errorf("%s: %d rows are missing: %x", table, left, row)
			}
			if left != 0 && t.Failed() {
				break
			}
		}
		t.Logf("%s: %d rows", table, n)
	}
}

// The stream, applied to an empty state, gives the source's tables.
func TestLiveReplay(t *testing.T) {
	for _, c := range []struct {
		name                string
		streaming, twoPhase bool
		fetch               bool
		untold              bool // changes of schemas
	}{{"plain", false, false, false, false}, {"streaming", true, false, false, false}, {"streaming two phase", true, true, false, false},
		{"fetch", false, false, true, false}, {"fetch two phase", false, true, true, false}, {"untold", false, false, false, true}} {
		t.Run(c.name, func(t *testing.T) {
			d := live(t)
			w := newWorkload(d, 7)
			w.prepares, w.ddl = true, true
			config := d.config(t)
			options := map[string]string{"messages": "marker", "batch_bytes": "8kB"}
			if c.streaming {
				options["streaming"] = "on"
			}
			if c.untold {
				options["schema_changes"] = "off"
			}
			if c.twoPhase {
				options["two_phase"] = "on"
			}
			if config.Options = options; c.fetch {
				config = d.reader(t, c.twoPhase, options)
				config.FetchWait, config.FetchBytes = 100*time.Millisecond, 20_000
				d.grant(workloadTables...)
				d.query(`SELECT cdc.grant_read(role => '"` + d.slot() + `"', prefix => 'marker')`)
			}
			config.Assembler = cdc.AssemblerConfig{MemoryBytes: 50_000, Key: make([]byte, 32), Dir: t.TempDir()}
			state := cdc.NewMemoryState()
			applier := cdc.NewApplier(state)
			stream := d.open(config)
			streamed, prepared := 0, 0
			for round := range 4 {
				for range 30 {
					w.transaction()
				}
				if round == 3 {
					w.resolve()
				}
				w.touch()
				marker := fmt.Sprint("round ", round)
				d.exec("SELECT pg_logical_emit_message(false, 'marker', '" + marker + "')")
				s, p := follow(t, stream, applier, marker)
				streamed, prepared = streamed+s, prepared+p
				compareTables(t, d, state)
				if t.Failed() {
					t.FailNow()
				}
				if round%2 == 1 { // a new process, as far as the client knows
					if err := stream.Close(); err != nil {
						t.Fatal(err)
					}
					stream, applier = d.open(config), cdc.NewApplier(state)
				}
			}
			if (streamed > 0) != c.streaming || (prepared > 0) != c.twoPhase {
				t.Errorf("%d streamed transactions, %d prepared ones", streamed, prepared)
			}
		})
	}
}
