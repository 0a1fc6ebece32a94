package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// reader is an example that keeps a copy.
type reader struct {
	t    *testing.T
	file string
	env  []string
	cmd  *exec.Cmd
	out  strings.Builder
}

func newReader(t *testing.T, example string, env ...string) *reader {
	t.Helper()
	r := &reader{t: t, file: filepath.Join(t.TempDir(), example), env: env}
	out, err := exec.Command("go", "build", "-o", r.file, "github.com/pgcdc/cdc/relay/examples/"+example).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(r.kill)
	return r
}

func (r *reader) start(arguments ...string) {
	r.t.Helper()
	r.cmd = exec.Command(r.file, arguments...)
	r.cmd.Env = append(os.Environ(), r.env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// compares has it read to the end and compare.
func (r *reader) compares() {
	r.t.Helper()
	r.out.Reset()
	r.start("public.a", "public.b", "public.marker")
	err := r.cmd.Wait()
	r.cmd = nil
	r.t.Logf("%s", strings.TrimSpace(r.out.String()))
	if err != nil {
		r.t.Fatal(err)
	}
	if n := strings.Count(r.out.String(), "the same in the copy"); n != 3 {
		r.t.Fatalf("%d tables were compared", n)
	}
}

// copies has an example keep a copy while tables change, and both it and the relay are killed.
// In the end the log has some of its transactions once more.
func copies(t *testing.T, name string, b broker, r func() *reader, again func(all []bus.Message)) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	conn := database(t, name)
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name + "_copy", "CREATE DATABASE " + name + "_copy"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	defer conn.Exec(context.Background(), "DROP DATABASE "+name+"_copy WITH (FORCE)")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	var workers sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var committed atomic.Int64
	workers.Go(func() { work(working, t, "dbname="+name, seed, &committed) })
	relay := newRelay(t, name, b)
	relay.env = []string{"CDC_RELAY_POSTGRES_OPTIONS_OLD=changed"} // rows are not whole
	relay.start()
	copier := r()
	random := rand.New(rand.NewPCG(seed, 2))
	for i := range 2 * *rounds {
		copier.start()
		time.Sleep(time.Duration(200+random.IntN(1500)) * time.Millisecond)
		copier.kill()
		if i%2 == 1 {
			relay.kill()
			relay.start()
		}
	}
	for committed.Load() < 10 && ctx.Err() == nil { // on a busy machine
		time.Sleep(50 * time.Millisecond)
	}
	stopWork()
	workers.Wait()
	if _, err := conn.Exec(ctx, "INSERT INTO marker VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, b, "public.marker")
	relay.stop()
	copier.compares()
	all, err := b.read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	again(all)
	copier.compares()
	t.Logf("%d transactions, %d messages", committed.Load(), len(all))
}

// lastTransactions are the messages of a place from where a transaction begins, about so many.
func lastTransactions(all []bus.Message, n int) []bus.Message {
	at := max(0, len(all)-n)
	commit := func(m *bus.Message) string {
		mark, err := bus.ParseMark(m.Get)
		if err != nil {
			return ""
		}
		return mark.Position.CommitLSN.String()
	}
	for at > 0 && commit(&all[at-1]) == commit(&all[at]) {
		at--
	}
	return slices.Clone(all[at:])
}

func TestExampleKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	b := &kafkaBroker{cluster.ListenAddrs()}
	copies(t, "example_kafka", b, func() *reader {
		return newReader(t, "kafka-copy", "BROKERS="+strings.Join(b.brokers, ","), "TARGET=dbname=example_kafka_copy", "SOURCE=dbname=example_kafka")
	}, func(all []bus.Message) { produceAgain(t, b.brokers, all) })
}

// produceAgain writes the last transactions of each partition once more.
func produceAgain(t *testing.T, brokers []string, all []bus.Message) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	places := map[string][]bus.Message{}
	for _, m := range all {
		place := fmt.Sprint(m.Topic, m.Partition)
		places[place] = append(places[place], m)
	}
	written := 0
	for _, messages := range places {
		for _, m := range lastTransactions(messages, 20) {
			r := &kgo.Record{Topic: m.Topic, Partition: m.Partition, Key: m.Key, Value: m.Value}
			for _, h := range m.Headers {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
			}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			written++
		}
	}
	t.Logf("%d messages are there twice", written)
}

func TestExampleNATS(t *testing.T) {
	e := &external{embedded: embedded{t.TempDir(), freePort(t)}}
	e.start(t)
	defer e.stop()
	url := "nats://" + e.address
	copies(t, "example_nats", e, func() *reader {
		for range 100 { // the relay makes the stream
			if _, err := verify.JetStream(t.Context(), url, "CDC"); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return newReader(t, "nats-copy", "NATS="+url, "TARGET=dbname=example_nats_copy", "SOURCE=dbname=example_nats")
	}, func(all []bus.Message) { publishAgain(t, url, lastTransactions(all, 100)) })
}

// publishAgain writes messages once more.
func publishAgain(t *testing.T, url string, messages []bus.Message) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		to := nats.NewMsg(m.Topic)
		to.Data = m.Value
		for _, h := range m.Headers {
			if strings.HasPrefix(h.Name, "Nats-") {
				continue
			}
			to.Header[h.Name] = []string{h.Value}
		}
		if _, err := js.PublishMsg(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d messages are there twice", len(messages))
}
