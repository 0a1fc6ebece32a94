package pump

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/kafka"
)

// says waits until the relay waits, with an error that has these words.
func says(t *testing.T, p *Pump, words string) {
	t.Helper()
	for range 1200 {
		if s := p.Status(); strings.Contains(s.Error, words) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("the status is %+v, not %q", p.Status(), words)
}

// missed counts how often a topic was.
func missed(t *testing.T, p *Pump) (n float64) {
	t.Helper()
	r := prometheus.NewRegistry()
	p.metrics.Register(r)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "cdc_relay_missing_topics_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func admin(t *testing.T, brokers []string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// makeTopics makes those that a relay needs that makes none.
func makeTopics(t *testing.T, a *kadm.Client, names ...string) {
	t.Helper()
	for _, name := range names {
		n := int32(3)
		if strings.HasSuffix(name, ".checkpoints") {
			n = 1
		}
		if _, err := a.CreateTopic(t.Context(), n, 1, nil, name); err != nil {
			t.Fatal(err)
		}
	}
}

func kafkaWith(t *testing.T, brokers []string, create bool) bus.Driver {
	t.Helper()
	d, err := kafka.New(config.Kafka{Transactions: true, Brokers: brokers, Create: create, Partitions: 3, Replication: 1, Compression: "none",
		TransactionWait: 20 * time.Millisecond, TransactionTime: 20 * time.Millisecond, TransactionBytes: 1 << 20, TransactionEvents: 5, TransactionLimit: 10 * time.Second}, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deletedTopic has a table's topic deleted while the relay runs, with and without changes for it. It tells, waits
// until somebody has made the topic, and goes on with what the topic never had.
func deletedTopic(t *testing.T, brokers []string) {
	a := admin(t, brokers)
	makeTopics(t, a, "p.checkpoints", "p.public.t")
	source := cdctest.NewSource("s")
	p := newPump(t, source, kafkaWith(t, brokers, false))
	p.Measure(NewMetrics("s"))
	workload(source)
	stop := running(t, p)
	confirmed(t, source)
	for _, idle := range []bool{true, false} {
		if _, err := a.DeleteTopic(t.Context(), "p.public.t"); err != nil {
			t.Fatal(err)
		}
		if idle {
			says(t, p, "the topic p.public.t was deleted while the relay was running")
		}
		n := workload(source)
		says(t, p, "there is no topic p.public.t: make it")
		if p.Status().State != "waiting" || missed(t, p) < 1 {
			t.Errorf("the status is %+v", p.Status())
		}
		makeTopics(t, a, "p.public.t")
		confirmed(t, source)
		check(t, target{read: func(t *testing.T) []bus.Message {
			all, err := verify.Kafka(t.Context(), brokers, "p")
			if err != nil {
				t.Fatal(err)
			}
			return all
		}}, n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestTopicIsDeleted(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	deletedTopic(t, cluster.ListenAddrs())
}

// A topic that was deleted and made anew at once is noticed, too: it is not the same one.
func TestTopicIsMadeAnew(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	a := admin(t, cluster.ListenAddrs())
	source := cdctest.NewSource("s")
	p := newPump(t, source, kafkaWith(t, cluster.ListenAddrs(), true))
	p.Measure(NewMetrics("s"))
	workload(source)
	stop := running(t, p)
	confirmed(t, source)
	if _, err := a.DeleteTopic(t.Context(), "p.public.t"); err != nil {
		t.Fatal(err)
	}
	makeTopics(t, a, "p.public.t")
	for range 400 {
		if missed(t, p) > 0 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if got := missed(t, p); got != 1 {
		t.Errorf("it was noticed %v times", got)
	}
	n := workload(source)
	confirmed(t, source)
	if err := stop(); err != nil {
		t.Error(err)
	}
	check(t, target{read: func(t *testing.T) []bus.Message {
		all, err := verify.Kafka(t.Context(), cluster.ListenAddrs(), "p")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}, n)
}

// Without the topic of checkpoints nobody knows how far the log has come: it is not made anew beside one that
// has messages.
func TestCheckpointsAreDeleted(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	source := cdctest.NewSource("s")
	d := kafkaWith(t, cluster.ListenAddrs(), true)
	workload(source)
	carried(t, source, newPump(t, source, d))
	if _, err := admin(t, cluster.ListenAddrs()).DeleteTopic(t.Context(), "p.checkpoints"); err != nil {
		t.Fatal(err)
	}
	want := "there is no topic p.checkpoints, but p.public.t has messages"
	if err := newPump(t, source, d).Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v", err)
	}
	if wrong := d.Check(t.Context()); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) {
		t.Errorf("check says %v", wrong)
	}
}

// A stream that is deleted while the relay runs is noticed with the next change; one that is made anew is
// not taken for the old one.
func TestStreamIsDeletedMeanwhile(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	workload(source)
	p := newPump(t, source, to.driver)
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	confirmed(t, source)
	removeStream(t, to.driver.(*jetstream.Driver).URL())
	workload(source)
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "was the stream made anew?") {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("it goes on: %+v", p.Status())
	}
}
