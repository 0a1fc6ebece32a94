// Command copy keeps a copy of tables in another PostgreSQL. The source is where
// the PG* environment points to, the copy at $TARGET, where the tables must exist
// with the same columns. Each transaction is applied together with its position:
// whatever is killed when, every change happens once.
//
//	TARGET='host=replica dbname=copy' copy public.orders public.customers
//
// Tables need a primary key, and no columns of type interval (which the JSON form
// has as an object).
package main

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/clients/go"
)

const slot = "copy"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, tables []string) error {
	target, err := pgx.Connect(ctx, os.Getenv("TARGET"))
	if err != nil {
		return err
	}
	defer target.Close(context.Background())
	stream, err := cdc.Open(ctx, cdc.Config{
		Slot: slot, CreateSlot: true,
		Options: map[string]string{"tables": strings.Join(tables, ",")},
		Store:   &cdc.PostgresStore{Conn: os.Getenv("TARGET"), Slot: slot, CreateTable: true},
		Logger:  slog.Default(),
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
			for event, err := range txn.Events() {
				if err == nil {
					err = apply(ctx, tx, event)
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

// apply writes one change. The rows travel as JSON, which PostgreSQL takes apart.
func apply(ctx context.Context, tx pgx.Tx, e *cdc.Event) error {
	table := e.Table()
	if table == nil {
		return nil // a logical message
	}
	name := pgx.Identifier{table.Schema, table.Name}.Sanitize()
	record := func(parameter string) string { return "json_populate_record(NULL::" + name + ", " + parameter + ")" }
	key, err := table.AppendJSON(nil, e.Key)
	if err != nil {
		return err
	}
	var keys, set []string
	for _, c := range table.Columns {
		column := pgx.Identifier{c.Name}.Sanitize()
		if c.Key {
			keys = append(keys, column)
		}
		if changed, err := changes(e, &c); err != nil {
			return err
		} else if changed {
			set = append(set, column)
		}
	}
	if e.Op != cdc.OpTruncate && len(keys) == 0 {
		return errors.New(name + " has no key")
	}
	same := "(" + strings.Join(keys, ", ") + ") = (SELECT " + strings.Join(keys, ", ") + " FROM " + record("$1::json") + ")"
	switch e.Op {
	case cdc.OpInsert, cdc.OpRewrite:
		if e.RewriteStart {
			if _, err := tx.Exec(ctx, "TRUNCATE "+name); err != nil {
				return err
			}
		}
		row, err := table.AppendJSON(nil, append(append(cdc.Row{}, e.Key...), e.New...))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO "+name+" SELECT * FROM "+record("$1::json"), string(row))
		return err
	case cdc.OpUpdate:
		if len(set) == 0 {
			return nil
		}
		row, err := table.AppendJSON(nil, append(append(cdc.Row{}, e.NewKey...), e.New...))
		if err != nil {
			return err
		}
		list := strings.Join(set, ", ")
		_, err = tx.Exec(ctx, "UPDATE "+name+" SET ("+list+") = (SELECT "+list+" FROM "+record("$2::json")+") WHERE "+same,
			string(key), string(row))
		return err
	case cdc.OpDelete:
		_, err = tx.Exec(ctx, "DELETE FROM "+name+" WHERE "+same, string(key))
		return err
	case cdc.OpTruncate:
		_, err = tx.Exec(ctx, "TRUNCATE "+name)
		return err
	}
	return nil
}

// changes tells whether an UPDATE says something about a column: every other one
// kept its value.
func changes(e *cdc.Event, c *cdc.Column) (bool, error) {
	_, ok, err := e.New.Find(c.Number)
	if err == nil && !ok {
		_, ok, err = e.NewKey.Find(c.Number)
	}
	return ok || e.Nulls.Contains(c.Number), err
}
