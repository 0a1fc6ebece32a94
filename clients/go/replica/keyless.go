package replica

import (
	"context"
	"encoding/binary"

	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Rows without a key are kept under their own bytes and a number, from 0 without
// gaps: equal rows cannot be told apart, so that any of them is as good.

// numbered gives the state's key of a row's copy number n.
func (t *tables) numbered(row tuple.Row, n uint32) []byte {
	t.key = append(t.key[:0], row...)
	t.key = binary.BigEndian.AppendUint32(t.key, n)
	return t.key
}

// copies counts equal rows: in leaps, then by halves.
func (t *tables) copies(ctx context.Context, relation string, row tuple.Row) (uint32, error) {
	var err error
	has := func(n uint32) bool {
		if err != nil {
			return false
		}
		var found tuple.Row
		found, err = t.state.Get(ctx, relation, t.numbered(row, n))
		return found != nil
	}
	if !has(0) {
		return 0, err
	}
	low, high := uint32(0), uint32(1) // there is one of number low, none of number high
	for has(high) {
		low, high = high, 2*high
	}
	for high-low > 1 && err == nil {
		if middle := low + (high-low)/2; has(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return high, err
}

// remove removes one of the rows that are equal to this one.
func (t *tables) remove(ctx context.Context, relation string, row tuple.Row) (found bool, err error) {
	n, err := t.copies(ctx, relation, row)
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.state.Delete(ctx, relation, t.numbered(row, n-1))
}
