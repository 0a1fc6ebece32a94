package cdc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/transport"
)

// Config of a Stream. Slot and Store must be set (with ReadOnly, Slot).
type Config struct {
	// Conn is a connection string or URL as libpq has them; what it leaves out
	// comes from PG* environment variables, the password also from a passfile.
	Conn string
	// Transport is how the stream comes. Default TransportReplication.
	Transport Transport
	// FetchWait is, for TransportFetch, how long the server waits for changes before
	// it says that there are none. Default 10 s, at most a minute and
	// FeedbackInterval. While it waits, VACUUM cannot remove rows that are deleted
	// meanwhile; and the slot of a client that was killed is in use for so long.
	FetchWait time.Duration
	// FetchBytes is, for TransportFetch, after how many bytes the server ends an
	// answer, with the transaction that reaches it. Default 16 MiB, at most half of
	// BufferBytes.
	FetchBytes int
	// Slot is the name of the replication slot.
	Slot string
	// CreateSlot makes the slot if it does not exist and there is no checkpoint.
	// Not with TransportFetch: cdc.create_slot(..., reader => ...) makes its slots.
	CreateSlot bool
	// Options for the plugin, for example "publication_names" or "streaming".
	Options map[string]string
	// Compression of batches: "lz4" or "zstd", if the server has it; default: none. It is
	// for slow links: the server takes more CPU. What is compressed is read in any case.
	Compression string
	// Versions are the major versions of relations (as Table.String gives them, for example
	// public.orders) that the consumer can read, from the server's registry. Rows of them
	// in another version are dealt with as OnVersion says; those of other relations are
	// not looked at.
	Versions map[string]uint32
	// RequestVersions asks the server to send the rows of Versions in them also when the
	// tables have changed, where that is possible. Not for slots that are bound to a role:
	// their administrator stores the option "versions".
	RequestVersions bool
	// Store keeps the checkpoint.
	Store CheckpointStore
	// ReadOnly looks at a slot without moving it: nothing is stored, no position beyond
	// what the slot has confirmed is reported, and Ack does no more than close. Each start
	// begins where the slot stands.
	ReadOnly bool
	// AcceptSystem goes on although the checkpoint is of another system: after
	// pg_upgrade. The slot's own position is then taken.
	AcceptSystem bool

	// BufferBytes is how much is read ahead of the consumer. Default 64 MiB; one
	// batch is always read, whatever its size.
	BufferBytes int
	// Limits on what is accepted.
	Limits Limits
	// Assembler is where transactions are kept until they end. Its Schemas are
	// set by the stream.
	Assembler AssemblerConfig
	// FeedbackInterval is how often the checkpoint is stored and reported.
	// Default 10 s; at most half of wal_sender_timeout in any case.
	FeedbackInterval time.Duration
	// StoreTimeout is for how long Store may fail before the stream ends with a
	// StoreError. It is tried again and again meanwhile, at least every 5 s; nothing that
	// it does not have is reported to the server. Default 30 s.
	StoreTimeout time.Duration
	// MaxBackoff between attempts to reconnect. Default 30 s.
	MaxBackoff time.Duration

	// OnDamage says what to do about batches that are malformed, OnUnknownSchema
	// about events without a schema, OnFailure about changes that the server could
	// not encode (with PolicyPass they are handed on, and Event.Failed tells them),
	// OnHandlerError about what Stream.Reject is given. Default PolicyStop.
	OnDamage, OnUnknownSchema, OnFailure, OnHandlerError Policy
	// OnVersion says what to do about rows in another version than Versions has. Default
	// PolicyStop, with a VersionError. PolicyPass hands them on, to be told by Event.Version and
	// converted, for example by a Router.
	OnVersion Policy
	// DeadLetters gets what the policies skip or set aside. Needed with PolicyDeadLetter.
	DeadLetters DeadLetterSink

	// Metrics, or nil.
	Metrics Metrics
	// Logger; default: none.
	Logger *slog.Logger
	// Connector opens connections; default: to PostgreSQL, by Conn.
	Connector Connector

	dialer *libpq.Dialer
}

func (c Config) withDefaults() (Config, error) {
	if c.Slot == "" {
		return c, errors.New("cdc: Config.Slot is empty")
	}
	if c.ReadOnly {
		c.Store = &memoryStore{}
	}
	if c.Store == nil {
		return c, errors.New("cdc: Config.Store is nil")
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if err := c.addOptions(); err != nil {
		return c, err
	}
	c.BufferBytes = cmp.Or(c.BufferBytes, 64<<20)
	c.Limits = c.Limits.WithDefaults()
	c.FeedbackInterval = cmp.Or(c.FeedbackInterval, 10*time.Second)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 30*time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 30*time.Second)
	c.FetchWait = min(cmp.Or(c.FetchWait, 10*time.Second), c.FeedbackInterval, transport.MaxFetchWait)
	c.FetchBytes = max(1, min(cmp.Or(c.FetchBytes, 16<<20), c.BufferBytes/2))
	if c.Metrics == nil {
		c.Metrics = metrics.None{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.dialer = &libpq.Dialer{Logger: c.Logger}
	if c.Connector != nil {
		return c, nil
	}
	if c.Transport == TransportFetch && c.CreateSlot {
		return c, errors.New("cdc: Config.CreateSlot is not for TransportFetch: make the slot with cdc.create_slot(..., reader => ...)")
	}
	var err error
	c.Connector, err = transport.NewConnector(c.Transport, transport.Endpoint{Dialer: c.dialer, Conn: c.Conn, Slot: c.Slot, Options: c.Options,
		MaxBatch: c.Limits.MaxBatchBytes, Logger: c.Logger, FetchWait: c.FetchWait, FetchBytes: c.FetchBytes})
	return c, err
}

// check looks for what does not go together.
func (c *Config) check() error {
	for _, p := range [...]Policy{c.OnDamage, c.OnUnknownSchema, c.OnFailure, c.OnHandlerError, c.OnVersion} {
		if p == PolicyDeadLetter && c.DeadLetters == nil {
			return errors.New("cdc: Config.DeadLetters is nil, but a policy needs it")
		}
	}
	for _, p := range [...]Policy{c.OnDamage, c.OnUnknownSchema, c.OnHandlerError} {
		if p == PolicyPass {
			return errors.New("cdc: the policy PolicyPass is for Config.OnVersion and OnFailure alone")
		}
	}
	if format, ok := c.Options["format"]; ok && format != "protobuf" {
		return fmt.Errorf("cdc: option format is %q: this client reads protobuf alone", format)
	}
	return nil
}

// addOptions puts what has a field of its own to the plugin's options.
func (c *Config) addOptions() error {
	switch c.Compression {
	case "", "none", "lz4", "zstd":
	default:
		return fmt.Errorf("cdc: Config.Compression is %q: it can be lz4 or zstd", c.Compression)
	}
	more := map[string]string{"compression": c.Compression}
	if _, ok := c.Options["format"]; !ok && c.Transport == TransportReplication {
		more["format"] = "protobuf" // whatever is stored for the slot
	}
	if c.RequestVersions {
		var list []string
		for relation, major := range c.Versions {
			list = append(list, fmt.Sprintf("%s=%d", relation, major))
		}
		slices.Sort(list)
		more["versions"] = strings.Join(list, ",")
	}
	options := maps.Clone(c.Options)
	for name, value := range more {
		if value == "" {
			continue
		}
		if _, ok := options[name]; ok {
			return fmt.Errorf("cdc: option %q is given twice: in Config.Options and by its own field", name)
		}
		if options == nil {
			options = map[string]string{}
		}
		options[name] = value
	}
	c.Options = options
	return nil
}

// busyTimeout is how long Open waits for a slot that is in use: by a consumer that
// has just ended, for example, or by the call of one that was killed.
func (c *Config) busyTimeout() time.Duration {
	if c.Transport == TransportFetch {
		return 10*time.Second + c.FetchWait
	}
	return 10 * time.Second
}

// memoryStore is for those who store nothing.
type memoryStore struct{ c *Checkpoint }

func (m *memoryStore) Load(context.Context) (*Checkpoint, error) { return m.c, nil }

func (m *memoryStore) Save(_ context.Context, c *Checkpoint) error {
	saved := *c
	m.c = &saved
	return nil
}

// Options that leave nothing out of the stream.
var selectsNothing = []string{"format", "proto_version", "batch_bytes", "schemas", "streaming", "two_phase", "compression", "versions"}

// selects tells whether options of the stream's own may leave something out of it.
func (c *Config) selects() bool {
	for name := range c.Options {
		if !slices.Contains(selectsNothing, name) {
			return true
		}
	}
	return false
}
