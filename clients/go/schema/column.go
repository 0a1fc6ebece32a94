package schema

import (
	"fmt"

	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// Value gives a value of the column as one of the types bool, int32, int64,
// uint32, float32, float64, Numeric, string (text and everything that has no type
// here), json.RawMessage, []byte, UUID, Timestamp, Date, TimeOfDay, TimeTZ,
// Interval, Array. Strings and bytes are copies.
func (c *Column) Value(v tuple.RawValue) (any, error) {
	var out any
	var err error
	if v.Number == tuple.RedactedBase+c.Number {
		out, err = value.OfRedacted(v)
	} else {
		out, err = value.Of(c.Type, c.Element, v)
	}
	if err != nil {
		return nil, c.wrong(err)
	}
	return out, nil
}

func (c *Column) wrong(err error) error { return fmt.Errorf("column %q: %w", c.Name, err) }

// AppendText appends a value of the column as text that PostgreSQL reads back to the
// same value: what a parameter of the column's type takes. JSON is as it came; the null
// of JSON is the word null, and no SQL NULL. A redacted value is an error.
func (c *Column) AppendText(dst []byte, v tuple.RawValue) ([]byte, error) {
	if v.Number == tuple.RedactedBase+c.Number {
		return dst, c.wrong(fmt.Errorf("the value is redacted"))
	}
	dst, err := value.AppendText(dst, c.Type, c.Element, c.PgType, v)
	if err != nil {
		return dst, c.wrong(err)
	}
	return dst, nil
}

// AppendJSON appends a value of the column in the JSON form.
func (c *Column) AppendJSON(dst []byte, v tuple.RawValue) ([]byte, error) {
	return value.AppendJSON(dst, c.Type, c.Element, &v)
}

// Values gives the values of a row by the names of their columns, as Column.Value
// does. Columns that the row does not have are not there; fields that the table
// does not know are left out.
func (t *Table) Values(row tuple.Row) (map[string]any, error) {
	values := map[string]any{}
	c := row.Values()
	for c.Next() {
		v := c.Value()
		column := t.Column(v.Number)
		if column == nil && v.Number > tuple.RedactedBase {
			column = t.Column(v.Number - tuple.RedactedBase)
		}
		if column == nil {
			continue
		}
		value, err := column.Value(v)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		values[column.Name] = value
	}
	return values, c.Err()
}

// AppendJSON appends a row of the table as an object, name of the column to value,
// in the JSON form. Columns that the row does not have are left out, and fields
// that the table does not have.
func (t *Table) AppendJSON(dst []byte, row tuple.Row) ([]byte, error) {
	dst = append(dst, '{')
	c := row.Values()
	for first := true; c.Next(); {
		v := c.Value()
		column := t.Column(v.Number)
		if column == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(pgtext.AppendJSONString(dst, column.Name), ':')
		var err error
		if dst, err = value.AppendJSON(dst, column.Type, column.Element, &v); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), c.Err()
}
