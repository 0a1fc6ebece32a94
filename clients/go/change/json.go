package change

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// JSONWriter renders batches in the JSON form: one line for each event and
// outcome, equal to the byte to what the server's cdc.decode_json() gives. It
// keeps memory between calls. The zero value is ready to use.
type JSONWriter struct {
	out  []byte
	rows [4]rowValues // key, new_key, old, new
	null []bool
}

// rowValues are a row's values by the place of their columns in the Table.
type rowValues struct {
	values   []tuple.RawValue
	present  []bool
	redacted [][]byte // what stands in field 2000 + attnum; nil: nothing
}

// AppendJSON appends the lines of a batch, each with a newline at its end. With
// an error, the lines before it are complete.
func (b *Batch) AppendJSON(dst []byte) ([]byte, error) {
	var w JSONWriter
	return w.AppendBatch(dst, b)
}

// AppendBatch is Batch.AppendJSON, with this writer's memory.
func (w *JSONWriter) AppendBatch(dst []byte, b *Batch) ([]byte, error) {
	c := b.Events()
	for c.Next() {
		line, err := w.AppendEvent(dst, c.Event())
		if err != nil {
			return dst, err
		}
		dst = append(line, '\n')
	}
	if c.Err() != nil {
		return dst, c.Err()
	}
	if !b.HasTransaction || b.Outcome == OutcomeOpen {
		return dst, nil
	}
	line, err := w.AppendOutcome(dst, b)
	if err != nil {
		return dst, err
	}
	return append(line, '\n'), nil
}

// AppendEvent appends the line of an event, without a newline.
func (w *JSONWriter) AppendEvent(dst []byte, e *Event) ([]byte, error) {
	w.out = append(dst, '{')
	err := w.event(e)
	return append(w.out, '}'), err
}

// AppendOutcome appends the line of a transaction's end, without a newline.
func (w *JSONWriter) AppendOutcome(dst []byte, b *Batch) ([]byte, error) {
	w.out = append(dst, '{')
	err := w.outcome(b)
	return append(w.out, '}'), err
}

// member begins one, in nested objects too.
func (w *JSONWriter) member(name string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.out = pgtext.AppendJSONString(w.out, name)
	w.out = append(w.out, ':')
}

func (w *JSONWriter) text(name, value string) {
	w.member(name)
	w.out = pgtext.AppendJSONString(w.out, value)
}

func (w *JSONWriter) lsn(name string, value wal.LSN) {
	if value != 0 {
		w.member(name)
		w.out = append(value.Append(append(w.out, '"')), '"')
	}
}

func (w *JSONWriter) flag(name string, value bool) {
	if value {
		w.member(name)
		w.out = append(w.out, "true"...)
	}
}

var opNames = [...]string{"UNSPECIFIED", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MESSAGE", "READ", "REWRITE", "SCHEMA"}

var schemaChangeNames = [...]string{"unspecified", "created", "altered", "dropped", "entered", "left"}

var outcomeNames = [...]string{"OPEN", "COMMITTED", "ROLLED_BACK", "PREPARED"}

// enumName gives a value's name, or an unknown one's number.
func enumName(names []string, value int) string {
	if value >= 0 && value < len(names) {
		return names[value]
	}
	return strconv.Itoa(value)
}

func (w *JSONWriter) event(e *Event) error {
	b := e.batch
	if e.Op != OpRead {
		w.member("position")
		w.out = append(e.Position().Append(append(w.out, '"')), '"')
	}
	if err := w.transaction(b); err != nil {
		return err
	}
	w.text("op", enumName(opNames[:], int(e.Op)))
	if e.Fingerprint != 0 {
		t := e.Table()
		if t == nil {
			return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
		}
		w.text("relation", t.String())
		w.member("fingerprint")
		w.out = append(e.Fingerprint.Append(append(w.out, '"')), '"')
		if err := w.eventRows(e, t); err != nil {
			return err
		}
	}
	w.metadata(b)
	return w.opMembers(e)
}

func (w *JSONWriter) eventRows(e *Event, t *schema.Table) error {
	names := [...]string{"key", "new_key", "old", "new"}
	for i, row := range [...]tuple.Row{e.Key, e.NewKey, e.Old, e.New} {
		if err := w.rows[i].read(t, row); err != nil {
			return err
		}
	}
	for i, name := range names {
		var nulls tuple.Numbers
		if name == "new" {
			nulls = e.Nulls
		}
		if err := w.row(name, t, &w.rows[i], nulls); err != nil {
			return err
		}
	}
	w.nulls(t, e.Nulls)
	if err := w.redacted(t, names[:]); err != nil {
		return err
	}
	return w.unavailable(t, e.Unavailable)
}

// read takes a row apart; fields that the table does not know are passed over.
func (r *rowValues) read(t *schema.Table, row tuple.Row) error {
	r.values = slices.Grow(r.values[:0], len(t.Columns))[:len(t.Columns)]
	r.present = slices.Grow(r.present[:0], len(t.Columns))[:len(t.Columns)]
	r.redacted = slices.Grow(r.redacted[:0], len(t.Columns))[:len(t.Columns)]
	clear(r.present)
	clear(r.redacted)
	c := row.Values()
	for c.Next() {
		v := c.Value()
		if i := t.Place(v.Number); i >= 0 {
			r.values[i], r.present[i] = v, true
		} else if v.Number > tuple.RedactedBase {
			if i := t.Place(v.Number - tuple.RedactedBase); i >= 0 {
				if v.Bytes == nil {
					return fault.Damaged("redacted value is not a string")
				}
				r.redacted[i] = v.Bytes
			}
		}
	}
	return c.Err()
}

func (w *JSONWriter) row(name string, t *schema.Table, r *rowValues, nulls tuple.Numbers) (err error) {
	w.null = slices.Grow(w.null[:0], len(t.Columns))[:len(t.Columns)]
	clear(w.null)
	any := false
	nulls.Each(func(n uint32) {
		if i := t.Place(n); i >= 0 {
			w.null[i], any = true, true
		} else {
			err = fault.Damaged("NULL of a column that the schema does not have")
		}
	})
	if err != nil || !any && !slices.Contains(r.present, true) {
		return err
	}
	w.member(name)
	w.out = append(w.out, '{')
	for i := range t.Columns {
		switch {
		case w.null[i]:
			w.member(t.Columns[i].Name)
			w.out = append(w.out, "null"...)
		case r.present[i]:
			w.member(t.Columns[i].Name)
			if w.out, err = value.AppendJSON(w.out, t.Columns[i].Type, t.Columns[i].Element, &r.values[i]); err != nil {
				return err
			}
		}
	}
	w.out = append(w.out, '}')
	return nil
}

// redacted shows what stands in place of redacted columns, in any of the rows.
func (w *JSONWriter) redacted(t *schema.Table, names []string) error {
	any := false
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Redaction == 0 {
			continue
		}
		if !any {
			w.member("redacted")
			w.out = append(w.out, '{')
			any = true
		}
		w.member(c.Name)
		w.out = append(w.out, '{')
		w.text("method", strings.ToLower(strings.TrimPrefix(c.Redaction.String(), "REDACTION_")))
		for n, name := range names {
			if text := w.rows[n].redacted[i]; text != nil {
				if !pgtext.Valid(text) {
					return fault.Damaged("text is not valid UTF-8")
				}
				w.text(name, string(text))
			}
		}
		w.out = append(w.out, '}')
	}
	if any {
		w.out = append(w.out, '}')
	}
	return nil
}

// nulls names the columns of type JSON that an UPDATE set to NULL: in new they look like
// the null of JSON.
func (w *JSONWriter) nulls(t *schema.Table, numbers tuple.Numbers) {
	if numbers.Empty() {
		return
	}
	separator := byte('[')
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Type != value.TypeJSON || !numbers.Contains(c.Number) {
			continue
		}
		if separator == '[' {
			w.member("nulls")
		}
		w.out = pgtext.AppendJSONString(append(w.out, separator), c.Name)
		separator = ','
	}
	if separator == ',' {
		w.out = append(w.out, ']')
	}
}

func (w *JSONWriter) unavailable(t *schema.Table, numbers tuple.Numbers) error {
	if numbers.Empty() {
		return nil
	}
	w.member("unavailable")
	separator := byte('[')
	var err error
	numbers.Each(func(n uint32) {
		c := t.Column(n)
		if c == nil {
			err = fault.Damaged("unavailable column that the schema does not have")
			return
		}
		w.out = pgtext.AppendJSONString(append(w.out, separator), c.Name)
		separator = ','
	})
	w.out = append(w.out, ']')
	return err
}

func (w *JSONWriter) transaction(b *Batch) (err error) {
	if !b.HasTransaction {
		return nil
	}
	w.member("xid")
	w.out = strconv.AppendUint(w.out, uint64(b.Transaction.XID), 10)
	if b.Transaction.CommitTimeUS != 0 {
		w.member("commit_time")
		w.out, err = value.AppendUnixTime(w.out, b.Transaction.CommitTimeUS)
	}
	return err
}

func (w *JSONWriter) metadata(b *Batch) {
	if len(b.Transaction.Metadata) == 0 {
		return
	}
	w.member("metadata")
	w.out = append(w.out, '{')
	for _, entry := range b.Transaction.Metadata {
		w.text(entry.Key, entry.Value)
	}
	w.out = append(w.out, '}')
}

// opMembers are what the operation adds.
func (w *JSONWriter) opMembers(e *Event) error {
	truncate, err := e.Truncate()
	if err != nil {
		return err
	}
	if truncate != nil {
		w.flag("cascade", truncate.Cascade)
		w.flag("restart_identity", truncate.RestartIdentity)
	}
	message, err := e.Message()
	if err != nil {
		return err
	}
	if message != nil {
		w.member("transactional")
		w.out = strconv.AppendBool(w.out, message.Transactional)
		w.text("prefix", message.Prefix)
		w.member("content")
		w.out = append(pgtext.AppendHex(append(w.out, `"\\x`...), message.Content), '"')
	}
	failure, err := e.Failure()
	if err != nil {
		return err
	}
	if failure != nil {
		w.member("failure")
		w.out = append(w.out, '{')
		w.text("sqlstate", failure.SQLState)
		w.text("message", failure.Message)
		if failure.Column != 0 {
			w.member("column")
			w.out = strconv.AppendUint(w.out, uint64(failure.Column), 10)
		}
		w.out = append(w.out, '}')
	}
	if err := w.schemaChange(e); err != nil {
		return err
	}
	w.flag("rewrite_start", e.RewriteStart)
	return nil
}

// schemaChange tells what a command has made of the relation.
func (w *JSONWriter) schemaChange(e *Event) error {
	s, err := e.SchemaChange()
	if s == nil || err != nil {
		return err
	}
	w.text("change", enumName(schemaChangeNames[:], int(s.Kind)))
	w.text("command", s.CommandTag)
	if former := s.Former(); former != "" {
		w.text("former_relation", former)
	}
	return nil
}

func (w *JSONWriter) outcome(b *Batch) error {
	if err := w.transaction(b); err != nil {
		return err
	}
	t := &b.Transaction
	w.text("op", enumName(outcomeNames[:], int(b.Outcome)))
	if t.Origin != "" {
		w.text("origin", t.Origin)
	}
	if t.GID != "" {
		w.text("gid", t.GID)
	}
	w.metadata(b)
	w.lsn("commit_lsn", t.CommitLSN)
	w.lsn("prepare_lsn", t.PrepareLSN)
	w.member("end_lsn")
	w.out = append(b.EndLSN.Append(append(w.out, '"')), '"')
	w.member("event_count")
	w.out = strconv.AppendUint(w.out, b.EventCount, 10)
	return nil
}
