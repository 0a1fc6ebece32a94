package pump

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/kafka"
)

// onOnePartition is a Kafka that shows the order of all messages. Its transactions have five events.
func onOnePartition(t *testing.T, transactions bool) target {
	return onOnePartitionFor(t, transactions, 20*time.Millisecond)
}

// onOnePartitionFor has transactions go on for a time while there is more.
func onOnePartitionFor(t *testing.T, transactions bool, long time.Duration) target {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	d, err := kafka.New(config.Kafka{Transactions: transactions, Brokers: cluster.ListenAddrs(), Create: true, Partitions: 1, Replication: 1, Compression: "none",
		TransactionWait: 20 * time.Millisecond, TransactionTime: long, TransactionBytes: 1 << 20, TransactionEvents: 5, TransactionLimit: 10 * time.Second}, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return target{d, true, func(t *testing.T) []bus.Message {
		all, err := verify.Kafka(t.Context(), cluster.ListenAddrs(), "p")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}
}

// inserted adds a transaction of so many events.
func inserted(source *cdctest.Source, events int) {
	ids := make([]string, events)
	for i := range ids {
		ids[i] = fmt.Sprintf("%d of %d", i, events)
	}
	source.Insert("public", "t", ids...)
}

// partsOf gives the marks of each transaction, "-" where there is none, and "." behind its end.
func partsOf(all []bus.Message) (list []string) {
	text := ""
	for i := range all {
		part := all[i].Get(bus.Part)
		if part == "" {
			part = "-"
		}
		if text += part; all[i].Get(bus.End) != "" {
			list = append(list, text+".")
			text = ""
		}
	}
	return list
}

func wantParts(t *testing.T, all []bus.Message, want ...string) {
	t.Helper()
	if got := partsOf(all); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the parts are %v, not %v", got, want)
	}
}

// carriedWhole runs a pump until all is there, and failed for so many sends.
func carriedWhole(t *testing.T, source *cdctest.Source, to target) {
	t.Helper()
	carried(t, source, newPump(t, source, to.driver))
}

func TestPartsAreMarked(t *testing.T) {
	to, source := onOnePartition(t, true), cdctest.NewSource("s")
	for _, events := range []int{12, 5, 6} {
		inserted(source, events)
		carriedWhole(t, source, to) // each at the beginning of a transaction of Kafka
	}
	wantParts(t, to.read(t), "----12222233.", "-----.", "----12.")
}

// A transaction of Kafka may last long, but not where nothing more comes.
func TestStoredWhereNothingMoreComes(t *testing.T) {
	to, source := onOnePartitionFor(t, true, time.Hour), cdctest.NewSource("s")
	for _, events := range []int{1, 7, 2} {
		inserted(source, events)
	}
	carriedWhole(t, source, to)
}

// A part that another session has begun counts, too.
func TestPartsGoOnAfterAFailure(t *testing.T) {
	to, source := onOnePartition(t, true), cdctest.NewSource("s")
	inserted(source, 1)
	carriedWhole(t, source, to)
	broken := &failing{Driver: to.driver}
	broken.after.Store(8) // seven events are stored, in two parts
	p := newPump(t, source, broken)
	inserted(source, 12)
	carried(t, source, p)
	inserted(source, 1)
	carriedWhole(t, source, to)
	wantParts(t, to.read(t), "-.", "----12233333.", "-.")
}

// Without transactions nothing is marked, all is there, and the next relay goes on behind it.
func TestWithoutTransactions(t *testing.T) {
	to, source := onOnePartition(t, false), cdctest.NewSource("s")
	n := 0
	for range 3 {
		n += workload(source) - 4 // topics have one partition: two TRUNCATEs are one message each
		carriedWhole(t, source, to)
	}
	all := to.read(t)
	if err := verify.Once(all, true); err != nil || len(all) != n {
		t.Errorf("%d messages, not %d: %v", len(all), n, err)
	}
	for i := range all {
		if all[i].Get(bus.Part) != "" {
			t.Error("a part is marked")
		}
	}
}

// Without transactions what was sent since the last checkpoint comes again after a failure, in its order, and nothing
// is missing.
func TestAtLeastOnce(t *testing.T) {
	to, source := onOnePartition(t, false), cdctest.NewSource("s")
	broken := &failing{Driver: to.driver, harsh: true}
	stop := running(t, newPump(t, source, broken))
	n := 0
	for _, after := range []int64{3, 7, 60} {
		broken.after.Store(after)
		n += workload(source) - 4
		confirmed(t, source)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, m := range to.read(t) {
		seen[m.Get(bus.Position)+m.Get(bus.Copy)] = true
	}
	if len(seen) != n {
		t.Errorf("there are %d messages, not %d", len(seen), n)
	}
}
