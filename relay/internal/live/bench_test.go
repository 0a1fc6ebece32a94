package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/pump"
	"github.com/pgcdc/cdc/relay/setup"
)

// backlogs are WAL that a benchmark carries: SQL, how often it is done, and events of each.
var backlogs = []struct {
	name          string
	times, events int
	sql           string
}{
	{"bulk", 200, 1000, "INSERT INTO a SELECT {I} * 1000 + g, g, 'a text of some length' FROM generate_series(0, 999) g"},
	{"single", 20000, 1, "INSERT INTO a VALUES ({I}, 1, 'a text of some length')"},
}

// BenchmarkCarry carries a backlog from the server onto each bus. The figure that counts is
// events/cpu-s, of this process: with embedded the server is in it, too.
func BenchmarkCarry(b *testing.B) {
	if os.Getenv("PGHOST") == "" {
		b.Skip("PGHOST names no server")
	}
	for _, load := range backlogs {
		name := "relay_bench_" + load.name
		conn := database(b, name)
		sql := fmt.Sprintf("DO $$BEGIN FOR i IN 1..%d LOOP %s; COMMIT; END LOOP; END$$", load.times, strings.ReplaceAll(load.sql, "{I}", "i"))
		if _, err := conn.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
		var end string // of all but the last transaction
		if err := conn.QueryRow(b.Context(), "INSERT INTO marker VALUES (1) RETURNING pg_current_wal_insert_lsn()").Scan(&end); err != nil {
			b.Fatal(err)
		}
		w := wal{conn, name, end, load.times * load.events}
		b.Run(load.name+"/kafka", func(b *testing.B) { carry(b, &w, newKafka(b)) })
		b.Run(load.name+"/embedded", func(b *testing.B) {
			carry(b, &w, &embedded{b.TempDir(), freePort(b)})
		})
		b.Run(load.name+"/nats", func(b *testing.B) {
			e := &external{embedded: embedded{b.TempDir(), freePort(b)}}
			e.start(b)
			defer e.stop()
			carry(b, &w, e)
		})
	}
}

// wal is a backlog in a database, which the slot of its name has before it.
type wal struct {
	conn      *pgx.Conn
	name, end string
	events    int
}

func carry(b *testing.B, w *wal, to broker) {
	ctx := context.Background()
	round, spent, took := 0, time.Duration(0), time.Duration(0)
	for b.Loop() {
		round++
		slot := fmt.Sprintf("%s_%d", w.name, round)
		if _, err := w.conn.Exec(ctx, "SELECT pg_copy_logical_replication_slot($1, $2)", w.name, slot); err != nil {
			b.Fatal(err)
		}
		file := filepath.Join(b.TempDir(), "relay.toml")
		content := fmt.Sprintf("[postgres]\nconn = \"dbname=%s\"\nslot = %q\n[relay]\nprefix = \"r%d\"\n[admin]\nlisten = \"\"\n[log]\nlevel = \"warn\"\n%s",
			w.name, slot, round, benchSettings(to, round))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
		cpu, wall := processor(), time.Now()
		relayed(b, w, file, slot)
		spent, took = spent+processor()-cpu, took+time.Since(wall)
		if _, err := w.conn.Exec(ctx, "SELECT pg_drop_replication_slot($1)", slot); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(w.events*round)/spent.Seconds(), "events/cpu-s")
	b.ReportMetric(float64(w.events*round)/took.Seconds(), "events/s")
}

// benchSettings are as they would be in production.
func benchSettings(to broker, round int) string {
	switch k := to.(type) {
	case *realKafka:
		return fmt.Sprintf("[kafka]\nbrokers = [%q]\ncreate_topics = true\npartitions = 4\nreplication = 1\n", k.brokers[0])
	case *external:
		return fmt.Sprintf("[nats]\nurl = \"nats://%s\"\ncreate = true\nhold_back = \"0s\"\nstream = \"S%d\"\n", k.address, round)
	case *embedded:
		return fmt.Sprintf("[nats]\nembedded = %q\nlisten = %q\nhold_back = \"0s\"\nstream = \"S%d\"\n", k.dir, k.address, round)
	}
	return to.settings()
}

// relayed carries until the slot has come to the end.
func relayed(b *testing.B, w *wal, file, slot string) {
	c, err := config.Load(file, nil)
	if err != nil {
		b.Fatal(err)
	}
	logger := setup.Logger(c.Log, os.Stderr)
	driver, err := setup.Driver(c, logger)
	if err != nil {
		b.Fatal(err)
	}
	defer driver.Close()
	p, err := setup.Pump(c, driver, logger)
	if err != nil {
		b.Fatal(err)
	}
	p.Measure(pump.NewMetrics(slot))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for done := false; !done; time.Sleep(100 * time.Millisecond) {
		err := w.conn.QueryRow(ctx, "SELECT confirmed_flush_lsn > $2::pg_lsn FROM pg_replication_slots WHERE slot_name = $1", slot, w.end).Scan(&done)
		if err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// processor is the time of it that this process has taken.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
