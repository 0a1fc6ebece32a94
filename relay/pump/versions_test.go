package pump

import (
	"slices"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// The topics of a table are found on the bus, wherever its version stands in their names, and no others.
func TestVersionsOfATable(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		b, err := to.driver.Open(t.Context(), bus.Events{Stored: func(*cdc.Txn) {}, Failed: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := b.Claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		position := []bus.Header{{Name: bus.Position, Value: "0/10/0/10/0"}, {Name: bus.SourceName, Value: "1/1/d/s"}, {Name: bus.Confirm, Value: "0/0"}}
		for _, topic := range []string{"p.s.t", "p.s.t.v1", "p.s.t.v12", "p.s.t.vx", "p.s.t2", "p.v1.s.t", "p.v2.s.t", "p.v2.s.t2", "p.x.v2.s.t"} {
			if _, err := b.Partitions(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			if err := b.Send(t.Context(), []bus.Message{{Topic: topic, Partition: 2, Value: []byte("x"), Headers: position}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			family bus.Family
			want   []string
		}{
			{bus.Family{Bare: "p.s.t", Before: "p.s.t."}, []string{"p.s.t", "p.s.t.v1", "p.s.t.v12"}},
			{bus.Family{Before: "p.", After: ".s.t"}, []string{"p.v1.s.t", "p.v2.s.t"}},
			{bus.Family{Bare: "p.s.never", Before: "p.s.never."}, nil},
		} {
			got, err := b.Versions(t.Context(), c.family)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, %v", c.family, got, err)
			}
		}
	})
}
