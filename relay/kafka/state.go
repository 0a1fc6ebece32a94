package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
)

// Load implements bus.Bus.
func (b *Bus) Load(ctx context.Context) (bus.State, error) {
	state, _, err := b.load(ctx)
	return state, err
}

func (b *Bus) load(ctx context.Context) (state bus.State, record *bus.Record, err error) {
	value, err := b.latest(ctx, b.driver.slot)
	if err != nil || value == nil {
		return state, nil, err
	}
	if record, err = bus.ParseRecord(value); err != nil {
		return state, nil, err
	}
	state.Checkpoint = record.Checkpoint
	state.Mark, err = record.ParseMark()
	return state, record, err
}

// Claim implements bus.Bus. To ask for a producer id ends what another relay has begun, and
// keeps it from beginning anew.
func (b *Bus) Claim(ctx context.Context) (state bus.State, err error) {
	if b.producer, err = b.newProducer(); err != nil {
		return state, err
	}
	if b.driver.config.Transactions {
		if _, _, err := b.producer.ProducerID(ctx); err != nil {
			return state, explained("asking Kafka for a producer id", err)
		}
	}
	state, record, err := b.load(ctx)
	if err == nil && record != nil {
		b.record, b.saved = *record, record.Checkpoint
		b.parts.goOn(state.Mark)
	}
	if err == nil {
		go b.watch()
	}
	return state, err
}

// latest reads the last record with a key that is committed. It looks at the end of the topic
// first, and at more of it until there is one.
func (b *Bus) latest(ctx context.Context, key string) ([]byte, error) {
	name := b.driver.checkpoints()
	start, err := b.offset(ctx, b.admin.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	end, err := b.offset(ctx, b.admin.ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	for look := int64(256); ; look *= 16 {
		from := max(start, end-look)
		value, err := b.scan(ctx, name, key, from, end)
		if err != nil || value != nil || from == start {
			return value, err
		}
	}
}

func (b *Bus) offset(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (int64, error) {
	name := b.driver.checkpoints()
	offsets, err := list(ctx, name)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("offsets of the topic %s: %w", name, err)
	}
	at, ok := offsets.Lookup(name, 0)
	if !ok {
		return 0, fmt.Errorf("the topic %s has no partition 0", name)
	}
	return at.Offset, nil
}

// scan reads a part of the topic, and gives the value of the last record with a key in it.
func (b *Bus) scan(ctx context.Context, name, key string, from, end int64) (value []byte, err error) {
	if from >= end {
		return nil, nil
	}
	reader, err := kgo.NewClient(append(b.driver.base[:len(b.driver.base):len(b.driver.base)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: {0: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for at := from; at < end; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("reading the topic %s: %w", name, err)
		}
		for _, e := range fetches.Errors() {
			return nil, fmt.Errorf("reading the topic %s: %w", name, e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			if !r.Attrs.IsControl() && string(r.Key) == key {
				value = r.Value
			}
		})
	}
	return value, nil
}
