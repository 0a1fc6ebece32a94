package cdc_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// committed adds a transaction with one message, which committed some time ago.
func committed(source *cdctest.Source, ago time.Duration, prefix string) {
	b := source.Transaction()
	b.Transaction.CommitTime = time.Now().Add(-ago).UnixMicro()
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpMessage, Message: &cdcv1.Message{Transactional: true, Prefix: prefix, Content: []byte("x")}}}
	b.EventCount = 1
	source.Add(b)
}

// Each transaction that is handed out is observed once, and again when it is acknowledged; clocks may differ.
func TestDelays(t *testing.T) {
	source, m := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics = m })
	committed(source, 3*time.Second, "p")
	committed(source, -time.Hour, "p") // by the server's clock
	outside := source.Transaction()
	outside.Transaction, outside.Outcome = nil, 0
	outside.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpMessage, LsnOffset: outside.EndLsn - 8, Message: &cdcv1.Message{Prefix: "p"}}}
	source.Add(outside)
	var txns []*cdc.Txn
	for range 3 {
		txn, _ := next(t, stream)
		txns = append(txns, txn)
	}
	if v := m.values(cdc.ReceiveDelaySeconds); len(v) != 2 || v[0] < 3 || v[0] > 30 || v[1] != 0 {
		t.Error("received: ", v)
	}
	if v := m.values(cdc.AcknowledgeDelaySeconds); len(v) != 0 {
		t.Error("acknowledged: ", v)
	}
	time.Sleep(50 * time.Millisecond)
	for range 2 { // the second time says nothing new
		for _, txn := range txns {
			stream.Ack(txn)
		}
	}
	v := m.values(cdc.AcknowledgeDelaySeconds)
	if len(v) != 3 || v[0] < 0.05 || v[0] > 30 || v[2] < 0.05 {
		t.Error("acknowledged: ", v)
	}
}

// The age of a heartbeat counts from its COMMIT, and grows though nothing comes; other messages are none.
func TestHeartbeat(t *testing.T) {
	source, m := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics = m })
	committed(source, 9*time.Second, metrics.Heartbeat+"s")
	committed(source, 9*time.Second, "")
	outside := source.Transaction()
	outside.Transaction, outside.Outcome = nil, 0
	outside.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpMessage, LsnOffset: outside.EndLsn - 8, Message: &cdcv1.Message{Prefix: metrics.Heartbeat}}}
	source.Add(outside)
	for range 3 {
		next(t, stream)
	}
	if _, ok := m.all()[cdc.HeartbeatAgeSeconds]; ok {
		t.Error("there was no heartbeat")
	}
	committed(source, 5*time.Second, metrics.Heartbeat)
	time.Sleep(50 * time.Millisecond)
	if _, ok := m.all()[cdc.HeartbeatAgeSeconds]; ok {
		t.Error("the consumer was not handed it")
	}
	next(t, stream)
	if age := m.now(cdc.HeartbeatAgeSeconds); age < 5 || age > 30 {
		t.Errorf("the age is %v", age)
	}
	first := m.now(cdc.HeartbeatAgeSeconds)
	eventually(t, "it grows", func() bool { return m.now(cdc.HeartbeatAgeSeconds) > first+0.1 })
}

// What does not come is counted, and ends the stream.
func TestGaps(t *testing.T) {
	for name, change := range map[string]func(*cdcv1.Batch){
		"a part":   func(b *cdcv1.Batch) { b.Part = 1 },
		"an event": func(b *cdcv1.Batch) { b.EventCount = 2 },
	} {
		source, m := cdctest.NewSource("s"), newMeter()
		stream := opened(t, source, func(c *cdc.Config) { c.Metrics = m })
		b := source.Transaction()
		b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpMessage, Message: &cdcv1.Message{Transactional: true, Prefix: "p"}}}
		b.EventCount = 1
		change(b)
		source.Add(b)
		if _, err := stream.Next(timeout(t, 10*time.Second)); err == nil || m.count(cdc.GapsTotal, "") != 1 {
			t.Errorf("without %s: %v, %d gaps", name, err, m.count(cdc.GapsTotal, ""))
		}
	}
	source, m := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics = m })
	source.AddBatch([]byte{0xff, 0xff}, 0x1200)
	if _, err := stream.Next(timeout(t, 10*time.Second)); err == nil || m.count(cdc.GapsTotal, "") != 0 {
		t.Errorf("damage is no gap: %v", err)
	}
}

// Whether there is a connection is known, and why there is none any more.
func TestConnected(t *testing.T) {
	source, m := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics = m })
	eventually(t, "connected", func() bool { return m.now(cdc.Connected) == 1 })
	for reason, err := range map[string]error{
		metrics.Busy:     &pgconn.PgError{Code: "55006", Message: "replication slot is active"},
		metrics.Refusing: &pgconn.PgError{Code: "57P03"},
		metrics.Lost:     context.DeadlineExceeded,
	} {
		before := m.count(cdc.ReconnectsTotal, reason)
		source.Refuse(err)
		source.Disconnect()
		eventually(t, reason, func() bool { return m.count(cdc.ReconnectsTotal, reason) >= before+2 })
		if m.now(cdc.Connected) != 0 {
			t.Error("there is no connection")
		}
		source.Refuse(nil)
		eventually(t, "connected again", func() bool { return m.now(cdc.Connected) == 1 })
	}
	if err := stream.Close(); err != nil || m.now(cdc.Connected) != 0 {
		t.Error("closed: ", err)
	}
}
