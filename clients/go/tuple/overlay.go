package tuple

import (
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Overlay gives the row after a change: the fields of base whose numbers are
// neither in delta nor in nulls, then delta. It is appended to dst and needs no
// schema; fields that nobody knows survive it. (Merging as Protobuf does would
// append arrays and merge messages.) A number in nulls removes the column's redacted
// value as well.
//
// The row after an UPDATE is
//
//	Overlay(nil, before, Join(event.Key or NewKey, event.New), event.Nulls)
//
// With damage, the error is a DamageError and the result nil.
func Overlay(dst []byte, base, delta Row, nulls Numbers) (Row, error) {
	covered, err := NumbersOf(delta)
	if err != nil {
		return nil, err
	}
	nulls.Each(func(n uint32) {
		covered.Set(n)
		covered.Set(RedactedBase + n)
	})
	c := wire.Over(base)
	for c.Next() {
		if !covered.Has(c.Field.Number) {
			dst = append(dst, c.Field.Raw...)
		}
	}
	if c.Err() != nil {
		return nil, fault.DamagedBy("row", c.Err())
	}
	return append(dst, delta...), nil
}

// NumberSet is a set of field numbers: a bit for each that a row can have, and
// a list for those of newer servers.
type NumberSet struct {
	bits  [(RedactedBase+MaxColumns)/64 + 1]uint64
	other []uint32
}

// Set adds a number.
func (s *NumberSet) Set(n uint32) {
	if n < uint32(len(s.bits)*64) {
		s.bits[n/64] |= 1 << (n % 64)
		return
	}
	s.other = append(s.other, n)
}

// Has tells whether a number is in the set.
func (s *NumberSet) Has(n uint32) bool {
	if n < uint32(len(s.bits)*64) {
		return s.bits[n/64]>>(n%64)&1 != 0
	}
	for _, o := range s.other {
		if o == n {
			return true
		}
	}
	return false
}

// NumbersOf gives the numbers of a row's fields.
func NumbersOf(row Row) (s NumberSet, err error) {
	c := wire.Over(row)
	for c.Next() {
		s.Set(c.Field.Number)
	}
	if c.Err() != nil {
		return s, fault.DamagedBy("row", c.Err())
	}
	return s, nil
}
