// Command copy keeps a copy of tables in another PostgreSQL. The source is where
// the PG* environment points to, the copy at $TARGET, where the tables must exist
// with the same columns at first; what commands make of them later is done there, too: columns,
// keys, names, DROP and CREATE. At the first start it reads the rows that there are, as of the
// moment where the slot begins; from then on each transaction is applied together with its
// position: whatever is killed when, every change happens once.
//
//	TARGET='host=replica dbname=copy' copy public.orders public.customers
//
// Tables need a primary key. Columns of any type will do: values travel as the text that
// PostgreSQL reads. Generated columns are left to the copy, and what is redacted out.
// Triggers and foreign keys of the copy do not act. Types and the generated columns of a table
// that is made later are not in the stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &copier{slot: os.Getenv("SLOT"), target: os.Getenv("TARGET"), tables: os.Args[1:], known: map[string]cdc.Fingerprint{}}
	if c.slot == "" {
		c.slot = "copy"
	}
	if err := c.run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

type copier struct {
	slot, target string
	tables       []string
	known        map[string]cdc.Fingerprint
}

func (c *copier) run(ctx context.Context) error {
	target, err := pgx.Connect(ctx, c.target)
	if err != nil {
		return err
	}
	defer target.Close(context.Background())
	if err := execAll(ctx, target, "SET session_replication_role = replica",
		"CREATE TABLE IF NOT EXISTS copy_loaded (slot text PRIMARY KEY)", createSchemas); err != nil {
		return err
	}
	var loaded bool
	if err := target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM copy_loaded WHERE slot = $1)", c.slot).Scan(&loaded); err != nil {
		return err
	}
	store := &cdc.PostgresStore{Conn: c.target, Slot: c.slot, CreateTable: true}
	if !loaded {
		if err := c.load(ctx, target, store); err != nil {
			return fmt.Errorf("loading: %w", err)
		}
	}
	stream, err := cdc.Open(ctx, cdc.Config{
		Slot: c.slot, Options: map[string]string{"tables": strings.Join(c.tables, ",")},
		Store: store, Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		err = pgx.BeginFunc(ctx, target, func(tx pgx.Tx) error {
			f := c.follower(tx)
			for event, err := range txn.Events() {
				if err == nil {
					err = f.apply(ctx, event)
				}
				if err != nil {
					return err
				}
			}
			return cdc.SaveTx(ctx, stream.Checkpoint(txn), func(ctx context.Context, sql string, args ...any) error {
				_, err := tx.Exec(ctx, sql, args...)
				return err
			})
		})
		if err != nil {
			return err
		}
		stream.Ack(txn)
	}
}

func (c *copier) follower(tx pgx.Tx) *follower { return &follower{tx, c.known, map[string]bool{}} }

// load reads the tables as they are where a new slot begins. What an attempt before has
// left is thrown away, the slot too.
func (c *copier) load(ctx context.Context, target *pgx.Conn, store *cdc.PostgresStore) error {
	if _, err := store.Load(ctx); err != nil { // makes the table
		return err
	}
	if _, err := target.Exec(ctx, "DELETE FROM cdc_checkpoint WHERE slot = $1", c.slot); err != nil {
		return err
	}
	if err := cdc.DropSlot(ctx, "", c.slot); err != nil {
		return err
	}
	slot, err := cdc.CreateSlot(ctx, "", c.slot, cdc.SlotOptions{ExportSnapshot: true})
	if err != nil {
		return err
	}
	defer slot.Close()
	source, err := pgx.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer source.Close(context.Background())
	if err := execAll(ctx, source, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET TRANSACTION SNAPSHOT '"+slot.Snapshot+"'"); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "TRUNCATE "+strings.Join(c.tables, ", ")); err != nil {
			return err
		}
		for _, table := range c.tables {
			n, err := c.follower(tx).rows(ctx, source, table)
			if err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
			slog.Info("loaded", "table", table, "rows", n)
		}
		_, err := tx.Exec(ctx, "INSERT INTO copy_loaded VALUES ($1)", c.slot)
		return err
	})
}

func execAll(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// rows copies those of a table.
func (f *follower) rows(ctx context.Context, source *pgx.Conn, table string) (n int, err error) {
	result, err := source.Query(ctx, "SELECT cdc.snapshot($1::text::regclass)", table)
	if err != nil {
		return 0, err
	}
	defer result.Close()
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	for result.Next() {
		var frame []byte
		if err := result.Scan(&frame); err != nil {
			return n, err
		}
		raw, err := cdc.Unframe(frame)
		if err != nil {
			return n, err
		}
		batch, err := cdc.ParseBatch(raw, schemas)
		if err != nil {
			return n, err
		}
		for _, table := range batch.Announced() { // also of a table without rows
			if err := f.reach(ctx, table); err != nil {
				return n, err
			}
		}
		events := batch.Events()
		for ; events.Next(); n++ {
			if err := f.apply(ctx, events.Event()); err != nil {
				return n, err
			}
		}
		if events.Err() != nil {
			return n, events.Err()
		}
	}
	return n, result.Err()
}

// statement is one with parameters, whose types are those of the columns that they are
// assigned to or compared with.
type statement struct {
	text   strings.Builder
	values [][]byte
}

func (s *statement) value(v []byte) string {
	s.values = append(s.values, v)
	return fmt.Sprintf("$%d", len(s.values))
}

func (s *statement) exec(ctx context.Context, tx pgx.Tx) error {
	return tx.Conn().PgConn().ExecParams(ctx, s.text.String(), s.values, nil, nil, nil).Read().Err
}

func name(c *cdc.Column) string { return identifier(c.Name) }

// find gives a column's text in the first of the rows that has it.
func find(c *cdc.Column, rows ...cdc.Row) ([]byte, bool, error) {
	for _, row := range rows {
		if v, ok, err := row.Find(c.Number); ok || err != nil {
			if err != nil {
				return nil, false, err
			}
			text, err := c.AppendText([]byte{}, v)
			return text, true, err
		}
	}
	return nil, false, nil
}

// apply writes one change.
func (f *follower) apply(ctx context.Context, e *cdc.Event) error {
	if e.Op == cdc.OpSchema {
		return f.change(ctx, e)
	}
	table := e.Table()
	if table == nil {
		return nil // a logical message
	}
	target := identifier(table.Schema, table.Name)
	if e.RewriteStart || e.Op == cdc.OpTruncate {
		if _, err := f.tx.Exec(ctx, "TRUNCATE "+target); err != nil {
			return err
		}
		f.whole[table.String()] = true
	}
	err := f.reach(ctx, table)
	if err != nil {
		return err
	}
	var s statement
	switch e.Op {
	case cdc.OpInsert, cdc.OpRewrite, cdc.OpRead:
		err = insert(&s, target, table, e)
	case cdc.OpUpdate:
		var changed bool
		if changed, err = update(&s, target, table, e); err == nil && changed {
			err = where(&s, table, e)
		}
	case cdc.OpDelete:
		s.text.WriteString("DELETE FROM " + target)
		err = where(&s, table, e)
	}
	if err != nil || s.text.Len() == 0 {
		return err
	}
	return s.exec(ctx, f.tx)
}

// left tells whether a column is left to the copy.
func left(c *cdc.Column) bool { return c.Generated || c.Redaction != 0 }

func insert(s *statement, target string, table *cdc.Table, e *cdc.Event) error {
	var names, values []string
	for i := range table.Columns {
		c := &table.Columns[i]
		if left(c) {
			continue
		}
		text, _, err := find(c, e.Key, e.New) // what is not there is NULL
		if err != nil {
			return err
		}
		names, values = append(names, name(c)), append(values, s.value(text))
	}
	if len(names) == 0 {
		s.text.WriteString("INSERT INTO " + target + " DEFAULT VALUES")
		return nil
	}
	s.text.WriteString("INSERT INTO " + target + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE VALUES (" + strings.Join(values, ", ") + ")")
	return nil
}

// update sets what the event says something about: every other column kept its value.
func update(s *statement, target string, table *cdc.Table, e *cdc.Event) (changed bool, err error) {
	var set []string
	for i := range table.Columns {
		c := &table.Columns[i]
		if left(c) {
			continue
		}
		text, ok, err := find(c, e.NewKey, e.New)
		if err != nil {
			return false, err
		}
		if ok || e.Nulls.Contains(c.Number) {
			set = append(set, name(c)+" = "+s.value(text))
		}
	}
	if len(set) == 0 {
		return false, nil
	}
	s.text.WriteString("UPDATE " + target + " SET " + strings.Join(set, ", "))
	return true, nil
}

// where finds the row by its key.
func where(s *statement, table *cdc.Table, e *cdc.Event) error {
	word := " WHERE "
	for i := range table.Columns {
		c := &table.Columns[i]
		if !c.Key {
			continue
		}
		text, ok, err := find(c, e.Key)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New(table.String() + ": the key of a row is not known")
		}
		s.text.WriteString(word + name(c) + " = " + s.value(text))
		word = " AND "
	}
	if word == " WHERE " {
		return errors.New(table.String() + " has no key")
	}
	return nil
}
