package cdc

// AppendJSON appends a row of the table as an object, name of the column to value,
// in the JSON form. Columns that the row does not have are left out, and fields
// that the table does not have.
func (t *Table) AppendJSON(dst []byte, row Row) ([]byte, error) {
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
		dst = append(appendJSONString(dst, column.Name), ':')
		var err error
		if dst, err = column.appendJSON(dst, &v); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), c.Err()
}
