package pump

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func removeStream(t *testing.T, url string) {
	t.Helper()
	if err := connect(t, url).DeleteStream(t.Context(), "CDC"); err != nil {
		t.Fatal(err)
	}
}

func removeCheckpoint(t *testing.T, url string) {
	t.Helper()
	if err := connect(t, url).DeleteKeyValue(t.Context(), "CDC_checkpoint"); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, url, subject string) {
	t.Helper()
	if _, err := connect(t, url).Publish(t.Context(), subject, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func bucket(t *testing.T, url string) jetstream.KeyValue {
	t.Helper()
	kv, err := connect(t, url).KeyValue(t.Context(), "CDC_checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func readCheckpoint(t *testing.T, url string) []byte {
	t.Helper()
	entry, err := bucket(t, url).Get(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	return entry.Value()
}

func writeCheckpoint(t *testing.T, url string, value []byte) {
	t.Helper()
	if _, err := bucket(t, url).Put(t.Context(), "s", value); err != nil {
		t.Fatal(err)
	}
}
