package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// keptKey is that of the progress of loads, in the topic of checkpoints.
func (d *Driver) keptKey() string { return d.slot + ".load" }

// Kept implements bus.Bus.
func (b *Bus) Kept(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	some := b.record.Loads
	b.mu.Unlock()
	if !some {
		return nil, nil
	}
	return b.latest(ctx, b.driver.keptKey())
}

// Keep implements bus.Bus: in the transaction of what was sent or, without transactions, after it.
func (b *Bus) Keep(ctx context.Context, data []byte) error {
	if err := b.opened(ctx); err != nil {
		return err
	}
	if !b.driver.config.Transactions { // not before what it tells of
		if err := b.flushed(ctx); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.record.Loads = true
	b.mu.Unlock()
	b.produce(&kgo.Record{Topic: b.driver.checkpoints(), Key: []byte(b.driver.keptKey()), Value: data})
	b.bytes += len(data)
	return b.failure()
}

// Sequence implements bus.Bus: a transaction that was committed is there.
func (b *Bus) Sequence() uint64 { return 0 }
