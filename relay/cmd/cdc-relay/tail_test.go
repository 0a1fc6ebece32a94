package main

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/lines"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/plan"
	"github.com/pgcdc/cdc/relay/setup"
)

// carried has a relay carry what a source has, with these settings, until PostgreSQL has heard of all.
func carried(t *testing.T, environ []string, source *cdctest.Source) {
	t.Helper()
	c, err := config.Load("", environ)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	driver, err := reading(c, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	p, err := setup.Pump(c, driver, logger)
	if err != nil {
		t.Fatal(err)
	}
	p.Client.Connector, p.Client.Conn, p.Client.FeedbackInterval = source, "", 50*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	end := source.Transaction().Transaction.FirstLsn
	for range 800 {
		if status, _ := source.Status(); uint64(status.Flushed)+0x100 > end {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func changes(source *cdctest.Source) {
	source.Insert("public", "t", "a", "b")
	source.Insert("public", "other", "c")
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	key := func(text string) []byte { return append([]byte{1<<3 | 2, byte(len(text))}, text...) }
	b.Events = []*cdcv1.ChangeEvent{
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), Key: key("a"), NewKey: key("z")},
		{Op: cdc.OpTruncate, Schema: uint64(fingerprint), LsnOffset: 1},
	}
	b.EventCount = 2
	source.Add(b)
}

// ops gives what is printed, without what differs from run to run: order too, which is kept within a partition alone.
func ops(out string) string {
	var list []string
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 2)
		list = append(list, fields[1])
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func TestTail(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	kafka := []string{"CDC_RELAY_KAFKA_BROKERS=" + strings.Join(cluster.ListenAddrs(), ","), "CDC_RELAY_KAFKA_CREATE_TOPICS=true", "CDC_RELAY_KAFKA_PARTITIONS=3",
		"CDC_RELAY_KAFKA_REPLICATION=1", "CDC_RELAY_POSTGRES_SLOT=s", "CDC_RELAY_KAFKA_TOMBSTONES=true"}
	nats := []string{"CDC_RELAY_NATS_EMBEDDED=" + t.TempDir(), "CDC_RELAY_NATS_LISTEN=127.0.0.1:0", "CDC_RELAY_POSTGRES_SLOT=s", "CDC_RELAY_NATS_HOLD_BACK=0s"}
	for name, environ := range map[string][]string{
		"kafka": append(kafka, "CDC_RELAY_RELAY_PREFIX=a"), "json": append(kafka, "CDC_RELAY_RELAY_PREFIX=b", "CDC_RELAY_RELAY_VALUE=json"), "nats": nats,
	} {
		t.Run(name, func(t *testing.T) { tails(t, slices.Clone(environ)) })
	}
}

func tails(t *testing.T, environ []string) {
	source := cdctest.NewSource("s")
	changes(source)
	carried(t, environ, source)
	all := `INSERT public.other {"key":{"id":"c"},"new":{"value":"c"}}
INSERT public.t {"key":{"id":"a"},"new":{"value":"a"}}
INSERT public.t {"key":{"id":"b"},"new":{"value":"b"}}
TRUNCATE public.t
UPDATE public.t {"key":{"id":"a"},"new_key":{"id":"z"}}`
	code, out, wrong := try(t, []string{"tail", "--beginning", "--end"}, environ...)
	if got := ops(out); code != 0 || got != all {
		t.Errorf("%d %s, it prints\n%s\nnot\n%s", code, wrong, got, all)
	}
	code, out, wrong = try(t, []string{"tail", "--beginning", "--end", "--table", "public.other", "--json"}, environ...)
	if code != 0 || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, `{"position":"`) || !strings.Contains(out, `"op":"INSERT","relation":"public.other"`) {
		t.Errorf("%d %s, of one table\n%s", code, wrong, out)
	}
	code, out, _ = try(t, []string{"tail", "--beginning", "-n", "2"}, environ...)
	if code != 0 || strings.Count(out, "\n") != 2 {
		t.Errorf("%d, two events\n%s", code, out)
	}
	if code, out, _ = try(t, []string{"tail", "--end"}, environ...); code != 0 || out != "" {
		t.Errorf("%d, from now to now\n%s", code, out)
	}
}

// From now on: what comes, also in a topic that is new.
func TestTailWaits(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	environ := []string{"CDC_RELAY_KAFKA_BROKERS=" + strings.Join(cluster.ListenAddrs(), ","), "CDC_RELAY_KAFKA_CREATE_TOPICS=true", "CDC_RELAY_KAFKA_REPLICATION=1",
		"CDC_RELAY_POSTGRES_SLOT=s"}
	source := cdctest.NewSource("s")
	source.Insert("public", "t", "before")
	carried(t, environ, source)
	time.Sleep(10 * time.Millisecond) // the brokers' time of a message has milliseconds
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan int, 1)
	var out bytes.Buffer
	go func() { done <- command(ctx, []string{"tail", "-n", "2"}, environ, &out, t.Output()) }()
	time.Sleep(500 * time.Millisecond)
	source.Insert("public", "t", "after")
	source.Insert("public", "new", "after")
	carried(t, environ, source)
	code := <-done
	row := `{"key":{"id":"after"},"new":{"value":"after"}}`
	if got := ops(out.String()); code != 0 || got != "INSERT public.new "+row+"\nINSERT public.t "+row {
		t.Errorf("%d, it prints\n%s", code, got)
	}
}

// A row whose type only a registry knows, and one that is gone, are shown by their headers.
func TestTailOfRows(t *testing.T) {
	var out bytes.Buffer
	buffered := bufio.NewWriter(&out)
	p := lines.New(buffered, lines.Options{JSON: true})
	for _, value := range [][]byte{{0, 0, 0, 0, 1, 0, 8, 2}, nil} {
		m := bus.Message{Topic: "p.public.t", Value: value, Headers: []bus.Header{{Name: bus.Position, Value: "0/9/0/8/0"}, {Name: bus.Op, Value: "UPDATE"},
			{Name: bus.Relation, Value: "public.t"}, {Name: bus.Missing, Value: "big"}, {Name: bus.ContentType, Value: plan.RowContent}}}
		if err := show(p, &m); err != nil {
			t.Fatal(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat(`{"position":"0/9/0/8/0","op":"UPDATE","relation":"public.t","missing":"big"}`+"\n", 2); out.String() != want {
		t.Errorf("it prints\n%s", out.String())
	}
}
