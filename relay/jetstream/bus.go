package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

const (
	// maxInFlight messages are on their way without being acknowledged.
	maxInFlight = 4096
	// ackTimeout is after how long a message that is not acknowledged ends the session.
	ackTimeout = 30 * time.Second
	// orderBytes is what the headers take that say which message comes after which.
	orderBytes = 256
)

// Bus is a session with the server. Every message says after which one it comes: the server
// refuses it where another writer, or a loss, has come between.
type Bus struct {
	driver *Driver
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	bucket jetstream.KeyValue
	events bus.Events

	expected     uint64 // sequence of the last message that was sent
	keptRevision uint64 // of the progress of loads in the bucket
	maxBytes     int
	window       *window
	queue        chan item // what was sent, in order
	stored       chan struct{}

	publisher *publisher
	answered  uint64 // up to here the server has said that messages are stored

	mu       sync.Mutex
	failed   error
	closed   bool
	last     []bus.Header // of the last message that is stored
	sequence uint64       // its number
	revision uint64       // of the checkpoint in the bucket
}

// item is a message on its way, the end of a transaction, or someone who waits.
type item struct {
	sequence uint64
	headers  []bus.Header
	size     int
	txn      *cdc.Txn
	flush    chan struct{}
}

// Send implements bus.Bus.
func (b *Bus) Send(ctx context.Context, messages []bus.Message) error {
	for i := range messages {
		m := &messages[i]
		size := m.Size()
		if err := b.window.acquire(ctx, size); err != nil {
			return errors.Join(err, b.err())
		}
		if err := b.publisher.send(b.subject(m), m.Headers, m.Value, b.expected); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
		b.expected++
		if err := b.put(ctx, item{sequence: b.expected, headers: m.Headers, size: size}); err != nil {
			return err
		}
	}
	return nil
}

// subject of a message.
func (b *Bus) subject(m *bus.Message) string {
	if b.driver.config.Partitions > 1 {
		return m.Topic + ".p" + strconv.Itoa(int(m.Partition))
	}
	return m.Topic
}

// End implements bus.Bus.
func (b *Bus) End(ctx context.Context, t *cdc.Txn) error {
	return b.put(ctx, item{txn: t})
}

func (b *Bus) put(ctx context.Context, i item) error {
	select {
	case b.queue <- i:
		return nil
	case <-b.stored:
		return b.err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Due implements bus.Bus: messages are on their way at once.
func (b *Bus) Due() time.Time { return time.Time{} }

// Flush implements bus.Bus.
func (b *Bus) Flush(ctx context.Context) error {
	done := make(chan struct{})
	if err := b.put(ctx, item{flush: done}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-b.stored:
		return b.err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect takes the acknowledgements, in the order of the messages, until one is missing.
func (b *Bus) collect() {
	for i := range b.queue {
		switch {
		case i.txn != nil:
			b.events.Stored(i.txn)
		case i.flush != nil:
			close(i.flush)
		default:
			if err := b.await(i.sequence); err != nil {
				b.fail(err)
				return
			}
			b.mu.Lock()
			b.last, b.sequence = i.headers, i.sequence
			b.mu.Unlock()
			b.window.release(i.size)
		}
	}
}

func (b *Bus) fail(err error) {
	b.mu.Lock()
	first := b.failed == nil && !b.closed
	if first {
		b.failed = err
		close(b.stored)
	}
	b.mu.Unlock()
	b.window.fail(err)
	if first {
		b.events.Failed(err)
	}
}

func (b *Bus) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// Close implements bus.Bus.
func (b *Bus) Close() {
	defer b.conn.Close()
	b.mu.Lock()
	again := b.closed
	b.closed = true
	if b.failed == nil {
		b.failed = errors.New("the bus is closed")
		close(b.stored)
	}
	b.mu.Unlock()
	if again {
		return
	}
	b.window.fail(errors.New("the bus is closed"))
	close(b.queue)
}

// Partitions implements bus.Bus.
func (b *Bus) Partitions(context.Context, string) (int32, error) {
	return int32(b.driver.config.Partitions), nil
}

// MaxBytes implements bus.Bus.
func (b *Bus) MaxBytes(context.Context, string) (int, error) {
	if b.maxBytes == 0 {
		b.maxBytes = int(b.conn.MaxPayload())
		if limit := int(b.stream.CachedInfo().Config.MaxMsgSize); limit > 0 {
			b.maxBytes = min(b.maxBytes, limit)
		}
		b.maxBytes -= orderBytes
	}
	return b.maxBytes, nil
}

// Versions implements bus.Bus: subjects that have messages.
func (b *Bus) Versions(ctx context.Context, f bus.Family) ([]string, error) {
	topics := map[string]bool{}
	for _, filter := range filters(f) {
		info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return nil, fmt.Errorf("subjects of NATS: %w", err)
		}
		for subject := range info.State.Subjects {
			if topic := withoutPartition(subject, b.driver.config.Partitions); f.Has(topic) {
				topics[topic] = true
			}
		}
	}
	return sorted(topics), nil
}

// filters match the subjects of a table, with and without partitions.
func filters(f bus.Family) (list []string) {
	if f.Bare != "" {
		list = append(list, f.Bare, f.Bare+".*")
	}
	versions := f.Before + "*" + f.After
	return append(list, versions, versions+".*")
}

// withoutPartition takes the last part of a subject away where that is a partition.
func withoutPartition(subject string, partitions int) string {
	if partitions > 1 {
		if at := strings.LastIndex(subject, ".p"); at > 0 {
			return subject[:at]
		}
	}
	return subject
}
