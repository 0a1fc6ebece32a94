// Package acks knows what has been received and what of it is acknowledged.
package acks

import (
	"slices"
	"sync"
	"time"

	"github.com/pgcdc/cdc/clients/go/wal"
)

// Tracker knows what has been received and what of it is acknowledged, and so up to
// where everything is dealt with. It is safe for concurrent use.
//
// There are two such places. `end` moves over what is acknowledged without a gap:
// the server may forget what is before it. `position` also moves past prepared
// transactions that wait for their outcome: their commit lies ahead, so that the
// commits up to there are dealt with all the same, and need not come again.
type Tracker struct {
	mu       sync.Mutex
	queue    []*Receipt // from the first unacknowledged one on, in the order of the stream
	passed   int        // of the queue, those that position has passed
	position wal.Position
	end      wal.LSN
	received wal.LSN // end of the last receipt
	inside   bool
	last     time.Time // commit of the last of those that end has moved over
	quiet    bool      // a keepalive has come after everything that was received
	heard    wal.LSN   // all that commits before it has been received

	// Whether the slot is known to be the consumer's, who has acknowledged something,
	// made it, or comes again. Before that nothing moves: what options of the stream's own
	// leave out may be for others to read.
	Owned    bool
	ReadOnly bool // nothing ever moves
}

// Receipt is something that can be acknowledged.
type Receipt struct {
	position wal.Position
	end      wal.LSN
	commit   time.Time
	received time.Time
	done     bool
}

// Received is when it was.
func (r *Receipt) Received() time.Time { return r.received }

// New begins where a checkpoint stands.
func New(position wal.Position, end wal.LSN) *Tracker {
	return &Tracker{position: position, end: end, received: end, Owned: true}
}

// Add notes that something with an end has been received, which has committed then.
func (a *Tracker) Add(position wal.Position, end wal.LSN, commit time.Time) *Receipt {
	received := time.Now()
	if commit.IsZero() { // a message outside of transactions
		commit = received
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &Receipt{position: position, end: end, commit: commit, received: received}
	a.queue = append(a.queue, r)
	a.received = max(a.received, end)
	return r
}

// More tells that the server has sent something else than a keepalive, or may have
// something to send.
func (a *Tracker) More() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quiet = false
}

// SetInside tells that parts of a transaction have come, but not its end.
func (a *Tracker) SetInside(inside bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside = inside
}

// Own notes that the consumer has acknowledged receipts, and tells when the last of them was received; never,
// if that has been told or nothing moves.
func (a *Tracker) Own(receipts []*Receipt) (received time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Owned = !a.ReadOnly
	if n := len(receipts); n > 0 && !receipts[n-1].done && a.Owned {
		received = receipts[n-1].received
	}
	a.ack(receipts)
	return received
}

// Ack acknowledges receipts on nobody's behalf.
func (a *Tracker) Ack(receipts ...*Receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ack(receipts)
}

func (a *Tracker) ack(receipts []*Receipt) {
	for _, r := range receipts {
		r.done = true
	}
	if a.ReadOnly {
		for len(a.queue) > 0 && a.queue[0].done {
			a.queue = a.queue[1:]
		}
		return
	}
	if !a.Owned {
		return
	}
	a.position, a.passed = a.pass(nil)
	n := 0
	for n < len(a.queue) && a.queue[n].done {
		a.end, a.last = max(a.end, a.queue[n].end), a.queue[n].commit
		n++
	}
	a.queue = a.queue[n:]
	a.passed = max(0, a.passed-n)
}

// pass moves the position on, as if these receipts were acknowledged, too.
func (a *Tracker) pass(receipts []*Receipt) (wal.Position, int) {
	position, n := a.position, a.passed
	for ; n < len(a.queue); n++ {
		r := a.queue[n]
		if r.position.CommitLSN == 0 { // a PREPARE
			continue
		}
		if !r.done && !slices.Contains(receipts, r) {
			break
		}
		position = r.position
	}
	return position, n
}

// Idle follows the server's position while nothing is in flight.
func (a *Tracker) Idle(walEnd wal.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quiet = walEnd >= a.received
	if !a.inside {
		a.heard = max(a.heard, walEnd)
	}
	if len(a.queue) == 0 && !a.inside && a.Owned {
		a.end = max(a.end, walEnd)
		a.received = max(a.received, a.end)
	}
}

// State gives what is acknowledged, and the end of what has been received.
func (a *Tracker) State() (position wal.Position, end, received wal.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.position, a.end, a.received
}

// Heard gives a place before which everything that commits has been received, as far as keepalives tell.
func (a *Tracker) Heard() wal.LSN {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard
}

// Lag is how long ago the first transaction that is not acknowledged committed; or
// the last one that is, as long as there may be more. A PREPARE is no commit.
func (a *Tracker) Lag() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := a.last
	if a.quiet && !a.inside {
		since = time.Time{}
	}
	for _, r := range a.queue {
		if !r.done && r.position.CommitLSN != 0 {
			since = r.commit
			break
		}
	}
	if since.IsZero() {
		return 0
	}
	return max(0, time.Since(since))
}

// Assuming gives what state would, if receipts were acknowledged too.
func (a *Tracker) Assuming(receipts []*Receipt) (position wal.Position, end wal.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	end = a.end
	for _, r := range a.queue {
		if !r.done && !slices.Contains(receipts, r) {
			break
		}
		end = max(end, r.end)
	}
	position, _ = a.pass(receipts)
	return position, end
}
