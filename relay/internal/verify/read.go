// Package verify reads a log as a consumer does, and compares it with its source. It is for
// tests alone.
package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
)

// JetStream reads all messages of a stream.
func JetStream(ctx context.Context, url, stream string) (all []bus.Message, err error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	if s.CachedInfo().State.Msgs == 0 {
		return nil, nil
	}
	last := s.CachedInfo().State.LastSeq
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		all = append(all, fromNATS(m))
		if meta.Sequence.Stream >= last {
			return all, nil
		}
	}
}

func fromNATS(m jetstream.Msg) bus.Message {
	message := bus.Message{Topic: m.Subject(), Value: m.Data()}
	for name, values := range m.Headers() {
		message.Headers = append(message.Headers, bus.Header{Name: name, Value: values[0]})
	}
	return message
}

// Kafka reads all committed records of the topics with a prefix, but for the checkpoints: of each
// partition in its order.
func Kafka(ctx context.Context, brokers []string, prefix string) (all []bus.Message, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return nil, err
	}
	for _, name := range topics.Names() {
		if !strings.HasPrefix(name, prefix+".") || name == prefix+".checkpoints" {
			continue
		}
		list, err := kafkaTopic(ctx, brokers, admin, name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func kafkaTopic(ctx context.Context, brokers []string, admin *kadm.Client, name string) (all []bus.Message, err error) {
	ends, err := admin.ListCommittedOffsets(ctx, name)
	if err == nil {
		err = ends.Error() // of a partition: it is not empty for that
	}
	if err != nil {
		return nil, err
	}
	left := map[int32]int64{}
	offsets := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition], offsets[o.Partition] = o.Offset, kgo.NewOffset().AtStart()
		}
	})
	if len(left) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: offsets}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("reading %s up to %v: %w", name, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				all = append(all, fromKafka(r))
			}
		})
	}
	slices.SortStableFunc(all, func(a, b bus.Message) int { return int(a.Partition - b.Partition) })
	return all, nil
}

func fromKafka(r *kgo.Record) bus.Message {
	m := bus.Message{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, bus.Header{Name: h.Key, Value: string(h.Value)})
	}
	return m
}
