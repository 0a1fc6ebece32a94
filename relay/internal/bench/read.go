package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// read gives the values of messages, from the beginning or as they come, until ctx ends. What it
// returns is closed when it listens.
func read(ctx context.Context, s *settings, all bool, got func(value []byte)) (<-chan struct{}, error) {
	if s.kafka != "" {
		return readKafka(ctx, s, all, got)
	}
	return readNATS(ctx, s, all, got)
}

func readKafka(ctx context.Context, s *settings, all bool, got func(value []byte)) (<-chan struct{}, error) {
	from := kgo.NewOffset().AtStart()
	if !all {
		from = kgo.NewOffset().AtEnd()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.ConsumeTopics(s.topics), kgo.ConsumeRegex(), kgo.ConsumeResetOffset(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, err
	}
	go func() {
		defer client.Close()
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got(r.Value) })
		}
	}()
	ready := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(ready) })
	return ready, nil
}

func readNATS(ctx context.Context, s *settings, all bool, got func(value []byte)) (<-chan struct{}, error) {
	conn, err := nats.Connect(s.nats)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	policy := jetstream.DeliverAllPolicy
	if !all {
		policy = jetstream.DeliverNewPolicy
	}
	consumer, err := js.OrderedConsumer(ctx, s.stream, jetstream.OrderedConsumerConfig{DeliverPolicy: policy})
	if err != nil {
		return nil, err
	}
	if _, err := consumer.Consume(func(m jetstream.Msg) { got(m.Data()) }); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	time.AfterFunc(time.Second, func() { close(ready) })
	return ready, nil
}
