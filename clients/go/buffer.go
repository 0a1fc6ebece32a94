package cdc

import (
	"context"
	"sync"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/acks"
)

// delivery is a batch on its way from the reader to the consumer.
type delivery struct {
	batch      *Batch
	receipt    *acks.Receipt // nil if nothing ends with the batch
	connection int           // counts connections
	lost       bool          // something before it was skipped
	beat       int64         // when a heartbeat in it committed, in microseconds since 1970; 0: there is none
}

// buffer is a queue with a limit in bytes, for one writer and one reader.
type buffer struct {
	mu      sync.Mutex
	list    []delivery
	bytes   int
	limit   int
	err     error         // what comes after the last one
	changed chan struct{} // closed when anything changes; nil: nobody waits
	metrics Metrics
}

func newBuffer(limit int, metrics Metrics) *buffer {
	return &buffer{limit: limit, metrics: metrics}
}

// change wakes whoever waits. b.mu is held.
func (b *buffer) change() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	b.metrics.Set(BufferedBytes, float64(b.bytes))
}

// awaited gives what is closed when anything changes. b.mu is held.
func (b *buffer) awaited() <-chan struct{} {
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// put waits until there is room. One batch always has room.
func (b *buffer) put(ctx context.Context, d delivery) error {
	for {
		b.mu.Lock()
		if len(b.list) == 0 || b.bytes+len(d.batch.Raw()) <= b.limit {
			b.list = append(b.list, d)
			b.bytes += len(d.batch.Raw())
			b.change()
			b.mu.Unlock()
			return nil
		}
		changed := b.awaited()
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// room waits until so many bytes are free or, when patience has come to its end,
// any, and gives how many.
func (b *buffer) room(ctx context.Context, bytes int, patience time.Duration) (int, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		b.mu.Lock()
		free, changed := b.limit-b.bytes, b.awaited()
		b.mu.Unlock()
		if free >= bytes {
			return bytes, nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-changed:
		case <-timer.C:
			bytes = max(1, min(free, bytes))
		}
	}
}

// free is how many bytes are.
func (b *buffer) free() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit - b.bytes
}

// any tells whether there is something.
func (b *buffer) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list) > 0
}

// fail says that nothing comes any more, and why.
func (b *buffer) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.change()
	}
}

// get waits for the next one.
func (b *buffer) get(ctx context.Context) (delivery, error) {
	for {
		b.mu.Lock()
		if len(b.list) > 0 {
			d := b.list[0]
			b.list[0] = delivery{}
			b.list = b.list[1:]
			b.bytes -= len(d.batch.Raw())
			b.change()
			b.mu.Unlock()
			return d, nil
		}
		err, changed := b.err, b.awaited()
		b.mu.Unlock()
		if err != nil {
			return delivery{}, err
		}
		select {
		case <-ctx.Done():
			return delivery{}, ctx.Err()
		case <-changed:
		}
	}
}
