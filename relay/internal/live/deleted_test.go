package live

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// logged waits until the relay has said something.
func (r *relay) logged(words string) {
	r.t.Helper()
	for range 600 {
		content, err := os.ReadFile(r.log.Name())
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(string(content), words) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Fatalf("the relay does not say %q", words)
}

// A topic is deleted while the relay runs on a real broker, in the midst of changes. It tells, waits until
// somebody has made the topic, and goes on.
func TestTopicIsDeletedOnKafka(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	k := newKafka(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	create := func(name string) {
		t.Helper()
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
			t.Fatal(err)
		}
	}
	create("cdc.checkpoints")
	create("cdc.public.a")
	create("cdc.public.marker")
	conn := database(t, "relay_deleted")
	r := newRelay(t, "relay_deleted", k)
	r.env = []string{"CDC_RELAY_KAFKA_CREATE_TOPICS=false"}
	r.start()
	insert(t, conn, "INSERT INTO a SELECT g FROM generate_series(1, 100) g")
	waitFor(t.Context(), t, k, "public.a")
	stop := make(chan struct{})
	changing := make(chan int)
	go func() { changing <- insertRows(t, conn, stop) }()
	time.Sleep(300 * time.Millisecond)
	if _, err := admin.DeleteTopic(t.Context(), "cdc.public.a"); err != nil {
		t.Fatal(err)
	}
	r.logged("there is no topic cdc.public.a: make it")
	close(stop)
	rows := <-changing
	create("cdc.public.a")
	insert(t, conn, "INSERT INTO a VALUES (1000000)")
	insert(t, conn, "INSERT INTO marker VALUES (1)")
	waitFor(t.Context(), t, k, "public.marker")
	r.stop()
	all, err := k.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Once(all, false); err != nil {
		t.Error(err)
	}
	// What was committed to the old topic is gone with it; nothing after it is.
	first, count := 0, 0
	for i := range all {
		if all[i].Topic != "cdc.public.a" {
			continue
		}
		if count++; count == 1 {
			first = idOf(t, &all[i])
		}
	}
	if first <= 100 || count != 10000+rows-first+2 {
		t.Errorf("%d messages from id %d on, and ids go to %d", count, first, 10000+rows)
	}
}

func insert(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Error(err)
	}
}

// insertRows inserts one after the other, from 10001 on, and gives how many.
func insertRows(t *testing.T, conn *pgx.Conn, stop chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		case <-time.After(20 * time.Millisecond):
			n++
			if _, err := conn.Exec(context.Background(), "INSERT INTO a VALUES ($1)", 10000+n); err != nil {
				t.Error(err)
				return n
			}
		}
	}
}

// idOf gives the id of the row that a message inserts.
func idOf(t *testing.T, m *bus.Message) int {
	t.Helper()
	b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	line, err := b.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	var event struct{ Key struct{ ID int } }
	if err := json.NewDecoder(bytes.NewReader(line)).Decode(&event); err != nil {
		t.Fatal(err)
	}
	return event.Key.ID
}
