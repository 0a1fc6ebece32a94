package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/pgcdc/cdc/relay/bus"
)

// TransactionTopic has the messages at the beginning and the end of transactions.
func TransactionTopic(prefix string) string { return prefix + ".transactions" }

// markers is what a transaction's last message tells of those before it.
type markers struct {
	begun  bool
	last   string // position of the last event
	counts map[string]*count
}

type count struct {
	Topic    string `json:"topic"`
	Events   int    `json:"events"`
	Messages int    `json:"messages"`
}

// marker is the value of such a message.
type marker struct {
	Op         string   `json:"op"`
	XID        uint32   `json:"xid,omitempty"`
	CommitTime string   `json:"commit_time,omitempty"`
	CommitLSN  string   `json:"commit_lsn"`
	EndLSN     string   `json:"end_lsn,omitempty"`
	Events     int      `json:"event_count,omitempty"`
	Topics     []*count `json:"topics,omitempty"`
	LeftOut    int      `json:"topics_left_out,omitempty"`
}

// begin has the first event of a transaction follow its beginning, and counts.
func (p *Plan) begin(messages []bus.Message) ([]bus.Message, error) {
	if !p.options.Markers || p.load != "" || p.txn.IsMessage || len(messages) == 0 {
		return messages, nil
	}
	m := &p.markers
	m.last = messages[0].Get(bus.Position)
	first := !m.begun
	if first {
		m.begun, m.counts = true, map[string]*count{}
	}
	m.count(messages)
	if !first {
		return messages, nil
	}
	begin, err := p.marker(bus.Begins, marker{})
	return append([]bus.Message{begin}, messages...), err
}

func (m *markers) count(messages []bus.Message) {
	for i := range messages {
		topic := messages[i].Topic
		c := m.counts[topic]
		if c == nil {
			c = &count{Topic: topic}
			m.counts[topic] = c
		}
		c.Messages++
		if !slices.ContainsFunc(messages[:i], func(before bus.Message) bool { return before.Topic == topic }) {
			c.Events++
		}
	}
}

// End has the messages of the last event be followed by the end of the transaction, if it was begun.
func (p *Plan) End(ctx context.Context, messages []bus.Message, events int) ([]bus.Message, error) {
	m := &p.markers
	if !m.begun {
		return messages, nil
	}
	m.begun = false
	content := marker{EndLSN: p.txn.EndLSN.String(), Events: events}
	for _, c := range m.counts {
		content.Topics = append(content.Topics, c)
	}
	slices.SortFunc(content.Topics, func(a, b *count) int { return cmp.Compare(a.Topic, b.Topic) })
	end, err := p.marker(bus.Ends, content)
	if err != nil {
		return nil, err
	}
	limit, err := p.topics.MaxBytes(ctx, end.Topic)
	if err != nil {
		return nil, err
	}
	if end.Size()+64 > limit {
		content.LeftOut, content.Topics = len(content.Topics), nil
		if end, err = p.marker(bus.Ends, content); err != nil {
			return nil, err
		}
	}
	return append(slices.Clip(messages), end), nil
}

// marker makes one of the two messages.
func (p *Plan) marker(op string, content marker) (bus.Message, error) {
	content.Op, content.XID, content.CommitTime, content.CommitLSN = op, p.txn.XID, p.commitTime, p.txn.CommitLSN.String()
	value, err := json.Marshal(content)
	h := []bus.Header{{Name: bus.Position, Value: p.markers.last}, {Name: bus.Op, Value: op}}
	if p.commitTime != "" {
		h = append(h, bus.Header{Name: bus.CommitTime, Value: p.commitTime})
	}
	if p.trace != "" {
		h = append(h, bus.Header{Name: bus.Traceparent, Value: p.trace})
	}
	h = append(h, bus.Header{Name: bus.Confirm, Value: p.confirmed}, bus.Header{Name: bus.SourceName, Value: p.source},
		bus.Header{Name: bus.ContentType, Value: "application/json"})
	m := []bus.Message{{Topic: TransactionTopic(p.options.Prefix), Value: value, Headers: h}}
	p.cloud(m)
	return m[0], err
}
