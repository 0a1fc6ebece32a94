package cdc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
)

// TestMain makes a consumer process of the test program when TestCrashes asks.
func TestMain(m *testing.M) {
	if conn := os.Getenv("CDC_TEST_CONSUMER"); conn != "" {
		if err := consume(context.Background(), conn); err != nil {
			fmt.Fprintln(os.Stderr, "consumer:", err)
			os.Exit(1)
		}
	}
	code := m.Run()
	removeTail()
	os.Exit(code)
}

// consume copies the table "source" to "copy", and notes every change in "effect",
// in one transaction with the checkpoint. The copy is in the source's database, or where
// CDC_TEST_TARGET says.
func consume(ctx context.Context, conninfo string) error {
	copyconn := conninfo
	if target := os.Getenv("CDC_TEST_TARGET"); target != "" {
		copyconn = target
	}
	config := cdc.Config{
		Conn: conninfo, Slot: "crash", Options: map[string]string{"tables": "public.source", "streaming": "on"},
		Store: &cdc.PostgresStore{Conn: copyconn, Slot: "crash"}, MaxBackoff: 200 * time.Millisecond,
	}
	if os.Getenv("CDC_TEST_TRANSPORT") == cdc.TransportFetch.String() {
		config.Transport, config.Options = cdc.TransportFetch, nil
		if copyconn == conninfo {
			config.Conn = strings.Replace(conninfo, "user=postgres", "user=reader", 1)
		}
		config.FetchWait, config.FetchBytes = 300*time.Millisecond, 100_000
	}
	stream, err := cdc.Open(ctx, config)
	if err != nil {
		return err
	}
	target, err := pgconn.Connect(ctx, copyconn)
	if err != nil {
		return err
	}
	run := func(ctx context.Context, sql string, args ...any) error {
		var values [][]byte
		for _, a := range args {
			if a == nil {
				values = append(values, nil)
			} else {
				values = append(values, fmt.Append(nil, a))
			}
		}
		return target.ExecParams(ctx, sql, values, nil, nil, nil).Read().Err
	}
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if err := run(ctx, "BEGIN"); err != nil {
			return err
		}
		for e, err := range txn.Events() {
			if err == nil {
				err = effect(ctx, e, run)
			}
			if err != nil {
				return err
			}
		}
		if err := cdc.SaveTx(ctx, stream.Checkpoint(txn), run); err != nil {
			return err
		}
		if err := run(ctx, "COMMIT"); err != nil {
			return err
		}
		stream.Ack(txn)
	}
}

func effect(ctx context.Context, e *cdc.Event, run func(context.Context, string, ...any) error) error {
	if err := run(ctx, "INSERT INTO effect VALUES ($1)", e.Position()); err != nil {
		return err
	}
	key, err := e.Table().Values(e.Key)
	if err != nil {
		return err
	}
	row, err := e.Table().Values(e.New)
	if err != nil {
		return err
	}
	switch e.Op {
	case cdc.OpInsert:
		return run(ctx, "INSERT INTO copy VALUES ($1, $2)", key["id"], row["v"])
	case cdc.OpUpdate:
		return run(ctx, "UPDATE copy SET v = $2 WHERE id = $1", key["id"], row["v"])
	}
	return run(ctx, "DELETE FROM copy WHERE id = $1", key["id"])
}

const makeSource = `CREATE SEQUENCE ids; CREATE TABLE source (id bigint PRIMARY KEY, v text)`

const makeCopy = `CREATE TABLE copy (id bigint PRIMARY KEY, v text); CREATE TABLE effect (position text PRIMARY KEY);
	CREATE TABLE cdc_checkpoint (slot text PRIMARY KEY, system_identifier text NOT NULL, timeline int8 NOT NULL,
		database text NOT NULL, position text NOT NULL, end_lsn pg_lsn NOT NULL, updated_at timestamptz NOT NULL DEFAULT now())`

const changeSource = `DO $$ BEGIN
	FOR n IN 1..%d LOOP
		INSERT INTO source SELECT nextval('ids'), repeat(md5(random()::text), 1 + (random() * 20)::int) FROM generate_series(1, (random() ^ 8 * 800)::int + 1);
		UPDATE source SET v = v || n WHERE id > currval('ids') - 5;
		DELETE FROM source WHERE id < currval('ids') - 400;
		COMMIT;
	END LOOP;
END $$`

// The client, its connection and the server are killed again and again, at any
// moment; the copy equals the source, and every effect happened once. The number of
// rounds is CDC_CRASH_ROUNDS, by default 6.
func TestCrashes(t *testing.T) {
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		t.Run(transport.String(), func(t *testing.T) { crashes(t, transport) })
	}
}

func crashes(t *testing.T, transport cdc.Transport) {
	t.Setenv("CDC_TEST_TRANSPORT", transport.String())
	c := newCluster(t)
	conn := c.connect()
	execAll := func(sql string) { t.Helper(); execute(t, conn, sql) }
	execAll("CREATE EXTENSION cdc; " + makeSource)
	execAll(makeCopy)
	execAll(`CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA cdc TO reader; GRANT EXECUTE ON FUNCTION cdc.fetch TO reader; SELECT cdc.grant_read('source', 'reader')`)
	if transport == cdc.TransportFetch {
		execAll(`SELECT cdc.create_slot('crash', reader => 'reader')`)
	} else {
		execAll(`SELECT pg_create_logical_replication_slot('crash', 'cdc')`)
	}
	execAll(`SELECT pg_create_logical_replication_slot('count', 'cdc')`)
	rounds := 6
	if n, err := strconv.Atoi(os.Getenv("CDC_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	consumer := c.consumer()
	restart := func() {
		t.Helper()
		_ = consumer.Process.Kill()
		_ = consumer.Wait()
		eventually(t, "the slot is free", func() bool {
			return query(t, conn, "SELECT count(*) FROM pg_replication_slots WHERE active")[0][0] == "0"
		})
		consumer = c.consumer()
	}
	for i := range rounds {
		execAll(fmt.Sprintf(changeSource, 5+rand.IntN(15)))
		time.Sleep(rand.N(150 * time.Millisecond))
		switch i % 3 {
		case 0:
			restart()
		case 1:
			query(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader' OR backend_type = 'walsender'")
		case 2:
			_ = conn.Close(context.Background())
			c.crash()
			conn = c.connect()
			restart() // it lost its connection to the copy, too
		}
	}
	execAll(fmt.Sprintf(changeSource, 5))
	end := query(t, conn, "SELECT pg_current_wal_insert_lsn()")[0][0]
	// It may be far behind, but it must move.
	for last, since := "", time.Now(); ; time.Sleep(50 * time.Millisecond) {
		slot := query(t, conn, "SELECT confirmed_flush_lsn, confirmed_flush_lsn >= '"+end+"' FROM pg_replication_slots WHERE slot_name = 'crash'")[0]
		if slot[1] == "t" {
			break
		}
		if slot[0] != last {
			last, since = slot[0], time.Now()
		}
		if time.Since(since) > time.Minute {
			_ = consumer.Process.Signal(syscall.SIGQUIT) // shows what it does
			_ = consumer.Wait()
			t.Fatalf("the consumer stands at %s and does not get to %s", last, end)
		}
	}
	_ = consumer.Process.Kill()
	_ = consumer.Wait()
	if n := query(t, conn, "SELECT count(*) FROM ((TABLE source EXCEPT TABLE copy) UNION ALL (TABLE copy EXCEPT TABLE source)) x")[0][0]; n != "0" {
		t.Errorf("%s rows differ", n)
	}
	// The effects are exactly the changes, as another slot has them.
	want := query(t, conn, `SELECT count(*), count(DISTINCT position) FROM cdc.decode(
		(SELECT string_agg(data, ''::bytea ORDER BY n) FROM (SELECT data, row_number() OVER () n
		FROM pg_logical_slot_get_binary_changes('count', NULL, NULL, 'tables', 'public.source')) x))`)[0]
	got := query(t, conn, "SELECT count(*) FROM effect")[0][0]
	if got != want[0] || want[0] != want[1] {
		t.Errorf("%s effects of %s changes", got, want[0])
	}
	t.Logf("%s changes, %d rounds", got, rounds)
}
