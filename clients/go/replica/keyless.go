package replica

import (
	"context"
	"encoding/binary"

	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Rows without a key are kept under their own bytes and a number, from 0 without
// gaps: equal rows cannot be told apart, so that any of them is as good.

// numbered gives the state's key of a row's copy number n.
func (a *Applier) numbered(row tuple.Row, n uint32) []byte {
	a.key = append(a.key[:0], row...)
	a.key = binary.BigEndian.AppendUint32(a.key, n)
	return a.key
}

// copies counts equal rows: in leaps, then by halves.
func (a *Applier) copies(ctx context.Context, relation string, row tuple.Row) (uint32, error) {
	var err error
	has := func(n uint32) bool {
		if err != nil {
			return false
		}
		var found tuple.Row
		found, err = a.state.Get(ctx, relation, a.numbered(row, n))
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
func (a *Applier) remove(ctx context.Context, relation string, row tuple.Row) (found bool, err error) {
	n, err := a.copies(ctx, relation, row)
	if err != nil || n == 0 {
		return false, err
	}
	return true, a.state.Delete(ctx, relation, a.numbered(row, n-1))
}
