package cdc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
)

// database is one of a test's own, with the extension and a slot.
type database struct {
	t    testing.TB
	name string
	conn *pgconn.PgConn
}

// live makes a database on the server that libpq's environment names.
func live(t testing.TB) *database {
	t.Helper()
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	name := strings.ToLower(fmt.Sprintf("go_%d_%s", os.Getpid(), strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' || r == '-' {
			return '_'
		}
		return r
	}, t.Name())))
	if len(name) > 60 {
		name = name[:60]
	}
	ctx := context.Background()
	admin, err := pgconn.Connect(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, admin, `CREATE DATABASE "`+name+`" TEMPLATE template0 ENCODING 'UTF8'`)
	d := &database{t: t, name: name, conn: connect(t, name)}
	t.Cleanup(func() {
		_ = d.conn.Close(ctx)
		own := connect(t, name)
		for _, row := range query(t, own, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()") {
			execute(t, own, "ROLLBACK PREPARED '"+row[0]+"'")
		}
		_ = own.Close(ctx)
		query(t, admin, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND database = '`+name+`'`)
		eventually(t, "slots are free", func() bool {
			return query(t, admin, `SELECT count(*) FROM pg_replication_slots WHERE active AND database = '`+name+`'`)[0][0] == "0"
		})
		query(t, admin, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '`+name+`'`)
		execute(t, admin, `DROP DATABASE "`+name+`" WITH (FORCE)`)
		_ = admin.Close(ctx)
	})
	d.exec("CREATE EXTENSION cdc")
	return d
}

func connect(t testing.TB, name string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), "dbname="+name)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func execute(t testing.TB, conn *pgconn.PgConn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
}

func query(t testing.TB, conn *pgconn.PgConn, sql string) (rows [][]string) {
	t.Helper()
	results, err := conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
	for _, r := range results[len(results)-1].Rows {
		var row []string
		for _, v := range r {
			row = append(row, string(v))
		}
		rows = append(rows, row)
	}
	return rows
}

func (d *database) exec(sql string)             { d.t.Helper(); execute(d.t, d.conn, sql) }
func (d *database) query(sql string) [][]string { d.t.Helper(); return query(d.t, d.conn, sql) }
func (d *database) value(sql string) string     { d.t.Helper(); return d.query(sql)[0][0] }
func (d *database) slot() string                { return d.name[max(0, len(d.name)-60):] }
func (d *database) config(t testing.TB) cdc.Config {
	return cdc.Config{Conn: "dbname=" + d.name, Slot: d.slot(), CreateSlot: true,
		Store: cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))}
}

func (d *database) open(config cdc.Config) *cdc.Stream {
	d.t.Helper()
	stream, err := cdc.Open(timeout(d.t, 30*time.Second), config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = stream.Close() })
	return stream
}

func (d *database) confirmed() cdc.LSN {
	lsn, err := cdc.ParseLSN(d.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + d.slot() + "'"))
	if err != nil {
		d.t.Fatal(err)
	}
	return lsn
}

// lines gives a transaction in the JSON form, without its outcome.
func lines(t testing.TB, txn *cdc.Txn) (out []string) {
	t.Helper()
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		var w cdc.JSONWriter
		line, err := w.AppendEvent(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(line), `"op":`)
		out = append(out, rest)
	}
	return out
}

func receive(t testing.TB, s *cdc.Stream) *cdc.Txn {
	t.Helper()
	txn, err := s.Next(timeout(t, 30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return txn
}

func TestLiveStream(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v text)")
	config := d.config(t)
	stream := d.open(config)
	d.exec("INSERT INTO t VALUES (1, 'a'), (2, NULL)")
	d.exec("UPDATE t SET id = 3, v = 'é' WHERE id = 1")
	first, second := receive(t, stream), receive(t, stream)
	if got := lines(t, first); len(got) != 2 || !strings.Contains(got[0], `"key":{"id":1},"new":{"v":"a"}`) {
		t.Fatal(got)
	}
	if got := lines(t, second); len(got) != 1 || !strings.Contains(got[0], `"key":{"id":1},"new_key":{"id":3},"new":{"v":"é"}`) {
		t.Fatal(got)
	}
	if age := time.Since(second.CommitTime()); age < -time.Minute || age > time.Minute {
		t.Errorf("committed %v ago", age)
	}
	stream.Ack(first)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server knows", func() bool { return d.confirmed() == first.EndLSN })

	stream = d.open(config)
	again := receive(t, stream)
	if again.Position() != second.Position() || again.EndLSN != second.EndLSN {
		t.Fatalf("%v, want %v again", again.Position(), second.Position())
	}
	stream.Ack(again)
	if err := stream.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server knows", func() bool { return d.confirmed() >= second.EndLSN })
	status, err := stream.SlotStatus(timeout(t, 10*time.Second))
	if err != nil || status.WALStatus != "reserved" || status.ConfirmedFlush < second.EndLSN || status.RetainedBytes <= 0 {
		t.Error(status, err)
	}
}

// A database in which nothing happens follows the WAL that others write.
func TestLiveIdleProgress(t *testing.T) {
	d := live(t)
	config := d.config(t)
	config.FeedbackInterval = 100 * time.Millisecond
	d.open(config)
	d.followsOthers(t)
}

// followsOthers sees the slot move over what is written in another database.
func (d *database) followsOthers(t *testing.T) {
	t.Helper()
	before, _ := cdc.ParseLSN(d.value("SELECT pg_current_wal_insert_lsn()"))
	other := connect(t, "postgres")
	defer other.Close(context.Background())
	execute(t, other, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000)); CHECKPOINT")
	eventually(t, "confirmed_flush_lsn moves", func() bool { return d.confirmed() > before+100000 })
}

// A consumer that sleeps longer than wal_sender_timeout keeps its connection, and
// the server's backlog does not come into memory.
func TestLiveSlowConsumer(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v text)")
	config := d.config(t)
	metrics := newMeter()
	config.BufferBytes, config.Metrics = 100_000, metrics
	config.Conn += " options='-c wal_sender_timeout=4s'"
	stream := d.open(config)
	d.exec("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 10) i")
	d.exec("DO $$ BEGIN FOR i IN 11..3000 LOOP INSERT INTO t VALUES (i, repeat('x', 3000)); COMMIT; END LOOP; END $$")
	time.Sleep(6 * time.Second)
	n := 0
	for n < 3000 {
		txn := receive(t, stream)
		n += txn.Len()
		stream.Ack(txn)
	}
	if metrics.reconnects() != 0 || metrics.most(cdc.BufferedBytes) > 200_000 {
		t.Errorf("%d reconnects, %v bytes buffered", metrics.reconnects(), metrics.most(cdc.BufferedBytes))
	}
}

// The walsender is killed again and again; every transaction comes once.
func TestLiveReconnect(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.config(t)
	config.MaxBackoff = 200 * time.Millisecond
	stream := d.open(config)
	for i := range 30 {
		d.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		if i%5 == 0 {
			d.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name = '" + d.slot() + "'")
		}
		txn := receive(t, stream)
		if got := lines(t, txn); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf(`"key":{"id":%d}`, i)) {
			t.Fatal(i, got)
		}
		if i%3 == 0 {
			stream.Ack(txn)
		}
	}
}

func TestLiveRefusals(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.config(t)
	stream := d.open(config)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	store := config.Store
	good, err := store.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if id := d.value("SELECT system_identifier FROM pg_control_system()"); fmt.Sprint(good.SystemIdentifier) != id {
		t.Fatal(good, id)
	}
	refuse := func(what string, change func(*cdc.Checkpoint)) {
		c := *good
		change(&c)
		if err := store.Save(context.Background(), &c); err != nil {
			t.Fatal(err)
		}
		stream, err := cdc.Open(timeout(t, 30*time.Second), config)
		if err == nil {
			stream.Close()
		}
		if _, ok := err.(*cdc.RefusedError); !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	refuse("other system", func(c *cdc.Checkpoint) { c.SystemIdentifier++ })
	refuse("beyond the WAL", func(c *cdc.Checkpoint) { c.EndLSN += 1 << 40 })
	refuse("later timeline", func(c *cdc.Checkpoint) { c.Timeline++ })
	refuse("other database", func(c *cdc.Checkpoint) { c.Database = "x" })
	d.exec("INSERT INTO t VALUES (1)")
	d.query("SELECT count(*) FROM pg_logical_slot_get_binary_changes('" + d.slot() + "', NULL, NULL)")
	refuse("slot ahead", func(c *cdc.Checkpoint) {})
	d.query("SELECT pg_create_logical_replication_slot('" + d.slot() + "_x', 'test_decoding')")
	config.Slot += "_x"
	refuse("other plugin", func(c *cdc.Checkpoint) { c.Slot = config.Slot })
	config.Slot = "no_such_slot"
	config.CreateSlot = false
	refuse("no slot", func(c *cdc.Checkpoint) { c.Slot = config.Slot })
}

// Names and values that need quotes reach the plugin as they are.
func TestLiveOptions(t *testing.T) {
	d := live(t)
	d.exec(`CREATE TABLE "it's" (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)`)
	config := d.config(t)
	config.Options = map[string]string{"tables": `public."it's"`, "messages": `a'b\c`}
	stream := d.open(config)
	d.exec(`INSERT INTO other VALUES (1); INSERT INTO "it's" VALUES (2); SELECT pg_logical_emit_message(false, 'a''b\c', 'hello')`)
	var got []string
	for len(got) < 2 {
		got = append(got, lines(t, receive(t, stream))...)
	}
	all := strings.Join(got, "\n")
	if !strings.Contains(all, `public.\"it's\"`) || !strings.Contains(all, `"prefix":"a'b\\c","content":"\\x68656c6c6f"`) || strings.Contains(all, "other") {
		t.Error(all)
	}
	stream.Close()
	config.Options = map[string]string{"no_such_option": "1"}
	if stream, err := cdc.Open(timeout(t, 10*time.Second), config); err == nil {
		stream.Close()
		t.Error("an unknown option is taken")
	} else if !strings.Contains(err.Error(), "22023") {
		t.Error(err)
	}
}
