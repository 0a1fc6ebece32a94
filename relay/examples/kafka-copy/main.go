// Command kafka-copy keeps a copy of tables in a PostgreSQL database, from the topics of Kafka
// that cdc-relay fills:
//
//	BROKERS=k1:9092,k2:9092 TARGET='host=replica dbname=copy' kafka-copy
//
// The copy and how far it has come become durable together, so that it may be killed at any
// time: each change happens once. With names of tables, it reads to the end of the log, compares
// them with the source, where nothing must change meanwhile, and ends:
//
//	... SOURCE='host=db dbname=shop' kafka-copy public.orders
//
// It reads all partitions, since a row whose key changes goes from one to another. PREFIX is
// relay.prefix (cdc), STATE names one of several copies in a database.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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
	brokers []string
	admin   *kadm.Client
	client  *kgo.Client // nil: there is no topic yet
	reader  *cdc.TopicReader
	applier *cdc.TopicApplier
	prefix  string
	next    map[string]map[int32]int64 // offsets to be read, by topic and partition
	looked  time.Time
}

func run(ctx context.Context, compare []string) error {
	brokers := strings.Split(os.Getenv("BROKERS"), ",")
	admin, err := kadm.NewOptClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer admin.Close()
	state := &cdc.PostgresState{Conn: os.Getenv("TARGET"), Name: cmp.Or(os.Getenv("STATE"), "kafka-copy"), CreateTables: true}
	defer state.Close(context.Background())
	c := &copier{brokers: brokers, admin: admin, prefix: cmp.Or(os.Getenv("PREFIX"), "cdc"), next: map[string]map[int32]int64{},
		reader: cdc.NewTopicReader(cdc.NewSchemaCache(cdc.Limits{})), applier: cdc.NewTopicApplier(state)}
	defer c.close()
	for ctx.Err() == nil {
		ends, err := c.topics(ctx)
		if err != nil {
			return err
		}
		if len(compare) > 0 && ends != nil && c.reached(ends) {
			return tables.Compare(ctx, os.Getenv("SOURCE"), c.applier, compare)
		}
		if err := c.poll(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// topics looks every second for partitions that are new, and where all end.
func (c *copier) topics(ctx context.Context) (kadm.ListedOffsets, error) {
	if time.Since(c.looked) < time.Second {
		return nil, nil
	}
	c.looked = time.Now()
	progress, err := c.applier.Progress(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.admin.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	found := map[string]map[int32]kgo.Offset{}
	for _, name := range all.Names() {
		// Dead letters are read, too: the copy cannot go on without what is there.
		if !strings.HasPrefix(name, c.prefix+".") || name == c.prefix+".checkpoints" || name == c.prefix+".messages" {
			continue
		}
		names = append(names, name)
		if c.next[name] == nil {
			c.next[name] = map[int32]int64{}
		}
		found[name] = map[int32]kgo.Offset{}
		for partition := range all[name].Partitions {
			if _, known := c.next[name][partition]; !known {
				place := cdc.TopicRecord{Topic: name, Partition: partition}
				offset := int64(progress.Sequence(place.Place())) // that of the last record, plus 1
				c.next[name][partition], found[name][partition] = offset, kgo.NewOffset().At(offset)
			}
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	if err := c.consume(found); err != nil {
		return nil, err
	}
	return c.admin.ListCommittedOffsets(ctx, names...)
}

// consume has partitions be read.
func (c *copier) consume(found map[string]map[int32]kgo.Offset) (err error) {
	if c.client != nil {
		c.client.AddConsumePartitions(found)
		return nil
	}
	c.client, err = kgo.NewClient(kgo.SeedBrokers(c.brokers...), kgo.ConsumePartitions(found),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // what a relay has left unfinished is none of ours
		kgo.KeepControlRecords())                     // they tell where the log ends
	return err
}

func (c *copier) close() {
	if c.client != nil {
		c.client.Close()
	}
}

// reached tells whether all partitions were read to these ends.
func (c *copier) reached(ends kadm.ListedOffsets) bool {
	all := true
	ends.Each(func(o kadm.ListedOffset) { all = all && c.next[o.Topic][o.Partition] >= o.Offset })
	return all
}

// poll applies what comes within a second, and makes it durable.
func (c *copier) poll(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c.client == nil {
		<-waiting.Done()
		return nil
	}
	fetches := c.client.PollRecords(waiting, 1000)
	if waiting.Err() == nil {
		if err := fetches.Err(); err != nil {
			return err
		}
	}
	applied := 0
	for _, r := range fetches.Records() {
		c.next[r.Topic][r.Partition] = r.Offset + 1
		if r.Attrs.IsControl() {
			continue
		}
		message, err := c.reader.Read(record(r))
		if err == nil {
			err = c.applier.Apply(ctx, message)
		}
		if err != nil {
			return fmt.Errorf("%s, partition %d, offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		applied++
	}
	if applied == 0 {
		return nil
	}
	return c.applier.Commit(ctx)
}

// record makes of Kafka's what the client reads.
func record(r *kgo.Record) *cdc.TopicRecord {
	to := &cdc.TopicRecord{Topic: r.Topic, Partition: r.Partition, Sequence: uint64(r.Offset) + 1, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		to.Headers = append(to.Headers, cdc.TopicHeader{Name: h.Key, Value: string(h.Value)})
	}
	return to
}
