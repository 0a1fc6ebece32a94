package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/plan"
)

// topic is what is known of one, for as long as the session lasts.
type topic struct {
	id         kadm.TopicID
	partitions int32
	maxBytes   int
}

// missing: a topic is not there, and is not to be made.
func missing(topic string) error {
	return &bus.MissingError{Name: topic, Message: fmt.Sprintf("there is no topic %s: make it, or set kafka.create_topics to true", topic)}
}

// isMissing tells whether that is the error.
func isMissing(err error) bool {
	var m *bus.MissingError
	return errors.As(err, &m)
}

// topic looks for one, and makes it if that is asked for.
func (b *Bus) topic(ctx context.Context, name string) (*topic, error) {
	b.mu.Lock()
	known := b.topics[name]
	b.mu.Unlock()
	if known != nil {
		return known, nil
	}
	t, err := b.describe(ctx, name)
	if isMissing(err) && b.driver.config.Create {
		if err = b.firstTime(ctx, name); err != nil {
			return nil, err
		}
		if err = b.create(ctx, name); err == nil {
			t, err = b.appeared(ctx, name)
		}
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.topics[name] = t
	b.mu.Unlock()
	return t, nil
}

// appeared waits until a topic that was made is known to the broker that is asked.
func (b *Bus) appeared(ctx context.Context, name string) (*topic, error) {
	for began := time.Now(); ; {
		t, err := b.describe(ctx, name)
		if !isMissing(err) || time.Since(began) > 15*time.Second {
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (b *Bus) describe(ctx context.Context, name string) (*topic, error) {
	details, err := b.admin.ListTopics(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("topics of Kafka: %w", err)
	}
	detail := details[name]
	if absent(&detail) {
		return nil, missing(name)
	}
	if detail.Err != nil {
		return nil, fmt.Errorf("topic %s: %w", name, detail.Err)
	}
	t := &topic{id: detail.ID, partitions: int32(len(detail.Partitions)), maxBytes: defaultMaxBytes}
	configs, err := b.admin.DescribeTopicConfigs(ctx, name)
	if err != nil { // not allowed to
		return t, nil
	}
	if resource, err := configs.On(name, nil); err == nil {
		for _, c := range resource.Configs {
			if n, err := strconv.Atoi(c.MaybeValue()); c.Key == "max.message.bytes" && err == nil {
				t.maxBytes = n
			}
		}
	}
	return t, nil
}

func absent(d *kadm.TopicDetail) bool {
	return errors.Is(d.Err, kerr.UnknownTopicOrPartition) || len(d.Partitions) == 0 && d.Err == nil
}

// firstTime refuses to make the topic of checkpoints anew where there was a relay before.
func (b *Bus) firstTime(ctx context.Context, name string) error {
	if name != b.driver.checkpoints() {
		return nil
	}
	other, err := b.holds(ctx)
	if err != nil || other == "" {
		return err
	}
	return &bus.ConfigError{Message: fmt.Sprintf("there is no topic %s, but %s has messages: how far the log has come is not known any more. "+
		"Make the topic by hand, with one partition and cleanup.policy=compact, to go on from where PostgreSQL has heard of: "+
		"what was stored last may then stand twice. Or choose another relay.prefix", name, other)}
}

// defaultMaxBytes is what brokers take for a batch unless they are told otherwise.
const defaultMaxBytes = 1048588

// create makes a topic as the settings say.
func (b *Bus) create(ctx context.Context, name string) error {
	d := b.driver
	partitions, configs := int32(d.config.Partitions), map[string]*string{}
	compacted := d.config.Tombstones
	switch name {
	case d.checkpoints():
		partitions, compacted = 1, true
		// Most of it is outdated, and a start reads its end.
		configs["segment.bytes"] = kadm.StringPtr("16777216")
	case plan.DeadTopic(d.prefix), plan.MessageTopic(d.prefix), plan.TransactionTopic(d.prefix):
		partitions, compacted = 1, false
	}
	if compacted {
		configs["cleanup.policy"] = kadm.StringPtr("compact")
	}
	_, err := b.admin.CreateTopic(ctx, partitions, int16(d.config.Replication), configs, name)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the topic %s: %w", name, err)
	}
	d.logger.Info("a topic was made", "topic", name, "partitions", partitions)
	return nil
}

// Partitions implements bus.Bus.
func (b *Bus) Partitions(ctx context.Context, name string) (int32, error) {
	t, err := b.topic(ctx, name)
	if err != nil {
		return 0, err
	}
	return t.partitions, nil
}

// overhead of a batch with one record in it.
const overhead = 128

// MaxBytes implements bus.Bus.
func (b *Bus) MaxBytes(ctx context.Context, name string) (int, error) {
	t, err := b.topic(ctx, name)
	if err != nil {
		return 0, err
	}
	return t.maxBytes - overhead, nil
}

// batchBytes is how large batches of a topic may be.
func (b *Bus) batchBytes(name string) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[name]; t != nil {
		return int32(max(512, min(t.maxBytes, 64<<20)))
	}
	return 1000000
}

// Versions implements bus.Bus.
func (b *Bus) Versions(ctx context.Context, f bus.Family) ([]string, error) {
	details, err := b.admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("topics of Kafka: %w", err)
	}
	var names []string
	for name := range details {
		if f.Has(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Check implements bus.Driver.
func (d *Driver) Check(ctx context.Context) []error {
	b := &Bus{driver: d, topics: map[string]*topic{}}
	if err := b.dial(); err != nil {
		return []error{err}
	}
	defer b.client.Close()
	names := []string{d.checkpoints()}
	if _, err := b.describe(ctx, names[0]); err != nil {
		if isMissing(err) && d.config.Create {
			err = b.firstTime(ctx, names[0]) // otherwise it will be made
		}
		if err == nil {
			return nil
		}
		return []error{err}
	}
	return b.checkTopics(ctx)
}

// checkTopics looks at all topics with the prefix.
func (b *Bus) checkTopics(ctx context.Context) (wrong []error) {
	details, err := b.admin.ListTopics(ctx)
	if err != nil {
		return []error{err}
	}
	say := func(format string, arguments ...any) { wrong = append(wrong, fmt.Errorf(format, arguments...)) }
	for _, detail := range details.Sorted() {
		name := detail.Topic
		if !strings.HasPrefix(name, b.driver.prefix+".") || len(detail.Partitions) == 0 {
			continue
		}
		configs, err := b.admin.DescribeTopicConfigs(ctx, name)
		if err != nil {
			say("settings of the topic %s: %w", name, err)
			continue
		}
		value := map[string]string{}
		if resource, err := configs.On(name, nil); err == nil {
			for _, c := range resource.Configs {
				value[c.Key] = c.MaybeValue()
			}
		}
		replicas := len(detail.Partitions.Sorted()[0].Replicas)
		if least, err := strconv.Atoi(value["min.insync.replicas"]); err == nil && replicas > 1 && least < 2 {
			say("the topic %s has %d replicas, but min.insync.replicas = %d: set it to 2, or an acknowledged message may be on one broker alone", name, replicas, least)
		}
		compact := strings.Contains(value["cleanup.policy"], "compact")
		switch {
		case name == b.driver.checkpoints() && !compact:
			say("the topic %s has cleanup.policy = %s: set it to compact, or the checkpoint is lost some day", name, value["cleanup.policy"])
		case name == b.driver.checkpoints() && len(detail.Partitions) != 1:
			say("the topic %s has %d partitions: it must have one", name, len(detail.Partitions))
		case compact && name != b.driver.checkpoints() && !b.driver.config.Tombstones:
			say("the topic %s is compacted, but kafka.tombstones is false: deleted rows stay in it for ever", name)
		}
	}
	return wrong
}
