package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Bus is a session with the brokers. One Kafka transaction is open at a time: by the pump from
// the first message on, or to store a checkpoint alone. Without transactions what is said here of them is of what
// is stored before a checkpoint is.
type Bus struct {
	driver   *Driver
	client   *kgo.Client // looks and reads
	admin    *kadm.Client
	producer *kgo.Client
	events   bus.Events
	closed   chan struct{}
	unbroken context.Context // until something fails that no record of ours tells
	broken   context.CancelFunc

	promise func(*kgo.Record, error)
	records records
	failing atomic.Bool // first is set

	turn chan struct{} // has one in it while a transaction is open

	// Of the transaction at hand.
	open     bool
	began    time.Time
	now      time.Time // about: the time of records
	bytes    int
	sent     int
	unstored []*cdc.Txn
	last     []bus.Header // of the last message
	parts    parts

	mu     sync.Mutex
	topics map[string]*topic
	record bus.Record      // as it stands in the topic, or will with the next commit
	saved  *cdc.Checkpoint // as it stands in the topic
	first  error           // of the messages of the transaction at hand
	gone   bool
}

var errClosed = errors.New("the bus is closed")

func (b *Bus) dial() (err error) {
	if b.client, err = kgo.NewClient(b.driver.base...); err == nil {
		b.admin = kadm.NewClient(b.client)
	}
	return err
}

// begin opens a transaction when it is our turn.
func (b *Bus) begin(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
	case <-b.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	if !b.driver.config.Transactions {
		return nil
	}
	if err := b.producer.BeginTransaction(); err != nil {
		<-b.turn
		return explained("beginning a transaction", err)
	}
	return nil
}

// Send implements bus.Bus.
func (b *Bus) Send(ctx context.Context, messages []bus.Message) error {
	if b.open && b.full() {
		if err := b.Flush(ctx); err != nil {
			return err
		}
	}
	if err := b.opened(ctx); err != nil {
		return err
	}
	b.sent++
	for i := range messages {
		b.bytes += messages[i].Size()
	}
	if b.driver.config.Transactions && messages[0].Get(bus.Op) != bus.Read { // a READ is of no transaction
		b.parts.mark(messages, b.full())
	}
	for i := range messages {
		b.produce(b.records.of(&messages[i], b.now))
	}
	b.last = messages[len(messages)-1].Headers
	return b.failure()
}

// opened sees to it that there is a transaction for what is sent.
func (b *Bus) opened(ctx context.Context) error {
	if b.open {
		return nil
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	b.now = time.Now()
	b.open, b.began, b.bytes, b.sent = true, b.now, 0, 0
	b.parts.begin()
	return nil
}

// full tells whether a transaction of Kafka is as large as it should be.
func (b *Bus) full() bool {
	return b.bytes >= b.driver.config.TransactionBytes || b.sent >= b.driver.config.TransactionEvents
}

func (b *Bus) produce(r *kgo.Record) {
	b.producer.Produce(context.Background(), r, b.promise) // what was begun is ended: see Flush
}

// produced is called for each record, once it is stored or given up.
func (b *Bus) produced(r *kgo.Record, err error) {
	if err != nil {
		b.failed(unstored(r.Topic, err))
	}
}

// failed keeps what has failed first.
func (b *Bus) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == nil {
		b.first = err
		b.failing.Store(true)
	}
}

// failure tells what has failed first.
func (b *Bus) failure() error {
	if !b.failing.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first
}

// mark has the record tell that the log has come to the last message that was sent.
func (b *Bus) mark() error {
	if b.last == nil {
		return nil // the checkpoint alone is stored
	}
	b.record.Mark = bus.MarkOf(b.last)
	b.last = nil
	mark, err := b.record.ParseMark()
	if err != nil {
		return err
	}
	c := mark.Checkpoint()
	if old := b.record.Checkpoint; old != nil {
		c.EndLSN = max(c.EndLSN, old.EndLSN)
	}
	b.record.Checkpoint = c
	return nil
}

// End implements bus.Bus.
func (b *Bus) End(ctx context.Context, t *cdc.Txn) error {
	b.parts.end(t)
	if !b.open {
		b.events.Stored(t)
		return nil
	}
	b.unstored = append(b.unstored, t)
	b.now = time.Now()
	if b.full() || b.now.Sub(b.began) >= b.driver.config.TransactionTime {
		return b.Flush(ctx)
	}
	return nil
}

// Due implements bus.Bus: it is asked where nothing more is there.
func (b *Bus) Due() time.Time {
	if !b.open {
		return time.Time{}
	}
	return b.began.Add(min(b.driver.config.TransactionWait, b.driver.config.TransactionTime))
}

// Flush implements bus.Bus.
func (b *Bus) Flush(ctx context.Context) error {
	if !b.open {
		return nil
	}
	if err := b.commit(ctx); err != nil {
		return err
	}
	b.open = false
	<-b.turn
	b.records.reuse()
	if b.events.Released != nil {
		b.events.Released()
	}
	for _, t := range b.unstored {
		b.events.Stored(t)
	}
	b.unstored = b.unstored[:0]
	return nil
}

// commit puts the checkpoint into the transaction and ends it. After an error the session is
// over: the next one finds out what has become of it.
func (b *Bus) commit(ctx context.Context) error {
	b.mu.Lock()
	err := b.mark()
	value, err2 := b.record.Encode()
	b.mu.Unlock()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if err := b.store(ctx, &kgo.Record{Topic: b.driver.checkpoints(), Key: []byte(b.driver.slot), Value: value}); err != nil {
		return err
	}
	b.mu.Lock()
	b.saved = b.record.Checkpoint
	b.mu.Unlock()
	return nil
}

// store has the checkpoint stored with what was sent or, without transactions, after it.
func (b *Bus) store(ctx context.Context, checkpoint *kgo.Record) error {
	if !b.driver.config.Transactions {
		if err := b.flushed(ctx); err != nil {
			return err
		}
	}
	b.produce(checkpoint)
	if err := b.flushed(ctx); err != nil || !b.driver.config.Transactions {
		return err
	}
	if err := b.producer.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return explained("committing a transaction", err)
	}
	return nil
}

// flushed waits until all records are stored.
func (b *Bus) flushed(ctx context.Context) error {
	ctx, cancel := b.unlessBroken(ctx)
	defer cancel()
	err := b.producer.Flush(ctx)
	if failed := b.failure(); failed != nil {
		return failed
	}
	return err
}

// Save implements bus.Bus. What was committed with the messages need not be stored again.
func (b *Bus) Save(ctx context.Context, c *cdc.Checkpoint) error {
	if !b.newer(c) {
		return nil
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	if err := b.saveAlone(ctx, c); err != nil {
		b.events.Failed(err)
		return err
	}
	<-b.turn
	return nil
}

func (b *Bus) saveAlone(ctx context.Context, c *cdc.Checkpoint) error {
	if b.newer(c) { // than what was committed while we waited
		b.mu.Lock()
		saved := *c
		b.record.Checkpoint = &saved
		b.mu.Unlock()
	}
	return b.commit(ctx)
}

// newer tells whether a checkpoint says more than the one of the topic.
func (b *Bus) newer(c *cdc.Checkpoint) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.saved
	return old == nil || c.EndLSN > old.EndLSN || c.Timeline != old.Timeline || c.SystemIdentifier != old.SystemIdentifier ||
		c.Database != old.Database
}

// Close implements bus.Bus. What is not committed is void.
func (b *Bus) Close() {
	b.mu.Lock()
	again := b.gone
	b.gone = true
	b.mu.Unlock()
	if again {
		return
	}
	close(b.closed)
	b.broken()
	if b.producer != nil {
		b.abort()
		b.producer.Close()
	}
	b.client.Close()
}

// abort has readers not wait for a transaction that we leave open.
func (b *Bus) abort() {
	if !b.open || !b.driver.config.Transactions {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if b.producer.AbortBufferedRecords(ctx) == nil {
		_ = b.producer.EndTransaction(ctx, kgo.TryAbort) // otherwise the broker does it, or the next relay
	}
}

// explained tells what a refusal means.
func explained(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.FencedLeaderEpoch):
		return &bus.FencedError{Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// unstored tells why a record is not.
func unstored(topic string, err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) {
		return gone(topic)
	}
	return explained("Kafka has not stored a message for "+topic, err)
}
