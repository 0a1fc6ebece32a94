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

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// kafkaBroker is one that stays, real or not.
type kafkaBroker struct{ brokers []string }

func (k *kafkaBroker) settings() string {
	return fmt.Sprintf("[kafka]\nbrokers = [\"%s\"]\ncreate_topics = true\npartitions = 4\nreplication = 1\ntransaction_events = 1000\ntransaction_timeout = \"30s\"\n",
		strings.Join(k.brokers, `","`))
}

func (k *kafkaBroker) read(ctx context.Context) ([]bus.Message, error) {
	return verify.Kafka(ctx, k.brokers, "cdc")
}

func (k *kafkaBroker) disturb(*testing.T) {}
func (k *kafkaBroker) single() bool       { return false }

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
	rounds    int
}

const serverProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
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
`

// newKafka formats the storage of a broker and starts it.
func newKafka(t *testing.T) *realKafka {
	t.Helper()
	libs := os.Getenv("CDC_KAFKA_LIBS")
	if libs == "" {
		t.Skip("CDC_KAFKA_LIBS names no folder with the jars of Kafka")
	}
	k := &realKafka{dir: t.TempDir(), libs: libs}
	k.brokers = []string{freePort(t)}
	properties := fmt.Sprintf(serverProperties, k.brokers[0], freePort(t), k.dir)
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

func (k *realKafka) start(t *testing.T) {
	t.Helper()
	k.cmd = k.java("kafka.Kafka", "server.properties")
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 120 {
		if client.Ping(t.Context()) == nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatal("Kafka does not start")
}

func (k *realKafka) stop() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// disturb kills the broker in every third round.
func (k *realKafka) disturb(t *testing.T) {
	if k.rounds++; k.rounds%3 == 2 {
		k.stop()
		time.Sleep(200 * time.Millisecond)
		k.start(t)
	}
	time.Sleep(2 * time.Second) // the relay takes over
}

func TestCrashesKafka(t *testing.T) {
	crashes(t, "relay_kafka", newKafka(t))
}
