package cdc

import (
	"slices"
	"sync"
	"time"
)

// acks knows what has been received and what of it is acknowledged, and so up to
// where everything is dealt with. It is safe for concurrent use.
//
// There are two such places. `end` moves over what is acknowledged without a gap:
// the server may forget what is before it. `position` also moves past prepared
// transactions that wait for their outcome: their commit lies ahead, so that the
// commits up to there are dealt with all the same, and need not come again.
type acks struct {
	mu       sync.Mutex
	queue    []*receipt // from the first unacknowledged one on, in the order of the stream
	passed   int        // of the queue, those that position has passed
	position Position
	end      LSN
	received LSN // end of the last receipt
	inside   bool
	last     time.Time // commit of the last of those that end has moved over
	quiet    bool      // a keepalive has come after everything that was received

	// Whether the slot is known to be the consumer's, who has acknowledged something,
	// made it, or comes again. Before that nothing moves: what options of the stream's own
	// leave out may be for others to read.
	owned    bool
	readOnly bool // nothing ever moves
}

// receipt is something that can be acknowledged.
type receipt struct {
	position Position
	end      LSN
	commit   time.Time
	done     bool
}

func newAcks(position Position, end LSN) *acks {
	return &acks{position: position, end: end, received: end, owned: true}
}

// add notes that something with an end has been received, which has committed then.
func (a *acks) add(position Position, end LSN, commit time.Time) *receipt {
	if commit.IsZero() { // a message outside of transactions
		commit = time.Now()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &receipt{position: position, end: end, commit: commit}
	a.queue = append(a.queue, r)
	a.received = max(a.received, end)
	return r
}

// more tells that the server has sent something else than a keepalive, or may have
// something to send.
func (a *acks) more() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quiet = false
}

// setInside tells that parts of a transaction have come, but not its end.
func (a *acks) setInside(inside bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside = inside
}

// own notes that the consumer has acknowledged something.
func (a *acks) own() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owned = !a.readOnly
}

// ack acknowledges receipts.
func (a *acks) ack(receipts ...*receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range receipts {
		r.done = true
	}
	if a.readOnly {
		for len(a.queue) > 0 && a.queue[0].done {
			a.queue = a.queue[1:]
		}
		return
	}
	if !a.owned {
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
func (a *acks) pass(receipts []*receipt) (Position, int) {
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

// idle follows the server's position while nothing is in flight.
func (a *acks) idle(walEnd LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quiet = walEnd >= a.received
	if len(a.queue) == 0 && !a.inside && a.owned {
		a.end = max(a.end, walEnd)
		a.received = max(a.received, a.end)
	}
}

// state gives what is acknowledged, and the end of what has been received.
func (a *acks) state() (position Position, end, received LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.position, a.end, a.received
}

// lag is how long ago the first transaction that is not acknowledged committed; or
// the last one that is, as long as there may be more. A PREPARE is no commit.
func (a *acks) lag() time.Duration {
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

// assuming gives what state would, if receipts were acknowledged too.
func (a *acks) assuming(receipts []*receipt) (position Position, end LSN) {
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
