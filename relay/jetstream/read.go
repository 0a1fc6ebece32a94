package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/relay/bus"
)

// Read implements bus.Driver.
func (d *Driver) Read(ctx context.Context, r bus.Reading, f func(*bus.Message) error) error {
	conn, err := d.connect()
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, d.config.Stream)
	if err != nil {
		return fmt.Errorf("stream %s of NATS: %w", d.config.Stream, err)
	}
	last, err := lastOf(ctx, stream, d.subjectsOf(r.Topic))
	if err != nil || r.End && (!r.Beginning || last == 0) {
		return err
	}
	policy := jetstream.DeliverNewPolicy
	if r.Beginning {
		policy = jetstream.DeliverAllPolicy
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: policy, FilterSubjects: d.subjectsOf(r.Topic)})
	if err != nil {
		return fmt.Errorf("reading the stream %s: %w", d.config.Stream, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("reading the stream %s: %w", d.config.Stream, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("reading the stream %s: %w", d.config.Stream, err)
		}
		if err := f(message(m)); err != nil {
			return err
		}
		if meta, err := m.Metadata(); r.End && err == nil && meta.Sequence.Stream >= last {
			return nil
		}
	}
}

// subjectsOf a topic; nil: all.
func (d *Driver) subjectsOf(topic string) []string {
	switch {
	case topic == "":
		return nil
	case d.config.Partitions > 1:
		return []string{topic + ".p0"} // what has no key
	}
	return []string{topic}
}

// lastOf is the sequence of the last message that there is now; 0: there is none.
func lastOf(ctx context.Context, stream jetstream.Stream, subjects []string) (uint64, error) {
	if subjects == nil {
		if state := stream.CachedInfo().State; state.Msgs > 0 {
			return state.LastSeq, nil
		}
		return 0, nil
	}
	m, err := stream.GetLastMsgForSubject(ctx, subjects[0])
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the last message of %s: %w", subjects[0], err)
	}
	return m.Sequence, nil
}

// message is one as a bus has it. On NATS one without a value cannot be told from one whose value is empty.
func message(m jetstream.Msg) *bus.Message {
	to := &bus.Message{Topic: m.Subject(), Value: m.Data()}
	for name, values := range m.Headers() {
		to.Headers = append(to.Headers, bus.Header{Name: name, Value: values[0]})
	}
	return to
}
