package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

var _ = addScenarios(map[string]func(*testing.T){
	"close-error":              closeError,
	"store-retries":            storeRetries,
	"store-fails":              storeFails,
	"store-panics":             func(t *testing.T) { t.Skip("the panic is the program's: Go has no such border") },
	"cancelled-query":          cancelledQuery,
	"backoff":                  backoffGrows,
	"busy-start":               busyStart,
	"busy-later":               busyLater,
	"permanent":                permanent,
	"notices":                  notices,
	"detail-hint":              detailHint,
	"format-json":              formatJSON,
	"format-json-stored":       formatJSONStored,
	"renamed-database":         renamedDatabase,
	"slot-gone":                slotGone,
	"wrong-database":           wrongDatabase,
	"slot-status":              slotStatus,
	"drop-slot":                dropSlot,
	"flush":                    flushes,
	"flush-without-connection": flushesWithoutConnection,
	"defaults":                 defaults,
	"metrics":                  metricNames,
})

// brittle is a store that fails while it is told to.
type brittle struct {
	cdc.CheckpointStore
	fails atomic.Int64 // how often more
	saves atomic.Int64
}

var errStore = errors.New("the disk is gone")

func (b *brittle) Save(ctx context.Context, c *cdc.Checkpoint) error {
	b.saves.Add(1)
	if b.fails.Add(-1) >= 0 {
		return errStore
	}
	b.fails.Store(0)
	return b.CheckpointStore.Save(ctx, c)
}

func brittleStore(t *testing.T) *brittle {
	return &brittle{CheckpointStore: cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))}
}

func closeError(t *testing.T) {
	source, store := cdctest.NewSource("s"), brittleStore(t)
	stream := opened(t, source, func(c *cdc.Config) { c.Store = store })
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	store.fails.Store(1 << 30)
	stream.Ack(txn)
	var failed *cdc.StoreError
	if err := stream.Close(); !errors.Is(err, errStore) || !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if flushed(source) >= txn.EndLSN {
		t.Fatal("reported")
	}
}

func storeRetries(t *testing.T) {
	source, store, metrics := cdctest.NewSource("s"), brittleStore(t), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Store, c.Metrics = store, metrics })
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	store.fails.Store(3)
	stream.Ack(txn)
	eventually(t, "reported", func() bool { return flushed(source) >= txn.EndLSN })
	if n := metrics.count(cdc.StoreFailuresTotal, ""); n != 3 {
		t.Errorf("%d failures counted", n)
	}
	source.Insert("public", "t", "b")
	if _, keys := next(t, stream); keys != "b" {
		t.Fatal(keys)
	}
}

func storeFails(t *testing.T) {
	source, store := cdctest.NewSource("s"), brittleStore(t)
	stream := opened(t, source, func(c *cdc.Config) { c.Store, c.StoreTimeout = store, 500*time.Millisecond })
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	store.fails.Store(1 << 30)
	before := store.saves.Load()
	stream.Ack(txn)
	_, err := stream.Next(timeout(t, 10*time.Second))
	var failed *cdc.StoreError
	if !errors.As(err, &failed) || flushed(source) >= txn.EndLSN {
		t.Fatal(err, flushed(source))
	}
	if n := store.saves.Load() - before; n < 2 || n > 10 {
		t.Errorf("%d attempts", n)
	}
}

// A connection that a store uses again after a cancelled statement has no rows of that.
func cancelledQuery(t *testing.T) {
	d := live(t)
	a := &cdc.PostgresStore{Conn: "dbname=" + d.name, Slot: "a", CreateTable: true}
	if err := a.Save(context.Background(), &cdc.Checkpoint{}); err == nil {
		t.Fatal("there is no table yet")
	}
	for _, slot := range []string{"a", "b"} {
		s := &cdc.PostgresStore{Conn: "dbname=" + d.name, Slot: slot, CreateTable: true}
		if _, err := s.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(context.Background(), &cdc.Checkpoint{Slot: slot, Database: slot}); err != nil {
			t.Fatal(err)
		}
		_ = s.Close(context.Background())
	}
	d.exec("BEGIN; LOCK TABLE cdc_checkpoint IN ACCESS EXCLUSIVE MODE")
	a.CreateTable = false
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := a.Load(ctx); err == nil {
		t.Fatal("it was not cancelled")
	}
	d.exec("COMMIT")
	a.Slot = "b"
	if c, err := a.Load(context.Background()); err != nil || c == nil || c.Database != "b" {
		t.Fatal(c, err)
	}
	_ = a.Close(context.Background())
}

// counting counts attempts, and makes sessions end as told.
type counting struct {
	*cdctest.Source
	attempts atomic.Int64
	end      error
}

func (c *counting) Connect(ctx context.Context) (cdc.Session, error) {
	c.attempts.Add(1)
	s, err := c.Source.Connect(ctx)
	if err == nil && c.end != nil {
		s = ending{s, c.end}
	}
	return s, err
}

type ending struct {
	cdc.Session
	err error
}

func (e ending) Receive() (cdc.ServerMessage, error) { return cdc.ServerMessage{}, e.err }

func backoffGrows(t *testing.T) {
	defer cdc.HealthyForTest(100 * time.Millisecond)()
	source := &counting{Source: cdctest.NewSource("s")}
	stream := opened(t, source.Source, func(c *cdc.Config) { c.Connector, c.MaxBackoff = source, 30*time.Second })
	source.Insert("public", "t", "a")
	next(t, stream)
	time.Sleep(200 * time.Millisecond)
	source.Refuse(errors.New("starting up"))
	source.Disconnect()
	before := source.attempts.Load()
	time.Sleep(4 * time.Second)
	if n := source.attempts.Load() - before; n < 2 || n > 15 {
		t.Fatalf("%d attempts in 4 s", n)
	}
	_ = stream.Close()
}

func permanent(t *testing.T) {
	source := &counting{Source: cdctest.NewSource("s"), end: &pgconn.PgError{Severity: "ERROR", Code: "54000", Message: "too large"}}
	stream := opened(t, source.Source, func(c *cdc.Config) { c.Connector = source })
	_, err := stream.Next(timeout(t, 5*time.Second))
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || source.attempts.Load() != 1 {
		t.Fatal(err, source.attempts.Load())
	}
}

func busyStart(t *testing.T) {
	d := live(t)
	d.makeSlot()
	config := cdc.Config{Conn: "dbname=" + d.name, Slot: d.slot(), ReadOnly: true}
	first := d.open(config)
	eventually(t, "it is in use", d.active)
	time.AfterFunc(3*time.Second, func() { _ = first.Close() })
	began := time.Now()
	d.open(config)
	if time.Since(began) < time.Second {
		t.Fatal("it did not wait")
	}
}

func busyLater(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int)")
	d.makeSlot()
	config := cdc.Config{Conn: "dbname=" + d.name, Slot: d.slot(), ReadOnly: true, MaxBackoff: 500 * time.Millisecond}
	stream := d.open(config)
	thief, err := cdc.ParseForTest("dbname="+d.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	thief.RuntimeParams["replication"] = "database"
	for range 20 { // until it is faster than the stream
		conn, err := pgconn.ConnectConfig(context.Background(), thief)
		if err != nil {
			t.Fatal(err)
		}
		d.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name = '" + d.slot() + "'")
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		began := time.Now()
		_, _ = conn.Exec(ctx, `START_REPLICATION SLOT "`+d.slot()+`" LOGICAL 0/0`).ReadAll()
		cancel()
		if time.Since(began) > 2*time.Second {
			d.exec("INSERT INTO t VALUES (1)")
			receive(t, stream)
			return
		}
	}
	t.Fatal("the slot could not be taken")
}

func notices(t *testing.T) {
	port := answers(t, func(backend *pgproto3.Backend) {
		_, _ = backend.Receive()
		backend.Send(&pgproto3.NoticeResponse{Severity: "WARNING", Code: "01000", Message: "mind it", Detail: "in detail", Hint: "what to do"})
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "enough", Detail: "a detail", Hint: "a hint"})
		_ = backend.Flush()
	})
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		log := &journal{}
		_, err := cdc.Open(context.Background(), cdc.Config{Slot: "s", ReadOnly: true, Transport: transport, Logger: log.logger(),
			Conn: "host=127.0.0.1 user=x sslmode=disable port=" + port})
		if err == nil || !strings.Contains(err.Error(), "\nDETAIL: a detail\nHINT: a hint") {
			t.Error(err)
		}
		for _, words := range []string{"level=WARN", "mind it", "in detail", "what to do"} {
			if !strings.Contains(log.String(), words) {
				t.Errorf("%q is not in %s", words, log)
			}
		}
	}
	// and by a server, while it streams
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	d.makeSlot()
	log := &journal{}
	stream := d.open(cdc.Config{Conn: "dbname=" + d.name + " options='-c client_min_messages=debug1'", Slot: d.slot(), ReadOnly: true, Logger: log.logger()})
	d.exec("INSERT INTO t VALUES (1)")
	receive(t, stream)
	eventually(t, "a notice is logged", func() bool { return strings.Contains(log.String(), "the server says") })
}

func detailHint(t *testing.T) {
	d := live(t)
	d.makeSlot()
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		_, err := cdc.Open(context.Background(), cdc.Config{Conn: "dbname=" + d.name, Slot: d.slot(), ReadOnly: true, Transport: transport,
			Options: map[string]string{"tabels": "x"}})
		if err == nil || !strings.Contains(err.Error(), "\nHINT: ") && !strings.Contains(err.Error(), "\nDETAIL: ") {
			t.Error(err)
		}
	}
}

func formatJSON(t *testing.T) {
	source := cdctest.NewSource("s")
	_, err := cdc.Open(context.Background(), cdc.Config{Slot: "s", ReadOnly: true, Connector: source, Options: map[string]string{"format": "json"}})
	if err == nil || !strings.Contains(err.Error(), "json") || source.Connects() != 0 {
		t.Fatal(err)
	}
}

func formatJSONStored(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	d.query("SELECT cdc.create_slot('" + d.slot() + "', options => '{format,json}')")
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		stream := d.open(cdc.Config{Conn: "dbname=" + d.name, Slot: d.slot(), ReadOnly: true, Transport: transport})
		d.exec("INSERT INTO t SELECT count(*) FROM t")
		if got := lines(t, receive(t, stream)); len(got) != 1 || !strings.Contains(got[0], `"key":{"id":0}`) {
			t.Error(got)
		}
		_ = stream.Close()
		eventually(t, "the slot is free", func() bool { return !d.active() })
	}
}

func renamedDatabase(t *testing.T) {
	d := live(t)
	config := d.config(t)
	if err := d.open(config).Close(); err != nil {
		t.Fatal(err)
	}
	c, err := config.Store.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c.Database = "as_it_was" // the test's own database is in use by the test
	if err := config.Store.Save(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	_, err = cdc.Open(context.Background(), config)
	var refusal *cdc.RefusedError
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), `"as_it_was"`) || !strings.Contains(err.Error(), `set the checkpoint's database to "`+d.name+`"`) {
		t.Fatal(err)
	}
}

func slotGone(t *testing.T) {
	for _, create := range []bool{false, true} {
		source := cdctest.NewSource("s")
		store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
		if err := opened(t, source, func(c *cdc.Config) { c.Store = store }).Close(); err != nil {
			t.Fatal(err)
		}
		source.SetServer(func(s *cdc.Server) { s.Plugin, s.SlotDatabase = "", "" })
		_, err := cdc.Open(context.Background(), cdc.Config{Connector: source, Slot: "s", Store: store, CreateSlot: create})
		var refusal *cdc.RefusedError
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "are lost") || !strings.Contains(err.Error(), "remove the checkpoint") {
			t.Fatal(err)
		}
	}
}

func wrongDatabase(t *testing.T) {
	d := live(t)
	d.makeSlot()
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		_, err := cdc.Open(context.Background(), cdc.Config{Conn: "dbname=postgres", Slot: d.slot(), ReadOnly: true, Transport: transport})
		if err == nil || !strings.Contains(err.Error(), `"`+d.name+`"`) {
			t.Error(err)
		}
	}
}

func slotStatus(t *testing.T) {
	d := live(t)
	stream := d.open(d.config(t))
	status, err := stream.SlotStatus(timeout(t, 10*time.Second))
	if err != nil || status.WALStatus != "reserved" || status.ConfirmedFlush == 0 || status.RetainedBytes <= 0 || !status.Active ||
		status.ActivePID == 0 || status.SafeWALSize != -1 || status.Invalidation != "" {
		t.Fatalf("%+v %v", status, err)
	}
	d.query("SELECT cdc.drop_slot('" + d.slot() + "', force => true)")
	if _, err := stream.SlotStatus(timeout(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "no slot") {
		t.Fatal(err)
	}
}

func dropSlot(t *testing.T) {
	d := live(t)
	conninfo := "dbname=" + d.name
	stream := d.open(d.config(t))
	if err := cdc.DropSlot(timeout(t, 10*time.Second), conninfo, d.slot()); err == nil || !strings.Contains(err.Error(), "PID") {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slot is free", func() bool { return !d.active() })
	for range 2 {
		if err := cdc.DropSlot(timeout(t, 10*time.Second), conninfo, d.slot()); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + d.slot() + "'"); n != "0" {
		t.Fatal(n)
	}
}

func flushesWithoutConnection(t *testing.T) {
	source := cdctest.NewSource("s")
	stream := opened(t, source, func(c *cdc.Config) { c.MaxBackoff = 10 * time.Millisecond })
	source.Refuse(errors.New("not now"))
	source.Disconnect()
	flushed := make(chan error, 1)
	go func() { flushed <- stream.Flush(context.Background()) }()
	source.Refuse(&pgconn.PgError{Code: "28000", Message: "never"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := stream.Next(ctx); err == nil || !strings.Contains(err.Error(), "never") {
		t.Fatal(err)
	}
	select {
	case <-flushed:
	case <-ctx.Done():
		t.Fatal("flush waits for ever")
	}
}

func flushes(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int)")
	config := d.config(t)
	config.FeedbackInterval = time.Minute
	stream := d.open(config)
	d.exec("INSERT INTO t VALUES (1)")
	txn := receive(t, stream)
	stream.Ack(txn)
	if err := stream.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has moved", func() bool { return d.confirmed() >= txn.EndLSN })
}

func defaults(t *testing.T) {
	c, err := cdc.WithDefaultsForTest(cdc.Config{Slot: "s", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(c.BufferBytes, c.FeedbackInterval, c.FetchWait, c.FetchBytes, c.MaxBackoff, c.StoreTimeout, c.Limits.MaxBatchBytes,
		c.Limits.MaxColumns, c.Limits.MaxSchemas, c.Limits.MaxSchemaBytes, c.OnDamage, c.OnUnknownSchema, c.OnFailure, c.OnHandlerError, c.OnVersion)
	if want := fmt.Sprintln(64<<20, "10s", "10s", 16<<20, "30s", "30s", 1<<30, 1600, 65536, 256<<20, 0, 0, 0, 0, 0); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	doc, err := os.ReadFile("../../test/clients/scenarios")
	if err != nil || !strings.Contains(string(doc), "64 MiB; one batch") {
		t.Error(err)
	}
}

func metricNames(t *testing.T) {
	source, metrics := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics, c.OnFailure = metrics, cdc.PolicySkip })
	b := source.Transaction()
	f, table := cdctest.Table("public", "t")
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table}}
	for i, op := range []cdc.Op{cdc.OpInsert, cdc.OpInsert, cdc.OpUpdate, cdc.OpDelete, cdc.OpTruncate} {
		b.Events = append(b.Events, &cdcv1.ChangeEvent{Op: op, LsnOffset: uint64(i), Schema: uint64(f), Key: []byte("\x0a\x01a")})
	}
	b.Events = append(b.Events, &cdcv1.ChangeEvent{Op: cdc.OpInsert, LsnOffset: 9, Schema: uint64(f), Failure: &cdcv1.Failure{Sqlstate: "22P05"}})
	b.EventCount = 6
	source.Add(b)
	outside := source.Transaction()
	outside.Transaction, outside.Outcome = nil, 0
	outside.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpMessage, LsnOffset: outside.EndLsn - 8, Message: &cdcv1.Message{Prefix: "p"}}}
	source.Add(outside)
	next(t, stream)
	next(t, stream)
	source.Disconnect()
	eventually(t, "connected again", func() bool { return source.Connects() > 1 })
	for name, want := range map[string]uint64{
		"cdc_events_totalinsert": 2, "cdc_events_totalupdate": 1, "cdc_events_totaldelete": 1, "cdc_events_totaltruncate": 1,
		"cdc_transactions_total": 2, "cdc_dead_letters_totalfailure": 1, "cdc_reconnects_totalconnection": 1,
	} {
		if got := metrics.count(cdc.Counter(name), ""); got != want && name != "cdc_reconnects_totalconnection" || got < want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}
