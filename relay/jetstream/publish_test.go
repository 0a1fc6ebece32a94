package jetstream

import (
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
)

// opened is a claimed bus over a server in this process, and what it says when it fails.
func opened(t *testing.T, inFlight int) (*Bus, chan error, chan *cdc.Txn) {
	t.Helper()
	d, err := New(config.NATS{Embedded: t.TempDir(), Listen: "127.0.0.1:0", Stream: "CDC", Partitions: 1, Replicas: 1, InFlight: inFlight}, "p", "s",
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	failed, stored := make(chan error, 1), make(chan *cdc.Txn, 1000)
	b, err := d.Open(t.Context(), bus.Events{Stored: func(txn *cdc.Txn) { stored <- txn }, Failed: func(err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if _, err := b.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.(*Bus), failed, stored
}

// numbered are messages of which none ends a transaction.
func numbered(n int) (list []bus.Message) {
	for i := range n {
		list = append(list, bus.Message{Topic: "p.public.t", Value: make([]byte, 1000), Headers: []bus.Header{{Name: "n", Value: strconv.Itoa(i)}}})
	}
	return list
}

// However little may be on its way, what is sent goes on.
func TestSmallWindow(t *testing.T) {
	b, _, _ := opened(t, 1)
	if err := b.Send(t.Context(), numbered(300)); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Where another writer comes between, the session ends.
func TestAnotherWriter(t *testing.T) {
	b, failed, stored := opened(t, 16<<20)
	if err := b.Send(t.Context(), numbered(3)); err != nil {
		t.Fatal(err)
	}
	if err := b.conn.PublishMsg(&nats.Msg{Subject: "p.public.t", Data: []byte("foreign")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(t.Context(), numbered(5)); err != nil {
		t.Fatal(err)
	}
	if err := b.End(t.Context(), new(cdc.Txn)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		var fenced *bus.FencedError
		if !errors.As(err, &fenced) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing has failed")
	}
	if len(stored) > 0 {
		t.Error("the transaction is stored")
	}
	behind(t, b, 4)
}

// What was on its way when another session began to write fits by its number, where that has as many
// messages, and is refused all the same.
func TestLateMessages(t *testing.T) {
	late, failed, _ := opened(t, 16<<20)
	other, err := newPublisher(late.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.send("p.public.t", nil, []byte("of another session"), 0); err != nil {
		t.Fatal(err)
	}
	if err := late.Send(t.Context(), numbered(5)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		var fenced *bus.FencedError
		if !errors.As(err, &fenced) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing has failed")
	}
	behind(t, late, 1)
}

// behind looks whether the stream has as many messages, once the server has dealt with all.
func behind(t *testing.T, b *Bus, messages uint64) {
	t.Helper()
	if err := b.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	info, err := b.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.LastSeq != messages {
		t.Errorf("the stream has %d messages, not %d", info.State.LastSeq, messages)
	}
}

func TestAnswers(t *testing.T) {
	for text, want := range map[string]uint64{
		`{"stream":"CDC", "seq":17}`:                           17,
		`{"stream":"CDC","seq":123456789012,"duplicate":true}`: 123456789012,
		`{"error":{"code":400},"stream":"CDC","seq":0}`:        0,
		`{"stream":"CDC","seq":}`:                              0,
		`{"stream":"CDC"}`:                                     0,
		`{"stream":"CDC", "seq":5,"error":{"code":503}}`:       0,
		``: 0,
	} {
		if got, ok := stored([]byte(text)); got*map[bool]uint64{true: 1}[ok] != want {
			t.Errorf("%s is %d, %v", text, got, ok)
		}
	}
}
