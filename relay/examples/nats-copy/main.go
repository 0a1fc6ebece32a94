// Command nats-copy keeps a copy of tables in a PostgreSQL database, from the stream of NATS
// JetStream that cdc-relay fills:
//
//	NATS=nats://n1:4222 TARGET='host=replica dbname=copy' nats-copy
//
// The copy and how far it has come become durable together, with whole transactions, so that it
// may be killed at any time: each change happens once. With names of tables, it reads to the end
// of the log, compares them with the source, where nothing must change meanwhile, and ends:
//
//	... SOURCE='host=db dbname=shop' nats-copy public.orders
//
// STREAM is nats.stream (CDC), STATE names one of several copies in a database.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/examples/tables"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

type copier struct {
	name     string // of the stream
	stream   jetstream.Stream
	messages jetstream.MessagesContext
	reader   *cdc.TopicReader
	applier  *cdc.TopicApplier
	read     uint64 // sequence of the last message
	pending  int    // messages that are not durable yet
}

func run(ctx context.Context, compare []string) error {
	conn, err := nats.Connect(os.Getenv("NATS"))
	if err != nil {
		return err
	}
	defer conn.Close()
	state := &cdc.PostgresState{Conn: os.Getenv("TARGET"), Name: cmp.Or(os.Getenv("STATE"), "nats-copy"), CreateTables: true}
	defer state.Close(context.Background())
	c := &copier{name: cmp.Or(os.Getenv("STREAM"), "CDC"), reader: cdc.NewTopicReader(cdc.NewSchemaCache(cdc.Limits{})),
		applier: cdc.NewTopicApplier(state)}
	if err := c.open(ctx, conn); err != nil {
		return err
	}
	defer c.messages.Stop()
	for ctx.Err() == nil {
		if len(compare) > 0 {
			info, err := c.stream.Info(ctx)
			if err != nil {
				return err
			}
			if c.read >= info.State.LastSeq {
				return tables.Compare(ctx, os.Getenv("SOURCE"), c.applier, compare)
			}
		}
		if err := c.some(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// open begins behind the last message of which the copy has the effects.
func (c *copier) open(ctx context.Context, conn *nats.Conn) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if c.stream, err = js.Stream(ctx, c.name); err != nil {
		return err
	}
	progress, err := c.applier.Progress(ctx)
	if err != nil {
		return err
	}
	c.read = progress.Sequence(c.name) // all subjects are one order, which has the stream's name
	consumer, err := c.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: c.read + 1})
	if err == nil {
		c.messages, err = consumer.Messages()
	}
	return err
}

// some applies what comes, until there is nothing more for a second.
func (c *copier) some(ctx context.Context) error {
	for ctx.Err() == nil {
		m, err := c.messages.Next(jetstream.NextMaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			return nil
		}
		if err == nil {
			err = c.apply(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// apply applies a message. What was applied becomes durable where a transaction ends, when many
// messages have gathered or there are no more.
func (c *copier) apply(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	message, err := c.reader.Read(record(m, meta, c.name))
	if err == nil {
		err = c.applier.Apply(ctx, message)
	}
	if err != nil {
		return fmt.Errorf("%s, message %d: %w", m.Subject(), meta.Sequence.Stream, err)
	}
	c.read = meta.Sequence.Stream
	if c.pending++; message.Events == 0 || c.pending < 1000 && meta.NumPending > 0 {
		return nil
	}
	c.pending = 0
	return c.applier.Commit(ctx)
}

// record makes of JetStream's message what the client reads.
func record(m jetstream.Msg, meta *jetstream.MsgMetadata, stream string) *cdc.TopicRecord {
	to := &cdc.TopicRecord{Topic: m.Subject(), Stream: stream, Sequence: meta.Sequence.Stream, Value: m.Data()}
	for name, values := range m.Headers() {
		to.Headers = append(to.Headers, cdc.TopicHeader{Name: name, Value: values[0]})
	}
	return to
}
