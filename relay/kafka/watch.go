package kafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/pgcdc/cdc/relay/bus"
)

// lookEvery is how often topics are looked at whether they are still there.
const lookEvery = 3 * time.Second

// gone: a topic was deleted while the relay was using it.
func gone(topic string) error {
	return &bus.MissingError{Name: topic, Message: fmt.Sprintf("the topic %s was deleted while the relay was running, and what was in it is gone: "+
		"readers who need that read the table anew", topic)}
}

// watch has the session end when a topic is gone. Records for one would otherwise be tried again and again,
// and one that was made anew would not be noticed at all.
func (b *Bus) watch() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	missed := map[string]int{}
	for {
		select {
		case <-b.closed:
			return
		case <-ticker.C:
		}
		if err := b.look(missed); err != nil {
			b.fail(err)
			return
		}
	}
}

// look asks for all topics that are in use. missed counts how often each was not there: a broker
// may hear of a topic late.
func (b *Bus) look(missed map[string]int) error {
	used := b.used()
	names := make([]string, 0, len(used))
	for name := range used {
		names = append(names, name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookEvery)
	defer cancel()
	details, err := b.admin.ListTopics(ctx, names...)
	if err != nil {
		return nil // brokers that are away are noticed elsewhere
	}
	for name, id := range used {
		switch detail := details[name]; {
		case absent(&detail):
			if missed[name]++; missed[name] > 1 {
				return gone(name)
			}
		case detail.Err == nil:
			missed[name] = 0
			if detail.ID != id {
				return gone(name)
			}
		}
	}
	return nil
}

// used gives the ids of all topics that the session knows.
func (b *Bus) used() map[string]kadm.TopicID {
	b.mu.Lock()
	defer b.mu.Unlock()
	used := make(map[string]kadm.TopicID, len(b.topics))
	for name, t := range b.topics {
		used[name] = t.id
	}
	return used
}

// fail ends the session.
func (b *Bus) fail(err error) {
	b.failed(err)
	b.broken()
	b.events.Failed(err)
}

// unlessBroken gives a context that ends with the session, too.
func (b *Bus) unlessBroken(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.unbroken, cancel)
	return ctx, func() { stop(); cancel() }
}

// holds tells of one topic with the prefix that has messages, "" where none has: then there was a relay before.
func (b *Bus) holds(ctx context.Context) (string, error) {
	details, err := b.admin.ListTopics(ctx)
	if err != nil {
		return "", fmt.Errorf("topics of Kafka: %w", err)
	}
	var names []string
	for _, name := range details.Names() {
		if strings.HasPrefix(name, b.driver.prefix+".") && name != b.driver.checkpoints() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	ends, err := b.admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return "", fmt.Errorf("offsets of topics: %w", err)
	}
	found := ""
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Offset > 0 {
			found = o.Topic
		}
	})
	return found, nil
}
