package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/bench/compare/rows"
)

// stream hands over events, with all that the client does about them.
func stream(ctx context.Context, slot string, transport cdc.Transport, events int, use func(*cdc.Event, *tally) error) (t tally, err error) {
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	s, err := cdc.Open(ctx, cdc.Config{Conn: conninfo, Slot: slot, Transport: transport, Options: map[string]string{"tables": "public.mixed"},
		Store: cdc.FileStore(filepath.Join(dir, "checkpoint"))})
	if err != nil {
		return t, err
	}
	defer s.Close()
	for t.Events < events {
		txn, err := s.Next(ctx)
		if err != nil {
			return t, err
		}
		for e, err := range txn.Events() {
			if err != nil {
				return t, err
			}
			if err := use(e, &t); err != nil {
				return t, err
			}
			t.Events++
		}
	}
	return t, nil
}

// cdcViews goes to every value, and leaves it where it is.
func cdcViews(ctx context.Context, slot string, events int) (tally, error) {
	return stream(ctx, slot, cdc.TransportReplication, events, func(e *cdc.Event, t *tally) error {
		for _, row := range [...]cdc.Row{e.Key, e.New} {
			c := row.Values()
			for c.Next() {
				if v := c.Value(); v.Number == 0 {
					return fmt.Errorf("field 0")
				}
				t.Values++
			}
			if c.Err() != nil {
				return c.Err()
			}
		}
		return nil
	})
}

// cdcValues makes of every value what Column.Value gives for its type.
func cdcValues(ctx context.Context, slot string, events int) (tally, error) {
	return values(ctx, slot, cdc.TransportReplication, events)
}

// cdcFetch is cdcValues by SQL.
func cdcFetch(ctx context.Context, slot string, events int) (tally, error) {
	return values(ctx, slot, cdc.TransportFetch, events)
}

func values(ctx context.Context, slot string, transport cdc.Transport, events int) (tally, error) {
	return stream(ctx, slot, transport, events, func(e *cdc.Event, t *tally) error {
		table := e.Table()
		for _, row := range [...]cdc.Row{e.Key, e.New} {
			c := row.Values()
			for c.Next() {
				raw := c.Value()
				v, err := table.Column(raw.Number).Value(raw)
				if err != nil {
					return err
				}
				if raw.Number == 2 {
					t.Quantity += int64(v.(int32))
				}
				t.Values++
			}
			if c.Err() != nil {
				return c.Err()
			}
		}
		return nil
	})
}

// cdcStruct makes a struct of every row, of the type that cdc.proto() gave.
func cdcStruct(ctx context.Context, slot string, events int) (tally, error) {
	decoder := cdc.NewDecoder[*rows.Mixed]()
	return stream(ctx, slot, cdc.TransportReplication, events, func(e *cdc.Event, t *tally) error {
		row, err := decoder.After(e)
		if err != nil {
			return err
		}
		t.Quantity += int64(row.GetQuantity())
		t.Values += 9
		if row.Note != nil {
			t.Values++
		}
		return nil
	})
}
