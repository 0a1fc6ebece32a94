package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
)

// Read implements bus.Driver.
func (d *Driver) Read(ctx context.Context, r bus.Reading, f func(*bus.Message) error) error {
	options := append(slices.Clone(d.base), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.MetadataMaxAge(5*time.Second))
	left := ends{}
	if r.End {
		if !r.Beginning {
			return nil
		}
		var err error
		if left, err = d.ends(ctx, r.Topic); err != nil || len(left) == 0 {
			return err
		}
		options = append(options, kgo.ConsumePartitions(left.starts()))
	} else {
		from := kgo.NewOffset().AtStart()
		if !r.Beginning {
			from = kgo.NewOffset().AfterMilli(time.Now().UnixMilli()) // of topics that are made later, too
		}
		options = append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+regexp.QuoteMeta(d.prefix+".")), kgo.ConsumeResetOffset(from))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if err := failed(fetches); err != nil {
			return err
		}
		for i := fetches.RecordIter(); !i.Done(); {
			record := i.Next()
			if !record.Attrs.IsControl() && record.Topic != d.checkpoints() {
				if err := f(message(record)); err != nil {
					return err
				}
			}
			if left.passed(record); r.End && len(left) == 0 {
				return nil
			}
		}
	}
}

// failed gives the error of a fetch, if it does not go away by itself.
func failed(fetches kgo.Fetches) error {
	if err := fetches.Err0(); err != nil {
		return err
	}
	var all []error
	for _, e := range fetches.Errors() {
		all = append(all, fmt.Errorf("reading the topic %s: %w", e.Topic, e.Err))
	}
	return errors.Join(all...)
}

// message is one as a bus has it.
func message(r *kgo.Record) *bus.Message {
	m := &bus.Message{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, bus.Header{Name: h.Key, Value: string(h.Value)})
	}
	return m
}

// ends are offsets behind the last record that is to be read, of partitions that have some.
type ends map[string]map[int32]int64

func (d *Driver) ends(ctx context.Context, topic string) (ends, error) {
	client, err := kgo.NewClient(d.base...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("topics of Kafka: %w", err)
	}
	names := slices.DeleteFunc(details.Names(), func(name string) bool {
		return !strings.HasPrefix(name, d.prefix+".") || name == d.checkpoints() || topic != "" && name != topic
	})
	if len(names) == 0 {
		return nil, nil
	}
	first, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("offsets of topics: %w", err)
	}
	last, err := admin.ListCommittedOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("offsets of topics: %w", err)
	}
	left := ends{}
	last.Each(func(o kadm.ListedOffset) {
		if start, ok := first.Lookup(o.Topic, o.Partition); ok && o.Err == nil && o.Offset > start.Offset {
			if left[o.Topic] == nil {
				left[o.Topic] = map[int32]int64{}
			}
			left[o.Topic][o.Partition] = o.Offset
		}
	})
	return left, nil
}

func (e ends) starts() map[string]map[int32]kgo.Offset {
	all := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range e {
		all[topic] = map[int32]kgo.Offset{}
		for p := range maps.Keys(partitions) {
			all[topic][p] = kgo.NewOffset().AtStart()
		}
	}
	return all
}

// passed takes out the partition of a record that was the last to be read there.
func (e ends) passed(r *kgo.Record) {
	if end, ok := e[r.Topic][r.Partition]; ok && r.Offset+1 >= end {
		if delete(e[r.Topic], r.Partition); len(e[r.Topic]) == 0 {
			delete(e, r.Topic)
		}
	}
}
