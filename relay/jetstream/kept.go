package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/relay/bus"
)

// keptKey is where the progress of loads is, in the bucket of checkpoints.
func (b *Bus) keptKey() string { return b.driver.slot + ".load" }

// Kept implements bus.Bus.
func (b *Bus) Kept(ctx context.Context) ([]byte, error) {
	entry, err := b.bucket.Get(ctx, b.keptKey())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		b.keptRevision = 0
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the progress of loads in the bucket: %w", err)
	}
	b.keptRevision = entry.Revision()
	return entry.Value(), nil
}

// Keep implements bus.Bus: after all that was sent is stored, and if nobody else has since the last time.
func (b *Bus) Keep(ctx context.Context, data []byte) error {
	if err := b.Flush(ctx); err != nil {
		return err
	}
	next, err := b.bucket.Update(ctx, b.keptKey(), data, b.keptRevision)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return &bus.FencedError{Err: err}
	}
	if err != nil {
		return fmt.Errorf("storing the progress of loads in the bucket: %w", err)
	}
	b.keptRevision = next
	return nil
}

// Sequence implements bus.Bus.
func (b *Bus) Sequence() uint64 { return b.expected }
