package cdc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
)

// failovers is CDC_FAILOVERS, by default 2.
func failovers() int {
	if n, err := strconv.Atoi(os.Getenv("CDC_FAILOVERS")); err == nil {
		return n
	}
	return 2
}

// countChanges is how many changes of the source a server has, whatever was lost of them.
const countChanges = `CREATE TABLE changed (n bigserial);
	CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO changed DEFAULT VALUES; RETURN NULL; END';
	CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON source FOR EACH ROW EXECUTE FUNCTION count_change()`

// drill is a primary, the standby that joins it, and what comes after them.
type drill struct {
	t     *testing.T
	nodes []*cluster // the last is the standby, once it has joined; the one before the primary
}

func (d *drill) primary() *cluster { return d.nodes[len(d.nodes)-2] }
func (d *drill) standby() *cluster { return d.nodes[len(d.nodes)-1] }

// join makes a standby of the last node, as docs/operations.md says: slots for
// failover are synchronized to it, and nothing is sent that it does not have.
func (d *drill) join() {
	d.t.Helper()
	primary, standby := d.nodes[len(d.nodes)-1], newDirectory(d.t)
	slot := fmt.Sprintf("standby_%d", len(d.nodes))
	conn := primary.connect()
	defer conn.Close(context.Background())
	execute(d.t, conn, "SELECT pg_create_physical_replication_slot('"+slot+"')")
	standby.run("pg_basebackup", "-d", primary.conn, "-D", standby.dir+"/data", "-c", "fast", "--no-sync", "-X", "stream")
	standby.set("hot_standby_feedback = on\nsync_replication_slots = on\nsynchronized_standby_slots = ''\n" +
		"primary_slot_name = '" + slot + "'\nprimary_conninfo = '" + primary.conn + "'")
	standby.run("touch", standby.dir+"/data/standby.signal")
	standby.start()
	execute(d.t, conn, "ALTER SYSTEM SET synchronized_standby_slots = '"+slot+"'")
	execute(d.t, conn, "SELECT pg_reload_conf()")
	d.nodes = append(d.nodes, standby)
}

// ready waits until the slot would outlive the primary: what the primary keeps for it
// must get beyond where the standby began. Both would take their time by themselves.
func (d *drill) ready() {
	d.t.Helper()
	primary, conn := d.primary().connect(), d.standby().connect()
	defer primary.Close(context.Background())
	defer conn.Close(context.Background())
	execute(d.t, primary, fmt.Sprintf(changeSource, 1)) // before it has something, a consumer moves nothing
	within(d.t, time.Minute, "the slot is synchronized", func() bool {
		query(d.t, primary, "SELECT pg_log_standby_snapshot()")
		query(d.t, conn, "SELECT pg_reload_conf()") // wakes who synchronizes
		return query(d.t, conn, "SELECT count(*) FROM cdc.slots WHERE slot_name = 'crash' AND synced AND NOT temporary")[0][0] == "1"
	})
}

// fail kills the primary for good, and promotes the standby.
func (d *drill) fail() {
	d.t.Helper()
	d.primary().run("pg_ctl", "-D", d.primary().dir+"/data", "-m", "immediate", "-w", "stop")
	standby := d.standby()
	standby.run("pg_ctl", "-D", standby.dir+"/data", "-w", "promote")
}

// write changes the source until the server goes away.
func (d *drill) write(c *cluster) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := pgconn.Connect(ctx, c.conn)
		for err == nil {
			_, err = conn.Exec(ctx, fmt.Sprintf(changeSource, 1)).ReadAll()
		}
	}()
	return func() { cancel(); <-done }
}

// within is eventually, with a time of its own.
func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// The primary is killed and its standby promoted, again and again, while the source
// changes and one consumer, which knows both hosts, goes on; every second time it is
// killed, too. The copy, elsewhere, is that of the last primary, and every change that
// this has took effect once: what the standbys did not get was not handed out.
func TestFailover(t *testing.T) {
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		t.Run(transport.String(), func(t *testing.T) { failover(t, transport) })
	}
}

func failover(t *testing.T, transport cdc.Transport) {
	if out, _ := exec.Command("postgres", "--describe-config").Output(); !strings.Contains(string(out), "\nsynchronized_standby_slots") {
		t.Skip("slots outlive a failover from PostgreSQL 17 on")
	}
	target := newCluster(t)
	copied := target.connect()
	defer copied.Close(context.Background())
	execute(t, copied, makeCopy)
	d := &drill{t, []*cluster{newCluster(t)}}
	conn := d.nodes[0].connect()
	execute(t, conn, "CREATE EXTENSION cdc; "+makeSource+"; "+countChanges)
	execute(t, conn, `SELECT cdc.create_slot('crash', failover => true, options => '{tables,public.source}')`)
	_ = conn.Close(context.Background())
	t.Setenv("CDC_TEST_TRANSPORT", transport.String())
	t.Setenv("CDC_TEST_TARGET", target.conn)
	for round := range failovers() {
		d.join()
		kill := d.consume()
		d.ready()
		stop := d.write(d.primary())
		time.Sleep(rand.N(500 * time.Millisecond))
		if round%2 == 1 {
			kill()
			kill = d.consume()
		}
		time.Sleep(rand.N(500 * time.Millisecond))
		d.fail()
		stop()
		d.compare(copied)
		kill()
	}
}

// consume keeps a consumer of both hosts alive until it is killed: one whose server goes
// away while it opens its stream ends.
func (d *drill) consume() (kill func()) {
	both := &cluster{t: d.t, conn: "host=" + d.primary().dir + "," + d.standby().dir +
		" user=postgres dbname=postgres target_session_attrs=read-write"}
	consumer, killed, done := both.consumer(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			ended := make(chan error, 1)
			go func() { ended <- consumer.Wait() }()
			select {
			case <-killed:
				_ = consumer.Process.Kill()
				<-ended
				return
			case <-ended:
				time.Sleep(100 * time.Millisecond)
				consumer = both.consumer()
			}
		}
	}()
	kill = sync.OnceFunc(func() { close(killed); <-done })
	d.t.Cleanup(kill)
	return kill
}

// compare waits until the copy is the promoted server's table, and as many changes took
// effect as that server has made.
func (d *drill) compare(copied *pgconn.PgConn) {
	d.t.Helper()
	conn := d.standby().connect()
	defer conn.Close(context.Background())
	execute(d.t, conn, fmt.Sprintf(changeSource, 5))
	state := func(conn *pgconn.PgConn, table, changes string) []string {
		return query(d.t, conn, "SELECT (SELECT count(*) FROM "+changes+"), count(*), coalesce(md5(string_agg(s::text, ',' ORDER BY id)), '') FROM "+table+" s")[0]
	}
	want := state(conn, "source", "changed")
	within(d.t, 2*time.Minute, "the copy has all", func() bool { return state(copied, "copy", "effect")[2] == want[2] })
	if got := state(copied, "copy", "effect"); got[0] != want[0] {
		d.t.Errorf("%s effects of %s changes", got[0], want[0])
	}
	d.t.Logf("%s changes, %s rows", want[0], want[1])
}
