package plan

import (
	"log/slog"
	"os"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
)

// BenchmarkEvent makes the messages of one insert.
func BenchmarkEvent(b *testing.B) {
	f, err := os.Open("../../test/golden/identity.pb")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	raw, err := cdc.NewFileReader(f, cdc.Limits{}).Next()
	if err != nil {
		b.Fatal(err)
	}
	batch, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		b.Fatal(err)
	}
	p := New(Options{Prefix: "p", Keyed: true, Logger: slog.New(slog.DiscardHandler)}, &topics{partitions: 4, maxBytes: 1 << 20}, 0)
	p.Begin(&cdc.Txn{Transaction: batch.Transaction}, here)
	c := batch.Events()
	c.Next()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Event(b.Context(), c.Event()); err != nil {
			b.Fatal(err)
		}
	}
}
