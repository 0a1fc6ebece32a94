package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// drill is a primary, the standby that joins it, and what comes after them.
type drill struct {
	t     *testing.T
	nodes []*cluster // the last is the standby, once it has joined; the one before the primary
}

func (d *drill) primary() *cluster { return d.nodes[len(d.nodes)-2] }
func (d *drill) standby() *cluster { return d.nodes[len(d.nodes)-1] }

// join makes a standby of the last node, as docs/operations.md says: slots for failover are synchronized to it,
// and nothing is sent that it does not have.
func (d *drill) join() {
	d.t.Helper()
	primary, standby := d.nodes[len(d.nodes)-1], newDirectory(d.t)
	slot := fmt.Sprintf("standby_%d", len(d.nodes))
	conn := primary.connect()
	execute(d.t, conn, "SELECT pg_create_physical_replication_slot('"+slot+"')")
	standby.run("pg_basebackup", "-d", primary.conn, "-D", standby.dir+"/data", "-c", "fast", "--no-sync", "-X", "stream")
	standby.set("hot_standby_feedback = on\nsync_replication_slots = on\nsynchronized_standby_slots = ''\n" +
		"primary_slot_name = '" + slot + "'\nprimary_conninfo = '" + primary.conn + "'")
	standby.run("touch", standby.dir+"/data/standby.signal")
	standby.start()
	execute(d.t, conn, "ALTER SYSTEM SET synchronized_standby_slots = '"+slot+"'", "SELECT pg_reload_conf()")
	d.nodes = append(d.nodes, standby)
}

// ready waits until the slot would outlive the primary. Something changes meanwhile: a slot that has nothing to
// send does not move.
func (d *drill) ready(slot string) {
	d.t.Helper()
	primary, standby := d.primary().connect(), d.standby().connect()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		execute(d.t, primary, "SELECT pg_log_standby_snapshot()", "SELECT pg_logical_emit_message(true, 'ready', '')")
		execute(d.t, standby, "SELECT pg_reload_conf()") // wakes who synchronizes
		var ready bool
		err := standby.QueryRow(context.Background(),
			"SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND synced AND NOT temporary)", slot).Scan(&ready)
		if err != nil {
			d.t.Fatal(err)
		}
		if ready {
			return
		}
		if time.Now().After(end) {
			d.t.Fatal("the slot is not synchronized")
		}
	}
}

// fail ends the primary for good, and promotes the standby.
func (d *drill) fail() {
	d.t.Helper()
	d.primary().run("pg_ctl", "-D", d.primary().dir+"/data", "-m", "immediate", "-w", "stop")
	d.standby().run("pg_ctl", "-D", d.standby().dir+"/data", "-w", "promote")
}

// both is how whichever of the two takes changes is reached.
func (d *drill) both() string {
	return "CDC_RELAY_POSTGRES_CONN=host=" + d.primary().dir + "," + d.standby().dir + " user=postgres dbname=postgres target_session_attrs=read-write"
}

// The primary is killed and its standby promoted, again and again, while tables change and a relay that knows both
// hosts goes on; every second time it is killed, too. Each change of the last primary is in the log once, and
// none that the standbys did not get.
func TestFailover(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	if !serverHas("synchronized_standby_slots") {
		t.Skip("slots outlive a failover from PostgreSQL 17 on")
	}
	for _, transport := range []string{"replication", "fetch"} {
		t.Run(transport, func(t *testing.T) { failover(t, transport) })
	}
}

func failover(t *testing.T, transport string) {
	log, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	b := &kafkaBroker{log.ListenAddrs()}
	d := &drill{t, []*cluster{newCluster(t)}}
	execute(t, d.nodes[0].connect(), tables, "SELECT cdc.create_slot('failing', failover => true)")
	r := newRelay(t, "failing", b)
	times := 2
	if *rounds >= 100 {
		times = 6
	}
	var changed atomic.Int64
	for round := range times {
		d.join()
		r.env = []string{"CDC_RELAY_POSTGRES_TRANSPORT=" + transport, d.both()}
		r.start()
		d.ready("failing")
		stop := d.write(d.primary(), &changed)
		time.Sleep(500*time.Millisecond + rand.N(time.Second))
		if round%2 == 1 {
			r.kill()
			r.start()
		}
		time.Sleep(rand.N(time.Second))
		d.fail()
		stop()
		d.compare(r, b)
	}
	t.Logf("%d transactions, %d failovers", changed.Load(), times)
}

// write changes tables of a server until it is stopped.
func (d *drill) write(c *cluster, changed *atomic.Int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() { work(ctx, d.t, c.conn, rand.Uint64(), changed) })
	}
	return func() { cancel(); workers.Wait() }
}

// compare waits until the log has what the promoted server has, and stops the relay.
func (d *drill) compare(r *relay, b broker) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Minute)
	defer cancel()
	conn := d.standby().connect()
	table := fmt.Sprintf("end_%d", len(d.nodes))
	execute(d.t, conn, "CREATE TABLE "+table+" (id int PRIMARY KEY)", "INSERT INTO "+table+" VALUES (1)")
	waitFor(ctx, d.t, b, "public."+table)
	all, err := b.read(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	r.stop()
	compare(d.t, all, b.single(), source(d.t, conn))
}
