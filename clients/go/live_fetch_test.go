package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// reader makes a role that may neither replicate nor read tables, and binds a slot to
// it; options are stored for that. It gives the configuration to fetch from it.
func (d *database) reader(t testing.TB, twoPhase bool, options map[string]string) cdc.Config {
	t.Helper()
	role := d.slot()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		list = append(list, "'"+name+"'", "'"+options[name]+"'")
	}
	d.exec(`CREATE ROLE "` + role + `" LOGIN; GRANT USAGE ON SCHEMA cdc TO "` + role + `"; GRANT EXECUTE ON FUNCTION cdc.fetch TO "` + role + `"`)
	t.Cleanup(func() {
		own := connect(t, d.name)
		defer own.Close(context.Background())
		query(t, own, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+role+"'")
		eventually(t, "the slot is free", func() bool {
			return query(t, own, "SELECT count(*) FROM pg_stat_activity WHERE usename = '"+role+"'")[0][0] == "0"
		})
		query(t, own, "SELECT cdc.drop_slot('"+role+"')")
		execute(t, own, `DROP OWNED BY "`+role+`"; DROP ROLE "`+role+`"`)
	})
	d.query(fmt.Sprintf("SELECT cdc.create_slot('%s', two_phase => %v, options => ARRAY[%s]::text[], reader => '%[1]s')", role, twoPhase, strings.Join(list, ",")))
	config := d.config(t)
	config.Conn += " user=" + role
	config.CreateSlot, config.Transport = false, cdc.TransportFetch
	config.MaxBackoff = 200 * time.Millisecond
	return config
}

func (d *database) grant(tables ...string) {
	d.t.Helper()
	for _, table := range tables {
		d.query("SELECT cdc.grant_read('" + table + "', '\"" + d.slot() + "\"')")
	}
}

// active tells whether the slot is in use.
func (d *database) active() bool {
	return d.value("SELECT active FROM pg_replication_slots WHERE slot_name = '"+d.slot()+"'") == "t"
}

// A role without REPLICATION and without SELECT gets the changes, at once when they
// come, from where it had acknowledged them; what it may not have is marked.
func TestLiveFetch(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, plain text, mail text, secret text); CREATE TABLE hidden (id int PRIMARY KEY)")
	config := d.reader(t, false, nil)
	config.FetchWait = 7 * time.Second
	d.query("SELECT cdc.redact('t', 'mail', 'hash')")
	d.query(`SELECT cdc.grant_read('t', '"` + d.slot() + `"', columns => '{id,plain,mail}')`)
	stream := d.open(config)
	eventually(t, "it waits for changes", d.active)
	began := time.Now()
	d.exec("INSERT INTO hidden VALUES (1)")
	d.exec("INSERT INTO t VALUES (1, 'a', 'a@example.com', 's'), (2, NULL, NULL, NULL)")
	first := receive(t, stream)
	if age := time.Since(began); age > 6*time.Second {
		t.Errorf("came after %v", age)
	}
	if first.Len() != 2 {
		t.Fatal(first.Len())
	}
	n := 0
	for e, err := range first.Events() {
		if err != nil {
			t.Fatal(err)
		}
		row, err := e.Table().Values(e.New)
		if err != nil {
			t.Fatal(err)
		}
		mail, secret := e.Table().ColumnNamed("mail"), e.Table().ColumnNamed("secret")
		if mail.Redaction != cdcv1.Redaction_REDACTION_HASH || secret.Redaction != cdcv1.Redaction_REDACTION_WITHHELD {
			t.Error(mail.Redaction, secret.Redaction)
		}
		value, isRedacted := row["mail"].(cdc.Redacted)
		if _, there := row["secret"]; there || n == 0 && (!isRedacted || strings.Contains(string(value), "example")) || n == 0 && row["plain"] != "a" {
			t.Error(row)
		}
		n++
	}
	d.exec("UPDATE t SET plain = 'b' WHERE id = 1")
	second := receive(t, stream)
	stream.Ack(first)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if d.confirmed() != first.EndLSN {
		t.Errorf("the slot is at %v, acknowledged is %v", d.confirmed(), first.EndLSN)
	}
	stream = d.open(config)
	again := receive(t, stream)
	if again.Position() != second.Position() || again.EndLSN != second.EndLSN {
		t.Fatalf("%v, want %v again", again.Position(), second.Position())
	}
	stream.Ack(again)
	eventually(t, "the server knows", func() bool { return d.confirmed() >= second.EndLSN })
	if status, err := stream.SlotStatus(timeout(t, 10*time.Second)); err != nil || status.ConfirmedFlush < second.EndLSN {
		t.Error(status, err)
	}
}

// A database in which nothing happens follows the WAL that others write.
func TestLiveFetchIdle(t *testing.T) {
	d := live(t)
	config := d.reader(t, false, nil)
	config.FeedbackInterval = 100 * time.Millisecond
	d.open(config)
	d.followsOthers(t)
}

// Close does not wait for the server's wait to end, and leaves nothing at work there.
func TestLiveFetchClose(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.reader(t, false, nil)
	d.grant("t")
	config.FetchWait, config.FeedbackInterval = time.Minute, time.Minute
	stream := d.open(config)
	d.exec("INSERT INTO t VALUES (1)")
	txn := receive(t, stream)
	eventually(t, "it waits for more", d.active)
	stream.Ack(txn)
	began := time.Now()
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("closing took %v", took)
	}
	if _, err := stream.Next(context.Background()); !errors.Is(err, cdc.ErrClosed) {
		t.Error(err)
	}
	eventually(t, "nothing is at work", func() bool { return !d.active() })
	if d.confirmed() != txn.EndLSN {
		t.Errorf("%v is confirmed, %v was acknowledged", d.confirmed(), txn.EndLSN)
	}
}

// While the consumer sleeps, nothing is asked for: memory is bounded, and no
// statement is at work on the server.
func TestLiveFetchSlowConsumer(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v text)")
	config := d.reader(t, false, nil)
	d.grant("t")
	metrics := newMeter()
	config.BufferBytes, config.Metrics = 100_000, metrics
	config.FeedbackInterval = 100 * time.Millisecond
	stream := d.open(config)
	d.exec("DO $$ BEGIN FOR i IN 1..1000 LOOP INSERT INTO t VALUES (i, repeat('x', 3000)); COMMIT; END LOOP; END $$")
	first := receive(t, stream) // and the buffer fills up
	stream.Ack(first)
	eventually(t, "it stops asking", func() bool {
		time.Sleep(300 * time.Millisecond)
		return d.value("SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND usename = '"+d.slot()+"'") == "0"
	})
	n := first.Len()
	for n < 1000 {
		txn := receive(t, stream)
		n += txn.Len()
		stream.Ack(txn)
		if n == 500 {
			at := txn.EndLSN
			eventually(t, "the server hears of it though the buffer is not empty", func() bool { return d.confirmed() >= at-50_000 })
		}
	}
	if metrics.reconnects() != 0 || metrics.most(cdc.BufferedBytes) > 110_000 {
		t.Errorf("%d reconnects, %v bytes buffered", metrics.reconnects(), metrics.most(cdc.BufferedBytes))
	}
}

// Connections are killed, and somebody else uses the slot; every transaction comes
// once.
func TestLiveFetchReconnect(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.reader(t, false, nil)
	d.grant("t")
	config.FetchWait = 300 * time.Millisecond
	metrics := newMeter()
	config.Metrics = metrics
	stream := d.open(config)
	for i := range 30 {
		d.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		switch i % 5 {
		case 0:
			d.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + d.slot() + "'")
		case 3: // as if a former call still were at work
			_, _ = d.conn.Exec(context.Background(), "SELECT count(*) FROM cdc.fetch('"+d.slot()+"', start_lsn => pg_current_wal_flush_lsn(), timeout => '0.5 s')").ReadAll()
		}
		txn := receive(t, stream)
		if got := lines(t, txn); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf(`"key":{"id":%d}`, i)) {
			t.Fatal(i, got)
		}
		if i%3 == 0 {
			stream.Ack(txn)
		}
	}
	if n := metrics.reconnects(); n < 6 {
		t.Errorf("%d reconnects", n)
	}
}

// Open waits for the call of a consumer that was killed.
func TestLiveFetchBusy(t *testing.T) {
	d := live(t)
	config := d.reader(t, false, nil)
	config.FetchWait = 100 * time.Millisecond
	done, conn := make(chan error), connect(t, d.name)
	defer conn.Close(context.Background())
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT * FROM cdc.fetch('"+d.slot()+"', timeout => '2 s')").ReadAll()
		done <- err
	}()
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	d.open(config)
	if took := time.Since(began); took < time.Second || took > 9*time.Second {
		t.Errorf("opened after %v", took)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLiveFetchRefusals(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	config := d.reader(t, false, nil)
	d.grant("t")
	ctx := context.Background()
	stream := d.open(config)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := config.Store.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := d.query("SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()")[0]; want[0] != fmt.Sprint(good.SystemIdentifier) || want[1] != fmt.Sprint(good.Timeline) {
		t.Fatal(good, want)
	}
	open := func(config cdc.Config) error {
		stream, err := cdc.Open(timeout(t, 30*time.Second), config)
		if err == nil {
			stream.Close()
		}
		return err
	}
	for what, change := range map[string]func(*cdc.Checkpoint){
		"other system":                           func(c *cdc.Checkpoint) { c.SystemIdentifier++ },
		"beyond the WAL":                         func(c *cdc.Checkpoint) { c.EndLSN += 1 << 40 },
		"later timeline":                         func(c *cdc.Checkpoint) { c.Timeline++ },
		"other database":                         func(c *cdc.Checkpoint) { c.Database = "x" },
		"slot ahead":                             func(c *cdc.Checkpoint) { c.EndLSN = d.confirmed() - 1 },
		"earlier timeline, history not readable": func(c *cdc.Checkpoint) { c.Timeline-- },
	} {
		c := *good
		change(&c)
		if err := config.Store.Save(ctx, &c); err != nil {
			t.Fatal(err)
		}
		err := open(config)
		if _, ok := err.(*cdc.RefusedError); !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := config.Store.Save(ctx, good); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(*cdc.Config)
		want   string
	}{
		"an option that the slot's owner chooses": {func(c *cdc.Config) { c.Options = map[string]string{"tables": "public.t"} }, "SQLSTATE"},
		"streaming":               {func(c *cdc.Config) { c.Options = map[string]string{"streaming": "on"} }, "22023"},
		"a slot of somebody else": {func(c *cdc.Config) { d.query("SELECT cdc.alter_slot('" + d.slot() + "', reader => 'postgres')") }, "42501"},
		"CreateSlot":              {func(c *cdc.Config) { c.CreateSlot = true }, "CreateSlot"},
		"no such transport":       {func(c *cdc.Config) { c.Transport = 7 }, "Transport(7)"},
	} {
		config := config
		c.change(&config)
		if err := open(config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// It can happen later, too: the stream ends then.
	d.query("SELECT cdc.alter_slot('" + d.slot() + "', reader => '" + d.slot() + "')")
	config.FetchWait = 100 * time.Millisecond
	stream = d.open(config)
	d.query("SELECT cdc.alter_slot('" + d.slot() + "', reader => 'postgres')")
	if _, err := stream.Next(timeout(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Error(err)
	}
}
