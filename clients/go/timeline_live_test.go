package cdc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// promote makes the server go on on a timeline of its own.
func (c *cluster) promote() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.dir+"/data", "-m", "fast", "-w", "stop")
	if err := os.WriteFile(filepath.Join(c.dir, "data/standby.signal"), nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.start()
	c.run("pg_ctl", "-D", c.dir+"/data", "-w", "promote")
}

// After a failover a checkpoint from before is gone on from, where the timeline's
// history can be read; where it cannot, that is said.
func TestPromotion(t *testing.T) {
	for _, c := range []struct {
		name, user string
		transport  cdc.Transport
		refused    bool
	}{
		{"replication", "postgres", cdc.TransportReplication, false},
		{"fetch", "postgres", cdc.TransportFetch, false},
		{"fetch by a reader", "reader", cdc.TransportFetch, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newCluster(t)
			conn := server.connect()
			execute(t, conn, `CREATE EXTENSION cdc; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA cdc TO reader;
				GRANT EXECUTE ON FUNCTION cdc.fetch TO reader; CREATE TABLE t (id int PRIMARY KEY)`)
			execute(t, conn, "SELECT cdc.create_slot('s', reader => '"+c.user+"')")
			store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
			open := func() (*cdc.Stream, error) {
				return cdc.Open(timeout(t, 30*time.Second), cdc.Config{Conn: strings.Replace(server.conn, "user=postgres", "user="+c.user, 1),
					Slot: "s", Transport: c.transport, Store: store, FetchWait: 100 * time.Millisecond})
			}
			stream, err := open()
			if err != nil {
				t.Fatal(err)
			}
			execute(t, conn, "SELECT cdc.grant_read('t', 'reader')")
			execute(t, conn, "INSERT INTO t VALUES (1)")
			first := receive(t, stream)
			stream.Ack(first)
			execute(t, conn, "INSERT INTO t VALUES (2)")
			if err := stream.Close(); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close(context.Background())
			server.promote()
			stream, err = open()
			if c.refused {
				var refused *cdc.RefusedError
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), "00000002.history") {
					t.Fatal(err)
				}
				// What the message says to do.
				checkpoint, err := store.Load(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				checkpoint.Timeline = 2
				if err := store.Save(context.Background(), checkpoint); err != nil {
					t.Fatal(err)
				}
				stream, err = open()
				if err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			if got := lines(t, receive(t, stream)); len(got) != 1 || !strings.Contains(got[0], `"key":{"id":2}`) {
				t.Error(got)
			}
			if now, err := store.Load(context.Background()); err != nil || now.Timeline != 2 {
				t.Error(now, err)
			}
		})
	}
}
