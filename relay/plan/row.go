package plan

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/relay/bus"
)

// RowContent is the content-type of messages that have a row, or would have one.
const RowContent = "application/vnd.cdc.row"

// Schemas have the types of rows.
type Schemas interface {
	// Register gives the id of the type that rows of a table have on a topic.
	Register(ctx context.Context, topic string, t *cdc.Table, major uint32) (id int, err error)
	// Check tells whether it would be answered.
	Check(ctx context.Context) error
}

// asRow tells whether an event's messages have its row as their value. Others have the batch.
func (p *Plan) asRow(e *cdc.Event) bool {
	return p.options.Schemas != nil && !e.Failed() && e.Op != cdc.OpMessage
}

// rowValue gives the row after an event, in the framing of a registry; nil where there is none.
func (p *Plan) rowValue(ctx context.Context, e *cdc.Event) ([]byte, error) {
	t := e.Table()
	switch {
	case e.Op == cdc.OpDelete && len(e.Key) == 0:
		return nil, p.unknownRow(t, e)
	case e.Op == cdc.OpDelete, e.Op == cdc.OpTruncate, e.Op == cdc.OpSchema:
		return nil, nil
	}
	row, err := p.after(t, e)
	if err != nil {
		return nil, err
	}
	known := p.table(e, t)
	if known.frame == nil {
		id, err := p.options.Schemas.Register(ctx, known.topic, t, e.Version().Major)
		if err != nil {
			return nil, err
		}
		// The file has one message: the first.
		if known.frame, err = new(sr.ConfluentHeader).AppendEncode(nil, id, []int{0}); err != nil {
			return nil, err
		}
	}
	return append(slices.Clip(known.frame), row...), nil
}

// after joins what an event has of the row as it is after it, and notes the columns that it has not.
func (p *Plan) after(t *cdc.Table, e *cdc.Event) (row cdc.Row, err error) {
	key, rest := e.Key, e.New
	if len(e.NewKey) > 0 {
		key = e.NewKey
	}
	whole := true
	if e.Op == cdc.OpUpdate {
		if whole, err = p.wholeOld(t, e); err != nil {
			return nil, err
		}
		if rest, err = tuple.Overlay(nil, e.Old, e.New, e.Nulls); err != nil {
			return nil, err
		}
	}
	// Sorted: rows that are equal have equal bytes.
	if row, err = tuple.Sorted(append(slices.Clip(key), rest...)); err != nil {
		return nil, err
	}
	return row, p.lacking(t, e, row, whole)
}

// removed are the fields that an UPDATE takes away: those of columns that are NULL now, and of what stood for them where they are redacted.
func removed(e *cdc.Event) (list tuple.Numbers) {
	e.Nulls.Each(func(n uint32) {
		list = binary.AppendUvarint(binary.AppendUvarint(list, uint64(n)), tuple.RedactedBase+uint64(n))
	})
	return list
}

// wholeOld tells whether an UPDATE has all of the row before it, so that what is absent was NULL.
func (p *Plan) wholeOld(t *cdc.Table, e *cdc.Event) (bool, error) {
	if t.ReplicaIdentity != schema.IdentityFull {
		return false, nil
	}
	if p.options.OldFull || !t.HasKey() {
		return true, nil
	}
	// The server has the option, though the relay was not told, where there is more than what has changed.
	changed, err := tuple.NumbersOf(e.New)
	if err != nil {
		return false, err
	}
	removed(e).Each(changed.Set)
	old := e.Old.Values()
	for old.Next() {
		if !changed.Has(old.Value().Number) {
			return true, nil
		}
	}
	return false, old.Err()
}

// lacking notes the columns whose value is not known, and refuses those that would read as NULL.
func (p *Plan) lacking(t *cdc.Table, e *cdc.Event, row cdc.Row, whole bool) error {
	if whole && e.Unavailable.Empty() && !t.Redacted() {
		return nil
	}
	has, err := tuple.NumbersOf(row)
	if err != nil {
		return err
	}
	if e.Op == cdc.OpUpdate {
		removed(e).Each(has.Set)
	}
	var all, wrong []string
	for i := range t.Columns {
		c := &t.Columns[i]
		known := has.Has(c.Number) || has.Has(tuple.RedactedBase+c.Number) || whole && !e.Unavailable.Contains(c.Number)
		if known && !HeldBack(c) {
			continue
		}
		name := columnText(c)
		if all = append(all, name); !HeldBack(c) {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 && !p.options.SendMissing {
		return &MissingError{Position: p.position(e), Relation: t.String(), Columns: wrong}
	}
	p.missing = strings.Join(all, ",")
	return nil
}

// unknownRow is of a DELETE that has no key: no column of the row is known.
func (p *Plan) unknownRow(t *cdc.Table, e *cdc.Event) error {
	if !p.options.SendMissing {
		return &MissingError{Position: p.position(e), Relation: t.String()}
	}
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i] = columnText(&t.Columns[i])
	}
	p.missing = strings.Join(names, ",")
	return nil
}

// columnText is a column's name in a header.
func columnText(c *cdc.Column) string {
	return headerText(strings.TrimPrefix(schema.QualifiedName("", c.Name), "."))
}

// HeldBack: the column has no field, and does not read as NULL.
func HeldBack(c *cdc.Column) bool {
	return c.Redaction == cdcv1.Redaction_REDACTION_DROP || c.Redaction == cdcv1.Redaction_REDACTION_NULL ||
		c.Redaction == cdcv1.Redaction_REDACTION_WITHHELD
}

// MissingError: an event does not have all columns of its row; without Columns, it does not tell which row is gone.
type MissingError struct {
	Position cdc.Position
	Relation string
	Columns  []string
}

// Error implements error.
func (e *MissingError) Error() string {
	if len(e.Columns) == 0 {
		return fmt.Sprintf("the DELETE at %v of %s has no key, and a message without a value would not tell which row is gone: give the table "+
			"a primary key, or set relay.missing to send", e.Position, e.Relation)
	}
	return fmt.Sprintf("the change at %v of %s does not have the columns %s, which would read as NULL: give the table REPLICA IDENTITY FULL and set "+
		"postgres.options.old to full, or set relay.missing to send", e.Position, e.Relation, strings.Join(e.Columns, ", "))
}

// rowHeaders are those that say what a row, or the lack of one, does not.
func (p *Plan) rowHeaders(h []bus.Header, e *cdc.Event) []bus.Header {
	if p.missing != "" {
		h = append(h, bus.Header{Name: bus.Missing, Value: p.missing})
	}
	if e.RewriteStart {
		h = append(h, bus.Header{Name: bus.Rewrite, Value: "start"})
	}
	if change, err := e.SchemaChange(); err == nil && change != nil {
		h = append(h, bus.Header{Name: bus.Change, Value: strings.TrimPrefix(change.Kind.String(), "SCHEMA_CHANGE_KIND_")})
		if former := change.Former(); former != "" {
			h = append(h, bus.Header{Name: bus.Former, Value: headerText(former)})
		}
	}
	return h
}
