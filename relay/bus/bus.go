// Package bus says what a message bus is for the relay: messages, their headers, and how
// far the log on it has come. It knows no broker.
package bus

import (
	"context"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// Message is one that stands in the log.
type Message struct {
	// Topic of Kafka, or subject of NATS.
	Topic     string
	Partition int32
	// Key is nil where there is none, and Value is nil in a tombstone.
	Key, Value []byte
	Headers    []Header
}

// Header of a message.
type Header struct{ Name, Value string }

// Set replaces or appends a header.
func (m *Message) Set(name, value string) {
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			m.Headers[i].Value = value
			return
		}
	}
	m.Headers = append(m.Headers, Header{name, value})
}

// Get gives the value of a header, "" where there is none.
func (m *Message) Get(name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Size is about what a broker counts for a message.
func (m *Message) Size() int {
	n := len(m.Topic) + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

// State is what a bus knows of what was relayed onto it.
type State struct {
	// Mark of the last message; nil where there is none.
	Mark *Mark
	// Checkpoint that was saved last, nil where none was.
	Checkpoint *cdc.Checkpoint
	// Lost: the log ends before the place where it ended when the checkpoint was saved,
	// and by how many messages.
	Lost uint64
}

// Bus takes messages. Its methods are for one goroutine, but for Save.
type Bus interface {
	// Load tells how far the log has come. It disturbs nobody.
	Load(ctx context.Context) (State, error)
	// Claim keeps whoever wrote before from writing on, and tells how far the log has
	// come, exactly. It is to be called when the slot is ours.
	Claim(ctx context.Context) (State, error)
	// Save stores the checkpoint of the slot's client. It is told to the server afterwards.
	Save(ctx context.Context, c *cdc.Checkpoint) error
	// Partitions of a topic.
	Partitions(ctx context.Context, topic string) (int32, error)
	// Versions are the topics of a table that exist.
	Versions(ctx context.Context, f Family) ([]string, error)
	// MaxBytes that a message may take.
	MaxBytes(ctx context.Context, topic string) (int, error)
	// Send takes the messages of one event. They stand in the log together or not at all where
	// the bus has transactions. It waits while too much is on its way. The messages are not to
	// be changed afterwards.
	Send(ctx context.Context, messages []Message) error
	// End says that all of a transaction was sent. When it is stored, Stored is called.
	End(ctx context.Context, t *cdc.Txn) error
	// Due is when Flush is to be called if there is nothing more to send; zero: no need.
	Due() time.Time
	// Flush waits until all that was sent is stored.
	Flush(ctx context.Context) error
	// Kept is what Keep was given last, nil where that was nothing. It is called behind Claim.
	Kept(ctx context.Context) ([]byte, error)
	// Keep stores how far loads have come, with what was sent before it or later.
	Keep(ctx context.Context, data []byte) error
	// Sequence is the number of the last message that was sent, 0 where the bus loses none that it has acknowledged.
	Sequence() uint64
	// Close gives up what is not stored.
	Close()
}

// Events are what a bus tells, from any goroutine.
type Events struct {
	// Stored is called for each transaction, in their order, once it is durable.
	Stored func(t *cdc.Txn)
	// Released is called within Send, End or Flush when nothing is needed any more of what was sent by calls before.
	Released func()
	// Failed is called when nothing more can be stored.
	Failed func(err error)
}

// Reading is what of a log is to be read.
type Reading struct {
	// Beginning: from the first message on that is there, and not from now on.
	Beginning bool
	// End: up to what is there now, and then no more.
	End bool
	// Topic is the only one to be read, with End; empty: all. It may be missing.
	Topic string
}

// Driver opens a bus, again and again.
type Driver interface {
	Open(ctx context.Context, e Events) (Bus, error)
	// Describe says where the bus is, without secrets.
	Describe() string
	// Read gives messages to f until ctx ends, f fails, or what was asked for is read: of one partition
	// in their order, and committed ones alone.
	Read(ctx context.Context, r Reading, f func(*Message) error) error
	// Check looks for what is missing or does not fit, and says what to do about it.
	Check(ctx context.Context) []error
	// Close stops what the driver itself has started.
	Close()
}
