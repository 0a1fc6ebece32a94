package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/relay/bus"
)

// What is allocated is for many records at once.
func TestRecordsAllocateSeldom(t *testing.T) {
	r := newRecords()
	m := bus.Message{Topic: "t", Key: []byte("k"), Value: []byte("v")}
	for range 11 {
		m.Headers = append(m.Headers, bus.Header{Name: "name", Value: "value"})
	}
	const messages = 1000
	n := testing.AllocsPerRun(10, func() {
		for range messages {
			r.of(&m, time.Time{})
		}
	})
	if n/messages > 0.05 {
		t.Errorf("%v allocations for %d records", n, messages)
	}
}

// Records have headers of their own.
func TestRecordsKeepHeaders(t *testing.T) {
	r := newRecords()
	for i := range 300 {
		m := bus.Message{Topic: "t", Partition: int32(i), Key: []byte{byte(i)}, Value: []byte("v")}
		for range i % 17 {
			m.Headers = append(m.Headers, bus.Header{Name: "name", Value: strings.Repeat("x", i%5)})
		}
		got := r.of(&m, time.Time{})
		if len(got.Headers) != i%17 || cap(got.Headers) != i%17 || got.Partition != m.Partition || string(got.Key) != string(m.Key) {
			t.Fatalf("message %d is %+v", i, got)
		}
		for _, h := range got.Headers {
			if h.Key != "name" || string(h.Value) != strings.Repeat("x", i%5) {
				t.Fatalf("message %d has the header %q: %q", i, h.Key, h.Value)
			}
		}
	}
}

// Records that serve again have nothing of those before them, but the time that they are given.
func TestRecordsServeAgain(t *testing.T) {
	r := newRecords()
	at := time.Now()
	for range 3 {
		for range 5000 {
			got := r.of(&bus.Message{Topic: "t"}, at)
			if got.Offset != 0 || got.Context != nil || got.Key != nil || len(got.Headers) > 0 || got.Timestamp != at {
				t.Fatalf("a record is %+v", got)
			}
			got.Offset, got.Context, got.Key = 1, t.Context(), []byte("k")
		}
		r.reuse()
	}
}
