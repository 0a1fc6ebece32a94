package plan

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
)

// Values of Options.Large.
const (
	// LargeAside sends the headers to the dead letters.
	LargeAside = "dead_letter"
	// LargeReference sends key and position in the message's place, for readers to look the row up.
	LargeReference = "reference"
)

// Reasons of dead letters.
const (
	Failure  = "failure"
	TooLarge = "too_large"
)

// Reasons are all of them.
var Reasons = [...]string{Failure, TooLarge}

// fit has what the bus would not take replaced or set aside, or is an error.
func (p *Plan) fit(ctx context.Context, e *cdc.Event, messages []bus.Message) ([]bus.Message, error) {
	large, err := p.large(ctx, e, messages)
	if large == nil || err != nil {
		return messages, err
	}
	if p.options.Large == LargeReference && (len(e.Key) > 0 || len(e.NewKey) > 0) {
		if err := p.refer(e, large.Size, messages); err != nil {
			return nil, err
		}
		still, err := p.large(ctx, e, messages)
		if still == nil || err != nil {
			p.options.Logger.Warn("a message is too large for the bus: readers are to look the row up by its key",
				p.about(e, "topic", large.Topic, "bytes", large.Size, "limit", large.Limit)...)
			return messages, err
		}
	}
	if p.options.Large == "" || p.options.Large == "stop" {
		return nil, large
	}
	p.options.Logger.Warn("a message is too large for the bus and goes to the dead letters",
		p.about(e, "topic", large.Topic, "bytes", large.Size, "limit", large.Limit)...)
	return p.letter(ctx, e, large)
}

// about is what a line of the log says about an event, and more.
func (p *Plan) about(e *cdc.Event, more ...any) []any {
	list := append([]any{"slot", p.from.Slot, "position", p.position(e).String()}, more...)
	for _, attr := range cdc.About(e) {
		list = append(list, attr)
	}
	return list
}

// large gives the first message that the bus does not take, nil if it takes all.
func (p *Plan) large(ctx context.Context, e *cdc.Event, messages []bus.Message) (*LargeError, error) {
	for i := range messages {
		m := &messages[i]
		limit, err := p.maxBytes(ctx, m.Topic)
		if err != nil {
			return nil, err
		}
		size := m.Size() + 96 // what the end of the transaction adds, and a mark of the bus
		if size > limit {
			return &LargeError{Position: p.position(e), Topic: m.Topic, Size: size, Limit: limit}, nil
		}
	}
	return nil, nil
}

// maxBytes is how large a message may be. The bus is asked once in a transaction.
func (p *Plan) maxBytes(ctx context.Context, topic string) (int, error) {
	if p.limit.topic != topic {
		n, err := p.topics.MaxBytes(ctx, topic)
		if err != nil {
			return 0, err
		}
		p.limit.topic, p.limit.bytes = topic, n
	}
	return p.limit.bytes, nil
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
		"(NATS: max_payload, and max_msg_size of the stream; Kafka: max.message.bytes of the topic), or set relay.too_large to reference or dead_letter", e.Position, e.Size, e.Topic, e.Limit)
}

// letter is a dead letter without the row itself, but with its key, unless that is what is too large.
func (p *Plan) letter(ctx context.Context, e *cdc.Event, large *LargeError) ([]bus.Message, error) {
	value, err := []byte{}, error(nil)
	if len(e.Key) > 0 || len(e.NewKey) > 0 {
		if value, err = p.withoutRow(e, large.Size); err != nil {
			return nil, err
		}
	}
	m := bus.Message{Topic: DeadTopic(p.options.Prefix), Value: value, Headers: p.headers(e)}
	if p.asRow(e) { // the letter has no row
		m.Set(bus.ContentType, "application/x-protobuf")
	}
	m.Set(bus.Reason, TooLarge)
	m.Set("cdc-bytes", strconv.Itoa(large.Size))
	m.Set("cdc-topic", large.Topic)
	letter := []bus.Message{m}
	p.cloud(letter)
	still, err := p.large(ctx, e, letter)
	if still != nil {
		letter[0].Value = []byte{}
	}
	return letter, err
}

// refer takes the row out of an event's messages. What is left of it has the form of a change that could not be encoded: a
// reader that knows nothing of references does not take it for a row.
func (p *Plan) refer(e *cdc.Event, size int, messages []bus.Message) error {
	value, err := p.withoutRow(e, size)
	if err != nil {
		return err
	}
	for i := range messages {
		if m := &messages[i]; m.Value != nil {
			m.Value = value
			m.Headers = append(make([]bus.Header, 0, len(m.Headers)+3), m.Headers...)
			m.Set(bus.Reference, strconv.Itoa(size))
		}
	}
	return nil
}

// withoutRow gives the value of a message that has a key instead of a row.
func (p *Plan) withoutRow(e *cdc.Event, size int) ([]byte, error) {
	single, err := e.AppendSingle(nil, nil)
	if err != nil {
		return nil, err
	}
	var b cdcv1.Batch
	if err := proto.Unmarshal(single, &b); err != nil {
		return nil, err
	}
	left := b.Events[0]
	left.Old, left.New, left.Nulls, left.Unavailable = nil, nil, nil, nil
	left.Failure = &cdcv1.Failure{Sqlstate: "54000", // program_limit_exceeded
		Message: fmt.Sprintf("the message of %d bytes is larger than the bus takes: look the row up by its key", size)}
	value, err := proto.Marshal(&b)
	if err != nil || !p.options.JSON {
		return value, err
	}
	parsed, err := cdc.ParseBatch(value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return nil, err
	}
	c := parsed.Events()
	c.Next()
	return p.json.AppendEvent(nil, c.Event())
}
