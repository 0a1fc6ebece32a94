package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// kafkaBroker is one that stays, real or not.
type kafkaBroker struct{ brokers []string }

func (k *kafkaBroker) settings() string {
	return fmt.Sprintf("[kafka]\nbrokers = [\"%s\"]\ncreate_topics = true\npartitions = 4\nreplication = 1\ntransaction_events = 1000\ntransaction_timeout = \"10s\"\n",
		strings.Join(k.brokers, `","`))
}

func (k *kafkaBroker) read(ctx context.Context) ([]bus.Message, error) {
	return verify.Kafka(ctx, k.brokers, "cdc")
}

func (k *kafkaBroker) single() bool { return false }

func TestCrashesKfake(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	crashes(t, "relay_kfake", &kafkaBroker{cluster.ListenAddrs()})
}

// realKafka is a broker of Apache Kafka that is killed, too.
type realKafka struct {
	kafkaBroker
	dir, libs string
	cmd       *exec.Cmd
	link      *link
}

const serverProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[4]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[3]s/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=2097152
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
`

// newKafka formats the storage of a broker and starts it.
func newKafka(t testing.TB) *realKafka { return newKafkaIn(t, t.TempDir()) }

func newKafkaIn(t testing.TB, dir string) *realKafka {
	t.Helper()
	address := freePort(t)
	link := newLink(t, address)
	k := formatted(t, dir, []string{link.address()}, fmt.Sprintf(serverProperties, address, freePort(t), dir, link.address()))
	k.link = link
	return k
}

// formatted starts a broker with such properties in a folder.
func formatted(t testing.TB, dir string, brokers []string, properties string) *realKafka {
	t.Helper()
	libs := os.Getenv("CDC_KAFKA_LIBS")
	if libs == "" {
		t.Skip("CDC_KAFKA_LIBS names no folder with the jars of Kafka")
	}
	k := &realKafka{kafkaBroker: kafkaBroker{brokers}, dir: dir, libs: libs}
	if err := os.WriteFile(filepath.Join(k.dir, "server.properties"), []byte(properties), 0o600); err != nil {
		t.Fatal(err)
	}
	format := k.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", "server.properties")
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k.start(t)
	t.Cleanup(k.stop)
	return k
}

func (k *realKafka) java(class string, arguments ...string) *exec.Cmd {
	all := append([]string{"-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", k.libs + "/*", class}, arguments...)
	cmd := exec.Command("java", all...)
	cmd.Dir = k.dir
	return cmd
}

func (k *realKafka) start(t testing.TB) {
	t.Helper()
	k.cmd = k.java("kafka.Kafka", "server.properties")
	said := new(tail)
	k.cmd.Stderr, k.cmd.Stdout = said, said
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if client.Ping(t.Context()) == nil {
			return
		}
	}
	k.stop() // it writes no more
	t.Fatalf("Kafka does not start:\n%s", said.bytes)
}

// tail keeps the end of what is written to it.
type tail struct{ bytes []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.bytes = append(t.bytes, b...)
	t.bytes = t.bytes[max(0, len(t.bytes)-8000):]
	return len(b), nil
}

func (k *realKafka) stop() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

func (k *realKafka) pid() int    { return k.cmd.Process.Pid }
func (k *realKafka) line() *link { return k.link }

// transactionOpen tells whether one is.
func (k *realKafka) transactionOpen(ctx context.Context) (bool, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.brokers...))
	if err != nil {
		return false, err
	}
	defer client.Close()
	all, err := kadm.NewClient(client).DescribeTransactions(ctx)
	for _, x := range all {
		if x.State == "Ongoing" {
			return true, err
		}
	}
	return false, err
}

func TestCrashesKafka(t *testing.T) {
	crashes(t, "relay_kafka", newKafka(t))
}

// By SQL two relays write at the same time.
func TestCrashesKafkaFetch(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not for short runs")
	}
	crashes(t, "relay_kafka_fetch", newKafka(t), fetching("relay_kafka_fetch")...)
}

// In a server of the test's own, which crashes, too.
func TestCrashesPostgreSQLToKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not for short runs")
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	(&trial{name: "relay_crash", b: &kafkaBroker{cluster.ListenAddrs()}, own: true}).run(t)
}
