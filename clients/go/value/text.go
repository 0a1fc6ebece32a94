package value

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// AppendText appends a value of a type as text that PostgreSQL reads back to the same
// value; element and pgType are those of an array.
func AppendText(dst []byte, t, element Type, pgType string, v tuple.RawValue) ([]byte, error) {
	switch t {
	case TypeArray:
		a, err := arrayValue(element, v)
		if err != nil {
			return dst, err
		}
		array := a.(Array)
		return array.append(dst, delimiter(pgType))
	case TypeText, TypeOther, TypeJSON, TypeNumeric:
		if v.Wire != jsonRenderers[t].wire {
			return dst, fault.Damaged("field of a row does not have its column's wire type")
		}
		return append(dst, v.Bytes...), nil
	case TypeInterval:
		i, err := parseInterval(v.Bytes)
		if err != nil {
			return dst, err
		}
		return i.append(dst), nil
	}
	// As in JSON, whose strings have nothing to escape here.
	at := len(dst)
	dst, err := appendJSONScalar(dst, t, &v)
	if err == nil && len(dst) > at+1 && dst[at] == '"' {
		var text string
		if err = json.Unmarshal(dst[at:], &text); err == nil {
			dst = append(dst[:at], text...)
		}
	}
	return dst, err
}

func (i Interval) append(dst []byte) []byte {
	if i.Infinity() != 0 {
		return append(dst, i.infinity()...)
	}
	// Microseconds alone would be read by way of a float.
	us, sign := uint64(i.Microseconds), ""
	if i.Microseconds < 0 {
		us, sign = -us, "-"
	}
	return fmt.Appendf(dst, "%d mons %d days %s%d:%02d:%02d.%06d", i.Months, i.Days, sign, us/3600e6, us/60e6%60, us/1e6%60, us%1e6)
}

// delimiter of an array's elements. Of PostgreSQL's own types box alone has another.
func delimiter(pgType string) byte {
	if pgType == "pg_catalog.box[]" {
		return ';'
	}
	return ','
}

// append writes the array as PostgreSQL reads it.
func (a *Array) append(dst []byte, delimiter byte) ([]byte, error) {
	if len(a.Dimensions) == 0 {
		return append(dst, "{}"...), nil
	}
	usual := true
	for _, bound := range a.LowerBounds {
		usual = usual && bound == 1
	}
	if !usual {
		for i, size := range a.Dimensions {
			dst = fmt.Appendf(dst, "[%d:%d]", a.LowerBounds[i], a.LowerBounds[i]+size-1)
		}
		dst = append(dst, '=')
	}
	elements := a.Elements
	var err error
	var level func(depth int)
	level = func(depth int) {
		dst = append(dst, '{')
		for i := range a.Dimensions[depth] {
			if i > 0 {
				dst = append(dst, delimiter)
			}
			if depth+1 < len(a.Dimensions) {
				level(depth + 1)
			} else if len(elements) == 0 {
				err = fault.Damaged("array has too few elements")
				return
			} else {
				dst = appendElement(dst, elements[0])
				elements = elements[1:]
			}
		}
		dst = append(dst, '}')
	}
	level(0)
	return dst, err
}

var elementQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func appendElement(dst []byte, v any) []byte {
	if v == nil {
		return append(dst, "NULL"...)
	}
	text := ""
	switch v := v.(type) {
	case float32:
		text = string(pgtext.AppendFloat(nil, float64(v), 32))
	case float64:
		text = string(pgtext.AppendFloat(nil, v, 64))
	case bool:
		text = strconv.FormatBool(v)
	case []byte:
		text = fmt.Sprintf(`\x%x`, v)
	case json.RawMessage:
		text = string(v)
	default: // strings, numbers, UUIDs
		text = fmt.Sprint(v)
	}
	return append(append(append(dst, '"'), elementQuotes.Replace(text)...), '"')
}
