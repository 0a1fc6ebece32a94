package jetstream

import (
	"context"
	"sync"
)

// window bounds what is on its way, in bytes and messages.
type window struct {
	mu      sync.Mutex
	limit   int
	bytes   int
	count   int
	err     error
	changed chan struct{}
}

func newWindow(limit int) *window { return &window{limit: limit, changed: make(chan struct{}, 1)} }

// acquire waits until there is room. One message always has room.
func (w *window) acquire(ctx context.Context, size int) error {
	for {
		w.mu.Lock()
		if w.err != nil {
			defer w.mu.Unlock()
			return w.err
		}
		if w.count == 0 || w.bytes+size <= w.limit && w.count < maxInFlight {
			w.bytes += size
			w.count++
			w.mu.Unlock()
			return nil
		}
		w.mu.Unlock()
		select {
		case <-w.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *window) release(size int) {
	w.mu.Lock()
	w.bytes -= size
	w.count--
	w.mu.Unlock()
	w.wake()
}

// fail has all who wait, and will wait, give up.
func (w *window) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.mu.Unlock()
	w.wake()
}

func (w *window) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}
