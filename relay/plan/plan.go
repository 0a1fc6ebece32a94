package plan

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Options of a plan.
type Options struct {
	Prefix string
	// JSON: values are the JSON form of events, not batches.
	JSON bool
	// Keyed: messages have keys, and topics partitions.
	Keyed bool
	// Tombstones follow what has removed a key.
	Tombstones bool
	// AnyKeys: tombstones also for keys whose equality is not that of their bytes.
	AnyKeys bool
	// FailuresAside puts changes that the server could not encode to the dead letters.
	// Otherwise they are an error.
	FailuresAside bool
	// LargeAside is that for messages that the bus does not take.
	LargeAside bool
	Logger     *slog.Logger
}

// Topics are those of a bus.
type Topics interface {
	Partitions(ctx context.Context, topic string) (int32, error)
	Versions(ctx context.Context, base string) ([]string, error)
	MaxBytes(ctx context.Context, topic string) (int, error)
}

// Plan makes messages of events. It is for one goroutine.
type Plan struct {
	options Options
	topics  Topics
	json    cdc.JSONWriter
	tables  map[tableKey]*table
	used    map[string][]string // topics by the name without a version
	warned  map[string]bool

	// Of the transaction at hand.
	txn        *cdc.Txn
	source     string
	commitTime string
	trace      string
	confirm    cdc.LSN // all up to here is in the log
}

type tableKey struct {
	fingerprint cdc.Fingerprint
	major       uint32
}

// table is what all events of a table's version share.
type table struct {
	topic, relation, schema, version string
}

// New makes a plan. confirm is the end of the last transaction that is in the log.
func New(options Options, topics Topics, confirm cdc.LSN) *Plan {
	return &Plan{options: options, topics: topics, confirm: confirm,
		tables: map[tableKey]*table{}, used: map[string][]string{}, warned: map[string]bool{}}
}

// Begin takes in the transaction that the next events are of.
func (p *Plan) Begin(t *cdc.Txn, source bus.Source) {
	p.txn, p.source = t, source.String()
	p.commitTime, p.trace = "", ""
	if at := t.CommitTime(); !at.IsZero() {
		p.commitTime = at.Format("2006-01-02T15:04:05.999999") + "+00:00"
	}
	for _, m := range t.Metadata {
		if m.Key == "traceparent" {
			p.trace = headerText(m.Value)
		}
	}
}

// Event gives the messages of an event, in the order in which they are to be sent.
func (p *Plan) Event(ctx context.Context, e *cdc.Event) ([]bus.Message, error) {
	places, err := p.route(ctx, e)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	value, err := p.value(e)
	if err != nil {
		return nil, err
	}
	headers := p.headers(e)
	messages := make([]bus.Message, len(places))
	for i, at := range places {
		messages[i] = bus.Message{Topic: at.topic, Partition: at.partition, Key: at.key, Value: value, Headers: headers}
		if at.tombstone {
			messages[i].Value = nil
		}
		at.mark(&messages[i], i, len(places))
	}
	return p.fit(ctx, e, messages)
}

// Finish marks the messages of a transaction's last event. events is how many it had.
func (p *Plan) Finish(messages []bus.Message, events int) {
	if len(messages) > 0 && !p.options.JSON && !p.txn.IsMessage {
		var ended []byte
		for i := range messages {
			if messages[i].Value == nil || messages[i].Get(bus.Reason) == TooLarge {
				continue
			}
			if ended == nil {
				ended = appendEnd(messages[i].Value, p.txn.Outcome, p.txn.EndLSN, events)
			}
			messages[i].Value = ended
		}
	}
	p.confirm = p.txn.EndLSN
	if len(messages) > 0 {
		last := &messages[len(messages)-1]
		last.Headers = last.Headers[:len(last.Headers):len(last.Headers)]
		last.Headers = append([]bus.Header(nil), last.Headers...)
		last.Set(bus.Confirm, p.confirm.String())
		last.Set(bus.End, strconv.Itoa(events))
	}
}

// value of an event's messages.
func (p *Plan) value(e *cdc.Event) ([]byte, error) {
	if p.options.JSON {
		return p.json.AppendEvent(nil, e)
	}
	// Room for the end of the transaction, too.
	return e.AppendSingle(make([]byte, 0, len(e.Raw())+tableBytes(e)+192), nil)
}

func tableBytes(e *cdc.Event) int {
	if t := e.Table(); t != nil {
		return len(t.Bytes)
	}
	return 0
}

var opNames = [...]string{"UNSPECIFIED", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MESSAGE", "READ", "REWRITE", "SCHEMA"}

func opName(op cdc.Op) string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return strconv.Itoa(int(op))
}

// headers that all messages of an event have.
func (p *Plan) headers(e *cdc.Event) []bus.Header {
	h := make([]bus.Header, 0, 12)
	h = append(h, bus.Header{Name: bus.Position, Value: e.Position().String()}, bus.Header{Name: bus.Op, Value: opName(e.Op)})
	if t := e.Table(); t != nil {
		known := p.table(e, t)
		h = append(h, bus.Header{Name: bus.Relation, Value: known.relation}, bus.Header{Name: bus.Schema, Value: known.schema})
		if known.version != "" {
			h = append(h, bus.Header{Name: bus.Version, Value: known.version})
		}
	} else if change, err := e.SchemaChange(); err == nil && change != nil {
		h = append(h, bus.Header{Name: bus.Relation, Value: headerText(change.Former())})
	}
	if p.commitTime != "" {
		h = append(h, bus.Header{Name: bus.CommitTime, Value: p.commitTime})
	}
	if p.trace != "" {
		h = append(h, bus.Header{Name: bus.Traceparent, Value: p.trace})
	}
	content := "application/x-protobuf"
	if p.options.JSON {
		content = "application/json"
	}
	return append(h, bus.Header{Name: bus.Confirm, Value: p.confirm.String()},
		bus.Header{Name: bus.SourceName, Value: p.source}, bus.Header{Name: bus.ContentType, Value: content})
}

// table gives what is known of an event's table.
func (p *Plan) table(e *cdc.Event, t *cdc.Table) *table {
	version := e.Version()
	key := tableKey{e.Fingerprint, version.Major}
	known := p.tables[key]
	if known == nil {
		base := Base(p.options.Prefix, t.Schema, t.Name)
		known = &table{topic: Versioned(base, version.Major), relation: headerText(t.String()), schema: t.Fingerprint.String()}
		if !slices.Contains(p.used[base], known.topic) {
			p.used[base] = append(p.used[base], known.topic)
		}
		if version.Major != 0 {
			known.version = strconv.FormatUint(uint64(version.Major), 10)
		}
		p.tables[key] = known
	}
	return known
}

// warn says something once.
func (p *Plan) warn(message, relation string) {
	if key := message + relation; !p.warned[key] {
		p.warned[key] = true
		p.options.Logger.Warn(message, "relation", relation)
	}
}

// TooLarge is the reason of a dead letter.
const TooLarge = "too_large"

// fit has what the bus would not take set aside, or is an error.
func (p *Plan) fit(ctx context.Context, e *cdc.Event, messages []bus.Message) ([]bus.Message, error) {
	for i := range messages {
		m := &messages[i]
		limit, err := p.topics.MaxBytes(ctx, m.Topic)
		if err != nil {
			return nil, err
		}
		size := m.Size() + 64 // what the end of the transaction adds
		if size <= limit {
			continue
		}
		if !p.options.LargeAside {
			return nil, &LargeError{Position: e.Position(), Topic: m.Topic, Size: size, Limit: limit}
		}
		p.options.Logger.Warn("a message is too large for the bus and goes to the dead letters", "topic", m.Topic,
			"position", e.Position(), "bytes", size, "limit", limit)
		return p.reference(e, size, m.Topic), nil
	}
	return messages, nil
}

// LargeError: a message is larger than the bus takes.
type LargeError struct {
	Position    cdc.Position
	Topic       string
	Size, Limit int
}

// Error implements error.
func (e *LargeError) Error() string {
	return fmt.Sprintf("the change at %v takes %d bytes as a message, and %s takes %d: raise the limit of the broker "+
		"(NATS: max_payload, and max_msg_size of the stream; Kafka: max.message.bytes of the topic), or set relay.too_large to dead_letter", e.Position, e.Size, e.Topic, e.Limit)
}

// reference is a dead letter without the event itself.
func (p *Plan) reference(e *cdc.Event, size int, topic string) []bus.Message {
	m := bus.Message{Topic: DeadTopic(p.options.Prefix), Value: []byte{}, Headers: p.headers(e)}
	m.Set(bus.Reason, TooLarge)
	m.Set("cdc-bytes", strconv.Itoa(size))
	m.Set("cdc-topic", topic)
	return []bus.Message{m}
}
