package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

const tables = `
CREATE EXTENSION IF NOT EXISTS cdc;
CREATE TABLE a (id int PRIMARY KEY, n int, v text);
CREATE TABLE b (k text, j int, v text, PRIMARY KEY (k, j));
CREATE TABLE marker (id int PRIMARY KEY);
CREATE TABLE ledger (id bigserial PRIMARY KEY); -- has a row of each transaction
ALTER TABLE a REPLICA IDENTITY FULL;
ALTER TABLE b REPLICA IDENTITY FULL;
ALTER TABLE marker REPLICA IDENTITY FULL;
ALTER TABLE ledger REPLICA IDENTITY FULL;
`

// database makes one with tables and a slot, which goes with the test. before is done before there is a slot.
func database(t testing.TB, name string, before ...string) *pgx.Conn {
	t.Helper()
	return databaseAt(t, "dbname=postgres", name, before...)
}

// databaseAt does so in the server of a database that is there.
func databaseAt(t testing.TB, at, name string, before ...string) *pgx.Conn {
	t.Helper()
	admin, err := pgx.Connect(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	run := func(conn *pgx.Conn, sql string) {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run(admin, "DROP DATABASE IF EXISTS "+name)
	run(admin, "CREATE DATABASE "+name)
	conn, err := pgx.Connect(context.Background(), strings.Replace(at, "dbname=postgres", "dbname="+name, 1))
	if err != nil {
		t.Fatal(err)
	}
	run(conn, tables)
	for _, sql := range before {
		run(conn, sql)
	}
	run(conn, fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'cdc')", name))
	t.Cleanup(func() {
		_, _ = admin.Exec(context.Background(), "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active", name)
		for range 50 {
			if _, err = admin.Exec(context.Background(), "SELECT pg_drop_replication_slot($1)", name); err == nil {
				break
			}
		}
		conn.Close(context.Background())
		_, _ = admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		admin.Close(context.Background())
	})
	return conn
}

// change is a statement, and how often it is taken: {A} and {B} are random numbers.
type change struct {
	weight int
	sql    string
}

// changes: seldom those that take a new topic, which Kafka needs a second for.
var changes = []change{
	{150, "INSERT INTO a VALUES ({A}, {B}, 'new') ON CONFLICT DO NOTHING"},
	{100, "INSERT INTO b SELECT 'k' || g % 7, g, repeat('x', g % 50) FROM generate_series({A}, {A} + {B} % 30) g ON CONFLICT DO NOTHING"},
	{150, "UPDATE a SET n = n + 1, v = CASE WHEN id % 3 = 0 THEN NULL ELSE 'changed' END WHERE id BETWEEN {A} AND {A} + 5"},
	{75, "UPDATE b SET v = v || 'y' WHERE j = {A}"},
	{100, "DELETE FROM a WHERE id = {A}"},
	{50, "DELETE FROM b WHERE j % 50 = {A} % 50"},
	{75, "UPDATE a SET id = id + 100000 WHERE id = {A} AND NOT EXISTS (SELECT FROM a x WHERE x.id = {A} + 100000)"},
	{50, "UPDATE a SET id = id - 100000 WHERE id = (SELECT min(id) FROM a WHERE id > 100000) AND NOT EXISTS (SELECT FROM a x WHERE x.id = (SELECT min(id) FROM a WHERE id > 100000) - 100000)"},
	{10, "TRUNCATE b"},
	{5, "ALTER TABLE b ALTER COLUMN v TYPE text USING v || 'r'"},
	{5, "ALTER TABLE a ALTER COLUMN n SET NOT NULL"},
	{5, "ALTER TABLE a ALTER COLUMN n DROP NOT NULL"},
	{1, "DO $$BEGIN EXECUTE format('CREATE TABLE made_%s AS SELECT 1 AS x', txid_current()); END$$"},
	{1, "DO $$DECLARE t text := 'gone_' || txid_current(); BEGIN EXECUTE 'CREATE TABLE ' || t || ' (id int PRIMARY KEY)'; EXECUTE 'INSERT INTO ' || t || ' VALUES (1)'; EXECUTE 'DROP TABLE ' || t; END$$"},
	{10, "INSERT INTO b SELECT 'big' || g % 3, g + 10000, 'x' FROM generate_series(1, 1500) g ON CONFLICT (k, j) DO UPDATE SET v = b.v || '+'"},
	{10, "SELECT pg_logical_emit_message(true, 'test', '{A}')"},
	{10, "SELECT pg_logical_emit_message(false, 'test', '{A}')"},
}

func randomChange(r *rand.Rand, more []change) string {
	all := append(more, changes...)
	total := 0
	for _, c := range all {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range all {
		if n -= c.weight; n < 0 {
			return strings.NewReplacer("{A}", strconv.Itoa(r.IntN(2000)), "{B}", strconv.Itoa(r.IntN(100000))).Replace(c.sql)
		}
	}
	panic("weights")
}

// work changes things until ctx ends, with transactions of one to four statements. Those that
// collide with others are rolled back.
func work(ctx context.Context, t *testing.T, database string, seed uint64, committed *atomic.Int64, more ...change) {
	r := rand.New(rand.NewPCG(seed, 1))
	if _, err := pgx.ParseConfig(database); err != nil {
		t.Error(err)
		return
	}
	for ctx.Err() == nil { // again when the server has gone away
		conn, err := pgx.Connect(context.Background(), database)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		for ctx.Err() == nil && !conn.IsClosed() {
			if transaction(conn, r, more) == nil {
				committed.Add(1)
				time.Sleep(time.Duration(r.Int64N(int64(*pace) + 1)))
			}
		}
		conn.Close(context.Background())
	}
}

// transaction makes some changes; where they fail, none.
func transaction(conn *pgx.Conn, r *rand.Rand, more []change) error {
	tx, err := conn.Begin(context.Background())
	if err != nil {
		return err
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(context.Background(), "INSERT INTO ledger DEFAULT VALUES"); err != nil {
		return err
	}
	for range 1 + r.IntN(4) {
		if _, err = tx.Exec(context.Background(), randomChange(r, more)); err != nil {
			return err
		}
	}
	return tx.Commit(context.Background())
}

// source gives the tables as they are, by the stream's own reading of them.
func source(t *testing.T, conn *pgx.Conn, more ...string) verify.Tables {
	t.Helper()
	result := verify.Tables{}
	for _, name := range append([]string{"a", "b", "marker", "ledger"}, more...) {
		rows, err := conn.Query(context.Background(), "SELECT cdc.snapshot('public."+name+"'::regclass)")
		if err != nil {
			t.Fatal(err)
		}
		frames, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			t.Fatal(err)
		}
		table := map[string]cdc.Row{}
		schemas := cdc.NewSchemaCache(cdc.Limits{})
		for _, frame := range frames {
			raw, err := cdc.Unframe(frame)
			if err != nil {
				t.Fatal(err)
			}
			b, err := cdc.ParseBatch(raw, schemas)
			if err != nil {
				t.Fatal(err)
			}
			for c := b.Events(); c.Next(); {
				row, err := cdc.Sorted(c.Event().New)
				if err != nil {
					t.Fatal(err)
				}
				table[string(c.Event().Key)] = append(cdc.Row(nil), row...)
			}
		}
		result["public."+name] = table
	}
	return result
}
