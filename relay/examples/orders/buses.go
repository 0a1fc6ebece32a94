package main

import (
	"context"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/clients/go"
)

// nats reads from the stream CDC. While the server is away, it waits.
func nats(url string) read {
	return func(ctx context.Context, take func(*cdc.TopicRecord) error) error {
		conn, err := client.Connect(url, client.MaxReconnects(-1))
		if err != nil {
			return err
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			return err
		}
		consumer, err := js.OrderedConsumer(ctx, "CDC", jetstream.OrderedConsumerConfig{FilterSubjects: []string{topic}})
		if err != nil {
			return err
		}
		messages, err := consumer.Messages()
		if err != nil {
			return err
		}
		defer messages.Stop()
		for {
			m, err := messages.Next(jetstream.NextContext(ctx))
			if err != nil {
				return err
			}
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			record := &cdc.TopicRecord{Topic: m.Subject(), Stream: "CDC", Sequence: meta.Sequence.Stream, Value: m.Data()}
			for name, values := range m.Headers() {
				record.Headers = append(record.Headers, cdc.TopicHeader{Name: name, Value: values[0]})
			}
			if err := take(record); err != nil {
				return err
			}
		}
	}
}

// kafka reads what is committed of all partitions.
func kafka(brokers string) read {
	return func(ctx context.Context, take func(*cdc.TopicRecord) error) error {
		conn, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		if err != nil {
			return err
		}
		defer conn.Close()
		for {
			fetches := conn.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				return err
			}
			for from := fetches.RecordIter(); !from.Done(); {
				r := from.Next()
				record := &cdc.TopicRecord{Topic: r.Topic, Partition: r.Partition, Sequence: uint64(r.Offset) + 1, Key: r.Key, Value: r.Value}
				for _, h := range r.Headers {
					record.Headers = append(record.Headers, cdc.TopicHeader{Name: h.Key, Value: string(h.Value)})
				}
				if err := take(record); err != nil {
					return err
				}
			}
		}
	}
}
