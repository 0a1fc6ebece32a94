package tuple

import (
	"cmp"
	"slices"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Sorted gives a row's fields in the order of their numbers, as the server writes
// them: rows with equal values have equal bytes then. The row itself is returned
// if they are in order.
func Sorted(row Row) (Row, error) {
	last, inOrder := uint32(0), true
	c := wire.Over(row)
	for c.Next() {
		inOrder = inOrder && c.Field.Number > last
		last = c.Field.Number
	}
	if c.Err() != nil {
		return nil, fault.DamagedBy("row", c.Err())
	}
	if inOrder {
		return row, nil
	}
	type field struct {
		number uint32
		raw    []byte
	}
	var fields []field
	for c := wire.Over(row); c.Next(); {
		fields = append(fields, field{c.Field.Number, c.Field.Raw})
	}
	slices.SortStableFunc(fields, func(x, y field) int { return cmp.Compare(x.number, y.number) })
	out := make(Row, 0, len(row))
	for _, f := range fields {
		out = append(out, f.raw...)
	}
	return out, nil
}
