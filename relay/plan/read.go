package plan

import (
	"context"
	"strconv"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Last is the position of the last change of the stream that has messages: rows that are read then are
// at least as new as all up to there.
func (p *Plan) Last() cdc.Position { return p.last }

// StartAt says what the log ends with, and where what comes next is from.
func (p *Plan) StartAt(last cdc.Position, source bus.Source) {
	p.last, p.source = last, source.String()
}

// BeginRead says that the next events are rows of a load, between transactions.
func (p *Plan) BeginRead(load uint64) {
	p.txn, p.commitTime, p.trace = nil, "", ""
	p.limit.topic = ""
	p.load = strconv.FormatUint(load, 10)
}

// EndRead says that no more rows of it come for now.
func (p *Plan) EndRead() { p.load = "" }

// TopicOf is that of an event's row.
func (p *Plan) TopicOf(e *cdc.Event) string {
	if t := e.Table(); t != nil {
		return p.table(e, t).topic
	}
	return ""
}

// TopicOfTable is that of the rows of a batch, of which there may be none.
func (p *Plan) TopicOfTable(b *cdc.Batch) string {
	for _, t := range b.Announced() {
		return p.tableOf(t, b.AnnouncedVersion(t.Fingerprint)).topic
	}
	return ""
}

// LoadMark gives the messages that tell every partition of a topic of the begin or the end of a load. They have no value,
// and so readers pass them over who do not want to know.
func (p *Plan) LoadMark(ctx context.Context, topic, relation, what string, load uint64) ([]bus.Message, error) {
	partitions, err := p.topics.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	headers := []bus.Header{{Name: bus.Position, Value: p.last.String()}, {Name: bus.Op, Value: bus.Read}, {Name: bus.Relation, Value: headerText(relation)},
		{Name: bus.Load, Value: strconv.FormatUint(load, 10)}, {Name: bus.LoadMark, Value: what},
		{Name: bus.Confirm, Value: p.confirm.String()}, {Name: bus.SourceName, Value: p.source}}
	places := p.everywhere(topic, partitions, nil, "")
	messages := make([]bus.Message, len(places))
	for i, at := range places {
		messages[i] = bus.Message{Topic: at.topic, Partition: at.partition, Key: at.key, Headers: headers}
	}
	p.cloud(messages)
	return messages, nil
}

// Gone is the mark of a key that has no row. Its value has the key, as a READ without a row; it is passed over by who does
// not know it. e is that READ.
func (p *Plan) Gone(ctx context.Context, e *cdc.Event) ([]bus.Message, error) {
	messages, err := p.Event(ctx, e)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		m := &messages[i]
		m.Headers = append(make([]bus.Header, 0, len(m.Headers)+1), m.Headers...)
		m.Set(bus.LoadMark, bus.Gone)
		if p.asRow(e) { // a row that has its key alone would read as NULL otherwise
			m.Value = nil
		}
	}
	if n := len(messages); n > 0 && p.options.Tombstones && messages[n-1].Value != nil && len(messages[n-1].Key) > 0 {
		tombstone := messages[n-1]
		tombstone.Value = nil
		messages = append(messages[:n:n], tombstone)
	}
	return messages, nil
}

// position of an event: of a row that was read, that of the change before it.
func (p *Plan) position(e *cdc.Event) cdc.Position {
	if p.load != "" {
		return p.last
	}
	return e.Position()
}

// op of an event: of what was read, READ in any case.
func (p *Plan) op(e *cdc.Event) string {
	if p.load != "" {
		return bus.Read
	}
	return opName(e.Op)
}
