package cdc_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

var _ = addScenarios(map[string]func(*testing.T){
	"look-stream": func(t *testing.T) { look(t, cdc.TransportReplication) },
	"look-fetch":  func(t *testing.T) { look(t, cdc.TransportFetch) },
	"look-filter": lookFilter,
	"look-tail":   lookTail,
})

// makeSlot makes the database's slot without a client, and gives its position.
func (d *database) makeSlot() cdc.LSN {
	d.t.Helper()
	d.query("SELECT cdc.create_slot('" + d.slot() + "')")
	return d.confirmed()
}

// busyElsewhere writes what a stream of tables = public.t does not show.
func (d *database) busyElsewhere() {
	d.t.Helper()
	d.exec("INSERT INTO other SELECT coalesce(max(id), 0) + 1 FROM other; SELECT pg_logical_emit_message(false, 'x', repeat('x', 10000)); CHECKPOINT")
}

func look(t *testing.T, transport cdc.Transport) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
	before := d.makeSlot()
	for _, options := range []map[string]string{nil, {"tables": "public.t"}} {
		config := d.config(t)
		config.CreateSlot, config.Store, config.ReadOnly, config.Transport = false, nil, true, transport
		config.FeedbackInterval, config.Options = 100*time.Millisecond, options
		stream := d.open(config)
		for i := range 10 {
			d.busyElsewhere()
			if i == 3 {
				d.exec("INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t")
			}
			time.Sleep(150 * time.Millisecond)
		}
		stream.Ack(receive(t, stream))
		if err := stream.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the slot is free", func() bool { return !d.active() })
		if now := d.confirmed(); now != before {
			t.Fatalf("options %v: the slot moved from %v to %v", options, before, now)
		}
	}
}

func lookFilter(t *testing.T) {
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		t.Run(transport.String(), func(t *testing.T) {
			d := live(t)
			d.exec("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
			before := d.makeSlot()
			config := d.config(t)
			config.CreateSlot, config.Transport, config.FetchWait = false, transport, 200*time.Millisecond
			config.FeedbackInterval, config.Options = 100*time.Millisecond, map[string]string{"tables": "public.t"}
			stream := d.open(config)
			for range 10 {
				d.busyElsewhere()
				time.Sleep(100 * time.Millisecond)
			}
			if now := d.confirmed(); now != before {
				t.Fatalf("the slot moved from %v to %v", before, now)
			}
			d.exec("INSERT INTO t VALUES (1)")
			txn := receive(t, stream)
			stream.Ack(txn)
			eventually(t, "it moves", func() bool { return d.confirmed() >= txn.EndLSN })
			d.busyElsewhere()
			eventually(t, "it follows", func() bool { return d.confirmed() > txn.EndLSN+1000 })
		})
	}
}

func lookTail(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
	before := d.makeSlot()
	for _, more := range [][]string{nil, {"--fetch"}, {"--option", "tables=public.t"}, {"--fetch", "--option", "tables=public.t"}} {
		args := append([]string{"--slot", d.slot(), "--conninfo", "dbname=" + d.name + " options='-c wal_sender_timeout=1s'"}, more...)
		command := tail(t, args...)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			d.busyElsewhere()
			time.Sleep(150 * time.Millisecond)
		}
		end(t, command, syscall.SIGTERM)
		eventually(t, "the slot is free", func() bool { return !d.active() })
		if now := d.confirmed(); now != before {
			t.Fatalf("%v: the slot moved from %v to %v", more, before, now)
		}
	}
	written := d.value("SELECT count(*) FROM other")
	if n := d.value(fmt.Sprintf("SELECT count(*) FROM cdc.peek('%s') WHERE relation = 'public.other'", d.slot())); n != written {
		t.Fatalf("%s of %s changes are left", n, written)
	}
}
