package pump

import (
	"sync"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// gate acknowledges transactions to PostgreSQL some time after they were stored. A client's
// checkpoint moves over transactions without a gap: it is enough to keep one of each step of
// time back, however many there are.
type gate struct {
	hold, step time.Duration
	ack        func(*cdc.Txn)
	now        func() time.Time

	mu   sync.Mutex
	kept []kept
}

type kept struct {
	txn   *cdc.Txn
	since time.Time
}

// steps that the time is divided into.
const steps = 64

func newGate(hold time.Duration, ack func(*cdc.Txn)) *gate {
	return &gate{hold: hold, step: hold / steps, ack: ack, now: time.Now}
}

// stored takes in a transaction that the bus has.
func (g *gate) stored(t *cdc.Txn) {
	if g.hold == 0 {
		g.ack(t)
		return
	}
	t.Close() // its bytes are not needed any more
	g.mu.Lock()
	now := g.now()
	keep := len(g.kept) == 0 || now.Sub(g.kept[len(g.kept)-1].since) >= g.step
	if keep {
		g.kept = append(g.kept, kept{t, now})
	}
	g.mu.Unlock()
	if !keep {
		g.ack(t)
	}
}

// release acknowledges what was kept for long enough. What was stored within a step after it goes with
// it, and so it waits for a step more.
func (g *gate) release() {
	g.mu.Lock()
	limit := g.now().Add(-g.hold - g.step)
	n := 0
	for n < len(g.kept) && !g.kept[n].since.After(limit) {
		n++
	}
	free := g.kept[:n:n]
	g.kept = g.kept[n:]
	g.mu.Unlock()
	for _, k := range free {
		g.ack(k.txn)
	}
}
