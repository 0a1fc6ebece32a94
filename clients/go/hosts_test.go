package cdc_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// Of several hosts the one is taken that is there and is what was asked for, also by
// connections in replication mode.
func TestHosts(t *testing.T) {
	primary, standby := newCluster(t), newCluster(t)
	conn := primary.connect()
	defer conn.Close(context.Background())
	execute(t, conn, "CREATE EXTENSION cdc; CREATE TABLE t (id int PRIMARY KEY)")
	execute(t, conn, "SELECT cdc.create_slot('s')")
	standby.run("pg_ctl", "-D", standby.dir+"/data", "-m", "fast", "-w", "stop")
	if err := os.WriteFile(filepath.Join(standby.dir, "data/standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	standby.start()
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
		open := func(hosts, attributes string) error {
			stream, err := cdc.Open(timeout(t, 20*time.Second), cdc.Config{Transport: transport, Slot: "s", Store: store,
				Conn: "host=" + hosts + " user=postgres dbname=postgres target_session_attrs=" + attributes})
			if err == nil {
				err = stream.Close()
			}
			return err
		}
		nowhere := t.TempDir()
		for _, attributes := range []string{"read-write", "primary"} {
			if err := open(nowhere+","+standby.dir+","+primary.dir, attributes); err != nil {
				t.Errorf("%v, %s: %v", transport, attributes, err)
			}
		}
		if err := open(primary.dir+","+standby.dir, "any"); err != nil {
			t.Errorf("%v: %v", transport, err)
		}
		if err := open(nowhere+","+standby.dir, "primary"); err == nil {
			t.Errorf("%v: a standby is taken for a primary", transport)
		}
		if err := open(standby.dir+","+primary.dir, "any"); err == nil { // it has no slot
			t.Errorf("%v: the first host is not taken", transport)
		}
	}
}
