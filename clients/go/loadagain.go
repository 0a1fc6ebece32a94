package cdc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// again reads the row with a key, nil if there is none. The row remembers the
// snapshot.
func (l *Loader) again(ctx context.Context, table *Table, key Row) (found Row, err error) {
	t := l.progress.relation(table.String())
	if t == nil {
		return nil, fmt.Errorf("%v was not loaded", table)
	}
	literal, err := keyLiteral(table, t.KeyColumns, key)
	if err != nil {
		return nil, err
	}
	err = l.read(ctx, t.Name, &literal, &literal, func(b *Batch, place int) error {
		c := b.Events()
		for c.Next() {
			e := c.Event()
			if e.Failed() {
				return damaged("the row can not be encoded")
			}
			row, err := Sorted(append(append(Row{}, e.Key...), e.New...))
			if err != nil {
				return err
			}
			found = tagged(row, place)
		}
		return c.Err()
	})
	return found, err
}

func (p *LoadProgress) relation(name string) *TableProgress {
	for i := range p.Tables {
		if p.Tables[i].Relation == name {
			return &p.Tables[i]
		}
	}
	return nil
}

func parseNames(data []byte, names *[]string) error {
	*names = nil
	return json.Unmarshal(data, names)
}

// keyLiteral gives the values of a key as a literal of type text[], in the order
// of the key's columns.
func keyLiteral(table *Table, columns []string, key Row) (string, error) {
	var list []string
	for _, name := range columns {
		c := table.ColumnNamed(name)
		if c == nil {
			return "", fmt.Errorf("column %q of the key is not in the stream", name)
		}
		v, ok, err := key.Find(c.Number)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", fmt.Errorf("column %q is not in the key", name)
		}
		text, err := c.text(v)
		if err != nil {
			return "", err
		}
		list = append(list, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)+`"`)
	}
	return "{" + strings.Join(list, ",") + "}", nil
}

// text gives a value in a form that PostgreSQL reads.
func (c *Column) text(v RawValue) (string, error) {
	switch c.Type {
	case TypeArray, TypeInterval:
		return "", fmt.Errorf("column %q: a key of type %s can not be read again", c.Name, c.PgType)
	case TypeText, TypeJSON, TypeOther, TypeNumeric:
		return string(v.Bytes), nil
	case TypeBytes:
		return string(appendHex([]byte(`\x`), v.Bytes)), nil
	}
	rendered, err := c.AppendJSON(nil, v)
	return strings.Trim(string(rendered), `"`), err
}
