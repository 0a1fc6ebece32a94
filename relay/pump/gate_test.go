package pump

import (
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// However many transactions there are, few are kept, and none is acknowledged too soon:
// behind one that is kept, the server does not hear of it.
func TestGate(t *testing.T) {
	now := time.Unix(1000, 0)
	acked := map[*cdc.Txn]time.Time{}
	g := newGate(64*time.Second, func(t *cdc.Txn) { acked[t] = now })
	g.now = func() time.Time { return now }
	stored := map[*cdc.Txn]time.Time{}
	var order []*cdc.Txn
	most := 0
	for i := range 3000 {
		if i < 2000 {
			txn := new(cdc.Txn)
			stored[txn] = now
			order = append(order, txn)
			g.stored(txn)
		}
		now = now.Add(100 * time.Millisecond)
		g.release()
		most = max(most, len(g.kept))
	}
	if most > steps+2 {
		t.Errorf("%d were kept", most)
	}
	heard := time.Time{} // when all up to here are acknowledged
	for _, txn := range order {
		at, ok := acked[txn]
		if !ok {
			t.Fatal("one is never acknowledged")
		}
		if at.After(heard) {
			heard = at
		}
		if d := heard.Sub(stored[txn]); d < 64*time.Second || d > 68*time.Second {
			t.Fatalf("PostgreSQL hears of one after %v", d)
		}
	}
}

func TestNoGate(t *testing.T) {
	n := 0
	g := newGate(0, func(*cdc.Txn) { n++ })
	g.stored(new(cdc.Txn))
	if n != 1 {
		t.Error("it is not acknowledged at once")
	}
}
