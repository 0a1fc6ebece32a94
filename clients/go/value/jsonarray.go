package value

import (
	"bytes"
	"math"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// appendJSONArray appends an array: nested arrays, or with a lower bound other
// than 1, or with an element that is the null of JSON, a string that has PostgreSQL's
// array literal.
func appendJSONArray(dst []byte, element Type, v *tuple.RawValue) ([]byte, error) {
	if v.Wire != wire.Len {
		return dst, fault.Damaged("field of a row does not have its column's wire type")
	}
	a, err := parseArray(element, v.Bytes)
	if err != nil {
		return dst, err
	}
	if a.ndim == 0 {
		return append(dst, "[]"...), nil
	}
	w := arrayWriter{view: &a, elements: elementsOf(element, v.Bytes)}
	for _, b := range a.bounds[:a.ndim] {
		w.literal = w.literal || b != 1
	}
	usual := !w.literal
	if element == TypeJSON && usual {
		w.literal = hasJSONNull(&a, elementsOf(element, v.Bytes))
	}
	if !w.literal {
		return w.dimension(dst, 0)
	}
	var text []byte
	for i := 0; i < a.ndim && !usual; i++ {
		text = strconv.AppendInt(append(text, '['), a.bounds[i], 10)
		text = strconv.AppendInt(append(text, ':'), a.bounds[i]+int64(a.dims[i])-1, 10)
		text = append(text, ']')
	}
	if !usual {
		text = append(text, '=')
	}
	if text, err = w.dimension(text, 0); err != nil {
		return dst, err
	}
	if !pgtext.Valid(text) {
		return dst, fault.Damaged("text is not valid UTF-8")
	}
	return pgtext.AppendJSONString(dst, text), nil
}

// hasJSONNull tells whether an element is the null of JSON, which would look like NULL.
func hasJSONNull(a *arrayView, elements elementCursor) bool {
	for at := 0; elements.next(); at++ {
		if !a.isNull(at) && string(bytes.Trim(elements.value.Bytes, " \t\n\r")) == "null" {
			return true
		}
	}
	return false
}

// arrayWriter stands before its view's element number at.
type arrayWriter struct {
	view     *arrayView
	elements elementCursor
	at       int
	literal  bool
}

// dimension appends one, and those below it: at most six levels.
func (w *arrayWriter) dimension(dst []byte, dim int) ([]byte, error) {
	brackets, null, err := "[]", "null", error(nil)
	if w.literal {
		brackets, null = "{}", "NULL"
	}
	dst = append(dst, brackets[0])
	for i := 0; i < w.view.dims[dim]; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dim+1 < w.view.ndim {
			dst, err = w.dimension(dst, dim+1)
		} else {
			w.elements.next()
			switch isNull := w.view.isNull(w.at); {
			case isNull:
				dst = append(dst, null...)
			case w.literal:
				dst, err = appendLiteralElement(dst, w.view.element, &w.elements.value)
			default:
				dst, err = appendJSONScalar(dst, textInArrays(w.view.element), &w.elements.value)
			}
			w.at++
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, brackets[1]), nil
}

// textInArrays: types that are no text in rows but in arrays.
func textInArrays(t Type) Type {
	switch t {
	case TypeTimestamp, TypeTimestampTZ, TypeDate, TypeTime, TypeTimeTZ, TypeInterval:
		return TypeOther
	}
	return t
}

// appendLiteralElement appends an element as array_out() does.
func appendLiteralElement(dst []byte, t Type, v *tuple.RawValue) ([]byte, error) {
	var text []byte
	var err error
	switch t {
	case TypeBool:
		if text = []byte("f"); v.Bits != 0 {
			text = []byte("t")
		}
	case TypeInt32, TypeInt64, TypeUint32:
		text, err = appendJSONScalar(nil, t, v)
	case TypeFloat:
		text = pgtext.AppendFloat(nil, float64(math.Float32frombits(uint32(v.Bits))), 32)
	case TypeDouble:
		text = pgtext.AppendFloat(nil, math.Float64frombits(v.Bits), 64)
	case TypeBytes:
		text = pgtext.AppendHex([]byte(`\x`), v.Bytes)
	case TypeUUID:
		if len(v.Bytes) != 16 {
			return dst, fault.Damaged("uuid is not 16 bytes long")
		}
		text = pgtext.AppendUUID(nil, v.Bytes)
	default:
		text = v.Bytes
	}
	if err != nil {
		return dst, err
	}
	if !needsQuotes(text) {
		return append(dst, text...), nil
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"'), nil
}

func needsQuotes(text []byte) bool {
	return len(text) == 0 || bytes.EqualFold(text, []byte("NULL")) ||
		bytes.ContainsAny(text, "\"\\{}, \t\n\r\v\f")
}
