package cdc_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// A change that the server could not encode is set aside; the others come.
func TestLiveFailure(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v int); CREATE PUBLICATION p FOR TABLE t WHERE (10 / id > 0)")
	config := d.config(t)
	dir := t.TempDir()
	config.Options = map[string]string{"publication_names": "p"}
	config.OnFailure, config.DeadLetters = cdc.PolicyDeadLetter, cdc.DeadLetterDir(dir)
	stream := d.open(config)
	d.exec("INSERT INTO t VALUES (1, 1), (0, 1), (2, 1)")
	if got := lines(t, receive(t, stream)); len(got) != 2 || !strings.Contains(got[0], `{"id":1}`) || !strings.Contains(got[1], `{"id":2}`) {
		t.Error(got)
	}
	if letters, _ := filepath.Glob(filepath.Join(dir, "*-failure-*.pb")); len(letters) != 1 {
		t.Error(letters)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	config.OnFailure = cdc.PolicyStop // it was not acknowledged, so it comes again
	stream = d.open(config)
	_, err := stream.Next(timeout(t, 10*time.Second))
	var failure *cdc.Failure
	if !errors.As(err, &failure) || failure.SQLState != "22012" {
		t.Error(err)
	}
}

// A slot's exported snapshot sees what is before its consistent point, from any
// connection and as long as it is open, and the stream has the rest.
func TestLiveCreateSlot(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
	slot, err := cdc.CreateSlot(timeout(t, 30*time.Second), "dbname="+d.name, d.slot(), cdc.SlotOptions{ExportSnapshot: true, TwoPhase: true})
	if err != nil {
		t.Fatal(err)
	}
	d.exec("INSERT INTO t VALUES (2)")
	d.exec("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '" + slot.Snapshot + "'")
	if n := d.value("SELECT count(*) FROM t"); n != "1" {
		t.Errorf("%s rows", n)
	}
	d.exec("COMMIT")
	slot.Close()
	// the server notices in its own time that the connection has ended
	eventually(t, "the end of the snapshot", func() bool {
		_, err := d.conn.Exec(context.Background(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '"+slot.Snapshot+"'").ReadAll()
		d.exec("ROLLBACK")
		return err != nil
	})
	config := d.config(t)
	config.CreateSlot = false
	stream := d.open(config)
	if got := lines(t, receive(t, stream)); len(got) != 1 || !strings.Contains(got[0], `"key":{"id":2}`) {
		t.Error(got)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if d.confirmed() != slot.ConsistentPoint || d.value("SELECT two_phase FROM pg_replication_slots WHERE slot_name = '"+d.slot()+"'") != "t" {
		t.Error(slot.ConsistentPoint, d.confirmed())
	}
	if err := cdc.DropSlot(context.Background(), "dbname="+d.name, d.slot()); err != nil {
		t.Fatal(err)
	}
	if n := d.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + d.slot() + "'"); n != "0" {
		t.Error("the slot is still there")
	}
}

// A change of which the WAL does not say what row it met is an error, unless the
// caller takes that.
func TestLiveLost(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v int); ALTER TABLE t REPLICA IDENTITY NOTHING")
	stream := d.open(d.config(t))
	d.exec("INSERT INTO t VALUES (1, 1)")
	d.exec("UPDATE t SET v = 2")
	d.exec("DELETE FROM t")
	state := cdc.NewMemoryState()
	applier := cdc.NewApplier(state)
	ctx := context.Background()
	if err := applier.Apply(ctx, receive(t, stream)); err != nil {
		t.Fatal(err)
	}
	txn := receive(t, stream)
	if err := applier.Apply(ctx, txn); !errors.Is(err, cdc.ErrLost) {
		t.Error(err)
	}
	lost := 0
	applier.OnLost = func(_ *cdc.Event, err *cdc.LostError) error {
		if err.Relation != "public.t" {
			t.Error(err)
		}
		lost++
		return nil
	}
	for _, txn := range []*cdc.Txn{txn, receive(t, stream)} {
		if err := applier.Apply(ctx, txn); err != nil {
			t.Error(err)
		}
		if err := applier.Apply(ctx, txn); err != nil { // again: it is applied already
			t.Error(err)
		}
	}
	if lost != 2 || state.Len("public.t") != 1 {
		t.Errorf("%d changes lost, %d rows", lost, state.Len("public.t"))
	}
}

// Metadata of the transaction comes with it, that of large ones too.
func TestLiveMetadata(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v text)")
	config := d.config(t)
	config.Options = map[string]string{"streaming": "on", "batch_bytes": "1kB"}
	stream := d.open(config)
	d.exec("BEGIN; SELECT cdc.set_metadata('actor', 'ada'); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i; COMMIT")
	txn := receive(t, stream)
	if len(txn.Metadata) != 1 || txn.Metadata[0] != (cdc.MetadataEntry{Key: "actor", Value: "ada"}) || txn.Len() != 2000 {
		t.Error(txn.Metadata, txn.Len())
	}
	last := cdc.Position{}
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position().CommitLSN != txn.CommitLSN || e.Position().Compare(last) <= 0 {
			t.Fatal(e.Position(), last)
		}
		last = e.Position()
	}
	if last != txn.Position() {
		t.Error(last, txn.Position())
	}
}

// A slot that another consumer is about to leave is waited for, and what that one
// has stored meanwhile counts.
func TestLiveBusySlot(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.config(t)
	first := d.open(config)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = first.Close()
	}()
	for range 5 {
		start := time.Now()
		if err := d.open(config).Close(); err != nil {
			t.Fatal(err)
		}
		if age := time.Since(start); age > 20*time.Second {
			t.Error("opened and closed in", age)
		}
	}
}

// A heartbeat goes the whole way, by both transports.
func TestLiveHeartbeat(t *testing.T) {
	for _, fetch := range []bool{false, true} {
		t.Run(map[bool]string{false: "replication", true: "fetch"}[fetch], func(t *testing.T) {
			d := live(t)
			var config cdc.Config
			if options := map[string]string{"messages": "cdc.heartbeat"}; fetch {
				config = d.reader(t, false, options)
				d.exec("SELECT cdc.grant_read(NULL, '" + d.slot() + "', prefix => 'cdc.heartbeat')")
			} else {
				config = d.config(t)
				config.Options = options
			}
			metrics := newMeter()
			config.Metrics, config.FetchWait = metrics, 200*time.Millisecond
			stream := d.open(config)
			d.exec("SELECT pg_logical_emit_message(true, 'cdc.heartbeat', '')")
			stream.Ack(receive(t, stream))
			age, known := metrics.all()[cdc.HeartbeatAgeSeconds]
			if delays := metrics.values(cdc.ReceiveDelaySeconds); !known || age > 10 || len(delays) != 1 || delays[0] > 10 {
				t.Errorf("the age is %v, the delays are %v", age, delays)
			}
		})
	}
}
