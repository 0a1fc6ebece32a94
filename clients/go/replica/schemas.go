package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// ErrLoadAgain: a table was altered whenever its load was about to read it, a hundred times
// in a row. What was loaded of others stays: go on when that is over.
var ErrLoadAgain = errors.New("begin the load anew")

// follow takes a relation's rows from the schema that they have to that of an
// event: columns that are gone, columns that are new, other types, another key.
func (t *tables) follow(ctx context.Context, relation string, table *schema.Table) error {
	known, err := t.known(ctx, relation)
	if err != nil {
		return err
	}
	if known != nil && known.Fingerprint == table.Fingerprint {
		return nil
	}
	if known != nil {
		if err := t.convert(ctx, relation, known, table); err != nil {
			return err
		}
	}
	if err := t.state.SetSchema(ctx, relation, table.Bytes); err != nil {
		return err
	}
	t.schemas[relation] = table
	return nil
}

// known gives the schema that a relation's rows have, nil if there are none yet.
func (t *tables) known(ctx context.Context, relation string) (*schema.Table, error) {
	if table := t.schemas[relation]; table != nil {
		return table, nil
	}
	stored, err := t.state.Schema(ctx, relation)
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	table, err := schema.ParseTable(bytes.Clone(stored), schema.Limits{})
	if err == nil {
		t.schemas[relation] = table
	}
	return table, err
}

// convert rewrites a relation's rows if the change of schema makes it necessary.
func (t *tables) convert(ctx context.Context, relation string, from, to *schema.Table) error {
	plan, err := planConversion(from, to)
	if err != nil {
		return t.unlessEmpty(ctx, relation, err)
	}
	if !plan.needed {
		return nil
	}
	var rows []tuple.Row
	err = t.state.Scan(ctx, relation, func(_ []byte, row tuple.Row) error {
		converted, err := plan.row(row)
		rows = append(rows, converted)
		return err
	})
	if err == nil {
		err = t.state.Truncate(ctx, relation)
	}
	for _, row := range rows {
		if err != nil {
			return err
		}
		err = t.put(ctx, relation, to, keyOf(to, row), row)
	}
	return err
}

// errRow is that there is a row.
var errRow = errors.New("a row")

// unlessEmpty is the error, if a relation has rows.
func (t *tables) unlessEmpty(ctx context.Context, relation string, wrong error) error {
	err := t.state.Scan(ctx, relation, func([]byte, tuple.Row) error { return errRow })
	if errors.Is(err, errRow) {
		return wrong
	}
	return err
}

// errConversion: rows cannot be taken from one schema to another.
var errConversion = errors.New("not known to keep values")

// keyOf gives the key columns of a row.
func keyOf(table *schema.Table, row tuple.Row) (key tuple.Row) {
	c := wire.Over(row)
	for c.Next() {
		number := c.Field.Number
		if number > tuple.RedactedBase {
			number -= tuple.RedactedBase
		}
		if column := table.Column(number); column != nil && column.Key {
			key = append(key, c.Field.Raw...)
		}
	}
	return key
}

type conversion struct {
	needed  bool
	plain   bool // rows must not remember a load: they are looked for by their content
	gone    map[uint32]bool
	missing tuple.Row
	retype  map[uint32]bool // INT32 to UINT32 or back
	toUint  bool
}

func planConversion(from, to *schema.Table) (*conversion, error) {
	p := &conversion{gone: map[uint32]bool{}, retype: map[uint32]bool{}, plain: !to.HasKey()}
	for i := range from.Columns {
		before := &from.Columns[i]
		after := to.Column(before.Number)
		if after == nil {
			p.gone[before.Number], p.needed = true, true
			continue
		}
		if before.Key != after.Key {
			p.needed = true
		}
		if err := p.sameValue(before, after); err != nil {
			return nil, err
		}
	}
	for i := range to.Columns {
		c := &to.Columns[i]
		if from.Column(c.Number) == nil && len(c.Missing) > 0 {
			p.missing, p.needed = append(p.missing, c.Missing...), true
		}
	}
	return p, nil
}

// sameValue sees to it that values of rows that the server did not write anew
// mean the same under the new type.
func (p *conversion) sameValue(before, after *schema.Column) error {
	if before.Type == after.Type && before.Element == after.Element {
		return nil
	}
	integers := before.Type == value.TypeInt32 && after.Type == value.TypeUint32 || before.Type == value.TypeUint32 && after.Type == value.TypeInt32
	times := before.Type == value.TypeTimestamp && after.Type == value.TypeTimestampTZ || before.Type == value.TypeTimestampTZ && after.Type == value.TypeTimestamp
	switch {
	case integers:
		p.retype[after.Number], p.needed = true, true
		p.toUint = after.Type == value.TypeUint32
	case times, isText(before.Type) && isText(after.Type):
	default:
		return fmt.Errorf("cdc: column %q changed from %s to %s without a rewrite, which is %w",
			after.Name, before.PgType, after.PgType, errConversion)
	}
	return nil
}

func isText(t value.Type) bool {
	return t == value.TypeText || t == value.TypeJSON || t == value.TypeOther || t == value.TypeNumeric
}

func (p *conversion) row(row tuple.Row) (tuple.Row, error) {
	out := append(tuple.Row{}, p.missing...)
	c := wire.Over(row)
	for c.Next() {
		f := &c.Field
		switch {
		case p.plain && f.Number == loadField:
		case p.gone[f.Number], f.Number > tuple.RedactedBase && p.gone[f.Number-tuple.RedactedBase]:
		case p.retype[f.Number] && p.toUint:
			out = wire.AppendUint(out, f.Number, uint64(uint32(int32(wire.Unzigzag(f.Uint)))))
		case p.retype[f.Number]:
			out = wire.AppendUint(out, f.Number, wire.Zigzag(int64(int32(uint32(f.Uint)))))
		default:
			out = append(out, f.Raw...)
		}
	}
	if c.Err() != nil {
		return nil, fault.DamagedBy("row", c.Err())
	}
	return tuple.Sorted(out)
}
