// Package lines prints changes as lines: what cdc-tail and cdc-relay tail have in common.
package lines

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// ErrEnough: all that was asked for is printed.
var ErrEnough = errors.New("enough")

// Options of a Writer.
type Options struct {
	// JSON: the JSON form, not one for people.
	JSON bool
	// Colour: operations are coloured, unless it is JSON.
	Colour bool
	// Tables, schema.name as the JSON form has them: others are left out. None: all.
	Tables []string
	// Limit is how many events are printed; 0: all.
	Limit uint64
}

// Writer prints events and outcomes.
type Writer struct {
	out  *bufio.Writer
	o    Options
	json cdc.JSONWriter
	line []byte
	seen uint64 // events
}

// New makes one.
func New(out *bufio.Writer, o Options) *Writer { return &Writer{out: out, o: o} }

// Terminal tells whether a file is one that wants colours.
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

// Enough tells whether all that was asked for is printed.
func (w *Writer) Enough() bool { return w.o.Limit > 0 && w.seen >= w.o.Limit }

// Event prints one, or gives ErrEnough.
func (w *Writer) Event(e *cdc.Event) (err error) {
	if !w.wanted(e) {
		return nil
	}
	if w.Enough() {
		return ErrEnough
	}
	w.seen++
	if !w.o.JSON {
		return w.plain(e)
	}
	if w.line, err = w.json.AppendEvent(w.line[:0], e); err != nil {
		return err
	}
	return w.print()
}

// Outcome prints that of a transaction, if the batch ends one.
func (w *Writer) Outcome(b *cdc.Batch) (err error) {
	if !b.HasTransaction || b.Outcome == cdc.OutcomeOpen {
		return nil
	}
	if len(w.o.Tables) == 0 && w.o.JSON {
		if w.line, err = w.json.AppendOutcome(w.line[:0], b); err != nil {
			return err
		}
		return w.print()
	}
	return nil
}

func (w *Writer) wanted(e *cdc.Event) bool {
	if len(w.o.Tables) == 0 {
		return true
	}
	now, former := names(e)
	for _, name := range w.o.Tables {
		if name == now || former != "" && name == former {
			return true
		}
	}
	return false
}

// names are those of an event's relation: now, if it has one, and what a command has taken
// from it.
func names(e *cdc.Event) (now, former string) {
	if t := e.Table(); t != nil {
		now = t.String()
	}
	if s, err := e.SchemaChange(); s != nil && err == nil {
		former = s.Former()
	}
	return now, former
}

func (w *Writer) print() error {
	w.line = append(w.line, '\n')
	_, err := w.out.Write(w.line)
	return err
}

var colours = map[string]string{
	cdc.OpInsert.String(): "\x1b[32m", cdc.OpUpdate.String(): "\x1b[33m", cdc.OpDelete.String(): "\x1b[31m", cdc.OpTruncate.String(): "\x1b[31m",
	cdc.OpSchema.String(): "\x1b[36m",
}

// plain prints time, operation and relation before the JSON of the rows.
func (w *Writer) plain(e *cdc.Event) (err error) {
	name, former := names(e)
	when := "" // not known, or outside of transactions
	if t := e.Batch().Transaction.CommitTime(); !t.IsZero() {
		when = t.Format(time.RFC3339Nano)
	}
	if w.line, err = w.json.AppendEvent(w.line[:0], e); err != nil {
		return err
	}
	return w.people(when, strings.TrimPrefix(e.Op.String(), "OP_"), cmp.Or(name, former), rows(w.line))
}

// Line prints an event that is there only as its line of JSON, or as some of it.
func (w *Writer) Line(when, op, relation string, json []byte) error {
	if len(w.o.Tables) > 0 && !slices.Contains(w.o.Tables, relation) {
		return nil
	}
	if w.Enough() {
		return ErrEnough
	}
	w.seen++
	if w.o.JSON {
		w.line = append(w.line[:0], json...)
		return w.print()
	}
	return w.people(when, op, relation, rows(json))
}

func (w *Writer) people(when, op, relation string, rows []byte) error {
	if code := colours["OP_"+op]; w.o.Colour && code != "" {
		op = code + op + "\x1b[0m"
	}
	_, err := fmt.Fprintf(w.out, "%s %s %s %s\n", cmp.Or(when, "-"), op, relation, rows)
	return err
}

// rows is an event's line from its first row on.
func rows(line []byte) []byte {
	at := len(line)
	for _, member := range []string{`"key":`, `"new_key":`, `"old":`, `"new":`, `"transactional":`, `"change":`, `"failure":`, `"reason":`, `"event_count":`} {
		if i := strings.Index(string(line), ","+member); i >= 0 && i < at {
			at = i
		}
	}
	if at == len(line) {
		return nil
	}
	return append([]byte("{"), line[at+1:]...)
}
