package cdc

import "sync"

// acks knows what has been received and what of it is acknowledged, and so up to
// where everything is dealt with. It is safe for concurrent use.
type acks struct {
	mu       sync.Mutex
	queue    []*receipt // in the order of the stream
	position Position   // everything up to here is acknowledged
	end      LSN
	received LSN // end of the last receipt
	inside   bool
}

// receipt is something that can be acknowledged.
type receipt struct {
	position Position
	end      LSN
	done     bool
}

func newAcks(c *Checkpoint) *acks {
	return &acks{position: c.Position, end: c.EndLSN, received: c.EndLSN}
}

// add notes that something with an end has been received.
func (a *acks) add(position Position, end LSN) *receipt {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &receipt{position: position, end: end}
	a.queue = append(a.queue, r)
	a.received = max(a.received, end)
	return r
}

// setInside tells that parts of a transaction have come, but not its end.
func (a *acks) setInside(inside bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside = inside
}

// ack acknowledges receipts. The checkpoint moves over all that have no
// unacknowledged one before them.
func (a *acks) ack(receipts ...*receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range receipts {
		r.done = true
	}
	n := 0
	for n < len(a.queue) && a.queue[n].done {
		a.move(a.queue[n])
		n++
	}
	if n == len(a.queue) {
		a.queue = a.queue[:0]
	} else {
		a.queue = a.queue[n:]
	}
}

func (a *acks) move(r *receipt) {
	if r.position.CommitLSN != 0 { // not of a PREPARE
		a.position = r.position
	}
	a.end = max(a.end, r.end)
}

// idle follows the server's position while nothing is in flight.
func (a *acks) idle(walEnd LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 && !a.inside {
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

// assuming gives what state would, if receipts were acknowledged too.
func (a *acks) assuming(receipts []*receipt) (position Position, end LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	position, end = a.position, a.end
	for _, r := range a.queue {
		if !r.done && !contains(receipts, r) {
			break
		}
		if r.position.CommitLSN != 0 {
			position = r.position
		}
		end = max(end, r.end)
	}
	return position, end
}

func contains(list []*receipt, r *receipt) bool {
	for _, x := range list {
		if x == r {
			return true
		}
	}
	return false
}
