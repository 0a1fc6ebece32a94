package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// reload reads a table, after a transaction whose xid is given.
func (l *Loader) reload(ctx context.Context, t *TableProgress, xid uint32) error {
	if xid != 0 { // not of a message
		if err := l.visible(ctx, xid); err != nil {
			return err
		}
	}
	return l.table(ctx, t)
}

// visible waits until snapshots see a transaction that has committed: the stream may
// tell of it a little sooner.
func (l *Loader) visible(ctx context.Context, xid uint32) error {
	for {
		rows, err := l.query(ctx, "SELECT pg_catalog.pg_current_snapshot()")
		if err != nil {
			return err
		}
		s, err := wal.ParseSnapshot(string(rows[0][0]))
		if err != nil || s.Sees(xid) {
			return err
		}
		timer := time.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// reread reads the row with a key, nil if there is none, after a transaction whose xid
// is given. The row remembers the snapshot.
func (l *Loader) reread(ctx context.Context, t *TableProgress, table *schema.Table, key tuple.Row, xid uint32) (found tuple.Row, err error) {
	known := table.Fingerprint
	literal, err := keyLiteral(table, t.KeyColumns, key)
	if err != nil {
		return nil, err
	}
	if err := l.visible(ctx, xid); err != nil {
		return nil, err
	}
	err = l.read(ctx, t, &literal, &literal, func(b *change.Batch, place int) error {
		c := b.Events()
		for c.Next() {
			e := c.Event()
			if e.Failed() {
				return fault.Damaged("the row cannot be encoded")
			}
			if table := e.Table(); table == nil || table.Fingerprint != known {
				return errAltered
			}
			row, err := image(e)
			if err != nil {
				return err
			}
			found = tagged(row, place)
		}
		return c.Err()
	})
	return found, err
}

func parseNames(data []byte, names *[]string) error {
	*names = nil
	return json.Unmarshal(data, names)
}

// keyLiteral gives the values of a key as a literal of type text[], in the order
// of the key's columns.
func keyLiteral(table *schema.Table, columns []string, key tuple.Row) (string, error) {
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
		text, err := keyText(c, v)
		if err != nil {
			return "", err
		}
		list = append(list, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)+`"`)
	}
	return "{" + strings.Join(list, ",") + "}", nil
}

// keyText gives a value of a key in a form that PostgreSQL reads.
func keyText(c *schema.Column, v tuple.RawValue) (string, error) {
	switch c.Type {
	case value.TypeArray, value.TypeInterval:
		return "", fmt.Errorf("column %q: a key of type %s cannot be read again", c.Name, c.PgType)
	case value.TypeText, value.TypeJSON, value.TypeOther, value.TypeNumeric:
		return string(v.Bytes), nil
	case value.TypeBytes:
		return fmt.Sprintf(`\x%x`, v.Bytes), nil
	}
	rendered, err := c.AppendJSON(nil, v)
	return strings.Trim(string(rendered), `"`), err
}
