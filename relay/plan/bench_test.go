package plan

import (
	"log/slog"
	"os"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
)

// firstEvent is a row of a golden file, and a plan for it.
func firstEvent(t testing.TB) (*Plan, *cdc.Event) {
	t.Helper()
	f, err := os.Open("../../test/golden/identity.pb")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := cdc.NewFileReader(f, cdc.Limits{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Prefix: "p", Keyed: true, Logger: slog.New(slog.DiscardHandler)}, &topics{partitions: 4, maxBytes: 1 << 20}, 0)
	p.Begin(&cdc.Txn{Transaction: batch.Transaction}, here)
	c := batch.Events()
	c.Next()
	return p, c.Event()
}

// BenchmarkEvent makes the messages of one insert.
func BenchmarkEvent(b *testing.B) {
	p, e := firstEvent(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Event(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

// What is allocated is for many events at once.
func TestAllocations(t *testing.T) {
	p, e := firstEvent(t)
	const events = 1000
	n := testing.AllocsPerRun(10, func() {
		for range events {
			if _, err := p.Event(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n/events > 0.05 {
		t.Errorf("%v allocations for %d events", n, events)
	}
}

// The text of a position is the same as anywhere else, whichever came before it.
func TestPositionText(t *testing.T) {
	p := New(Options{}, nil, 0)
	for _, at := range []cdc.Position{{}, {CommitLSN: 1, LSN: 2, Index: 3}, {CommitLSN: 1, LSN: 0xffff_ffff_ffff_ffff, Index: 4_000_000_000},
		{CommitLSN: 0xffff_ffff_ffff_ffff, LSN: 5}, {CommitLSN: 1, LSN: 2, Index: 3}, {LSN: 7}} {
		if got := p.positionText(at); got != at.String() {
			t.Errorf("%v is %s", at, got)
		}
	}
}
