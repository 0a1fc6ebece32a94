package value

import (
	"math"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Fields of the *Array messages.
const (
	arrayValues      = 1
	arrayNulls       = 2
	arrayDimensions  = 3
	arrayLowerBounds = 4
)

// maxDimensions of an array in PostgreSQL.
const maxDimensions = 6

// elementWire gives the wire type of elements; those that are no number are
// length-delimited.
func elementWire(t Type) wire.Type {
	switch t {
	case TypeBool, TypeInt32, TypeInt64, TypeUint32:
		return wire.Varint
	case TypeFloat:
		return wire.Fixed32
	case TypeDouble:
		return wire.Fixed64
	}
	return wire.Len
}

// elementCursor walks over the elements, which may be in several fields.
type elementCursor struct {
	wire   wire.Type
	fields wire.Cursor
	packed []byte
	value  tuple.RawValue
	err    error
}

func elementsOf(element Type, raw []byte) elementCursor {
	return elementCursor{wire: elementWire(element), fields: wire.Over(raw)}
}

func (c *elementCursor) next() bool {
	for {
		if len(c.packed) > 0 {
			f, n, err := wire.Value(c.wire, c.packed)
			if err != nil {
				c.err = fault.DamagedBy("array", err)
				return false
			}
			c.packed = c.packed[n:]
			c.value = tuple.RawValue{Bits: f.Uint, Bytes: f.Bytes, Wire: f.Type}
			return true
		}
		if !c.fields.Next() {
			if c.fields.Err() != nil {
				c.err = fault.DamagedBy("array", c.fields.Err())
			}
			return false
		}
		f := &c.fields.Field
		switch {
		case f.Number != arrayValues:
		case f.Type == c.wire:
			c.value = tuple.RawValue{Bits: f.Uint, Bytes: f.Bytes, Wire: f.Type}
			return true
		case f.Type != wire.Len:
			c.err = fault.Damaged("elements of an array have the wrong wire type")
			return false
		default:
			c.packed = f.Bytes
		}
	}
}

// arrayView is an array as it was read: all but the elements.
type arrayView struct {
	element Type
	raw     []byte
	n       int
	nulls   []uint64 // a bit for each element; nil: none is NULL
	ndim    int
	dims    [maxDimensions]int
	bounds  [maxDimensions]int64
}

func (a *arrayView) isNull(i int) bool { return a.nulls != nil && a.nulls[i/64]>>(i%64)&1 != 0 }

func parseArray(element Type, raw []byte) (a arrayView, err error) {
	a.element, a.raw = element, raw
	elements := elementsOf(element, raw)
	for elements.next() {
		a.n++
	}
	if elements.err != nil {
		return a, elements.err
	}
	var dims, bounds [maxDimensions]uint64
	ndim, nbounds := 0, 0
	c := wire.Over(raw)
	for c.Next() && err == nil {
		switch c.Field.Number {
		case arrayNulls:
			err = eachVarint(&c.Field, a.addNull)
		case arrayDimensions:
			err = eachVarint(&c.Field, func(v uint64) error { return put(&dims, &ndim, v) })
		case arrayLowerBounds:
			err = eachVarint(&c.Field, func(v uint64) error { return put(&bounds, &nbounds, v) })
		}
	}
	if err != nil {
		return a, err
	}
	if ndim != nbounds {
		return a, fault.Damaged("array has other numbers of dimensions and lower bounds")
	}
	a.ndim = ndim
	return a, a.shape(&dims, &bounds)
}

func eachVarint(f *wire.Field, use func(uint64) error) error {
	if f.Type == wire.Varint {
		return use(f.Uint)
	}
	if f.Type != wire.Len {
		return fault.Damaged("array has a field of the wrong wire type")
	}
	for rest := f.Bytes; len(rest) > 0; {
		v, n := wire.ReadVarint(rest)
		if n == 0 {
			return fault.DamagedBy("array", wire.ErrVarint)
		}
		if err := use(v); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func put(list *[maxDimensions]uint64, n *int, v uint64) error {
	if *n == maxDimensions {
		return fault.Damaged("array has too many dimensions")
	}
	list[*n] = v
	*n++
	return nil
}

func (a *arrayView) addNull(at uint64) error {
	if at >= uint64(a.n) {
		return fault.Damaged("array has a NULL beyond its end")
	}
	if a.nulls == nil {
		a.nulls = make([]uint64, a.n/64+1)
	}
	a.nulls[at/64] |= 1 << (at % 64)
	return nil
}

// shape checks that the product of the dimensions is the number of elements.
func (a *arrayView) shape(dims, bounds *[maxDimensions]uint64) error {
	if a.ndim == 0 {
		if a.n > 0 {
			a.ndim, a.dims[0], a.bounds[0] = 1, a.n, 1
		}
		return nil
	}
	product := uint64(1)
	for i := 0; i < a.ndim; i++ {
		if dims[i] == 0 || dims[i] > uint64(a.n) || bounds[i] > math.MaxUint32 {
			return fault.Damaged("array has a dimension out of range")
		}
		if product *= dims[i]; product > uint64(a.n) {
			break
		}
		a.dims[i], a.bounds[i] = int(dims[i]), wire.Unzigzag(bounds[i])
	}
	if product != uint64(a.n) {
		return fault.Damaged("dimensions of an array do not give the number of its elements")
	}
	return nil
}
