// Package tables compares a copy of tables with their source, for the examples.
package tables

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/clients/go"
)

// Compare compares tables of a copy with those at the source, which must stand still meanwhile, and
// be read to the end. Rows that both have cancel out.
func Compare(ctx context.Context, source string, copied *cdc.TopicApplier, names []string) error {
	conn, err := pgx.Connect(ctx, source)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for _, name := range names {
		rows := map[string]int{}
		n, err := read(ctx, conn, name, func(row cdc.Row) { rows[string(row)]++ })
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		err = copied.Rows(ctx, name, func(_ *cdc.Table, row cdc.Row) error {
			if rows[string(row)]--; rows[string(row)] == 0 {
				delete(rows, string(row))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for row, more := range rows {
			return fmt.Errorf("%s: %d rows differ, one of them is %x (%+d at the source)", name, len(rows), row, more)
		}
		fmt.Printf("%s: %d rows, the same in the copy\n", name, n)
	}
	return nil
}

// read gives the rows of a table as the stream has them.
func read(ctx context.Context, conn *pgx.Conn, name string, use func(row cdc.Row)) (n int, err error) {
	rows, err := conn.Query(ctx, "SELECT cdc.snapshot($1::text::regclass)", name)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	for rows.Next() {
		batch, err := cdc.Unframe(rows.RawValues()[0])
		if err != nil {
			return 0, err
		}
		b, err := cdc.ParseBatch(batch, schemas)
		if err != nil {
			return 0, err
		}
		c := b.Events()
		for c.Next() {
			row, err := cdc.Sorted(append(append(cdc.Row{}, c.Event().Key...), c.Event().New...))
			if err != nil {
				return 0, err
			}
			use(row)
			n++
		}
		if c.Err() != nil {
			return 0, c.Err()
		}
	}
	return n, rows.Err()
}
