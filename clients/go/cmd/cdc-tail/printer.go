package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

var errEnough = errors.New("enough")

// printer writes batches as lines.
type printer struct {
	out    *bufio.Writer
	o      options
	colour bool
	json   cdc.JSONWriter
	line   []byte
	seen   uint64 // events
	log    *slog.Logger
}

func newPrinter(out *bufio.Writer, stdout *os.File, o options) *printer {
	info, err := stdout.Stat()
	colour := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
	return &printer{out: out, o: o, colour: colour && !o.json}
}

func (p *printer) run(ctx context.Context) error {
	var err error
	if p.o.slot != "" {
		err = p.slot(ctx)
	} else {
		err = p.file(ctx)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// enough tells whether all that was asked for is printed.
func (p *printer) enough() bool { return p.o.limit > 0 && p.seen >= p.o.limit }

func (p *printer) file(ctx context.Context) error {
	in := os.Stdin
	if p.o.file != "-" {
		f, err := os.Open(p.o.file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	var source io.Reader = in
	if p.o.follow {
		source = &follower{ctx, in, p.out}
	}
	reader := cdc.NewFileReader(source, cdc.Limits{})
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	var batch cdc.Batch
	for {
		raw, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = batch.Parse(raw, schemas)
		}
		if err == nil {
			err = p.batch(&batch)
		}
		if err != nil {
			if ctx.Err() != nil { // it may have ended inside of a batch
				return nil
			}
			return err
		}
	}
}

// follower waits at the end of a file for more.
type follower struct {
	ctx context.Context
	in  io.Reader
	out *bufio.Writer
}

func (f *follower) Read(b []byte) (int, error) {
	for {
		n, err := f.in.Read(b)
		if n > 0 || err != io.EOF {
			return n, err
		}
		if err := f.out.Flush(); err != nil {
			return 0, err
		}
		select {
		case <-f.ctx.Done():
			return 0, io.EOF
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// batch prints the lines of one.
func (p *printer) batch(b *cdc.Batch) error {
	c := b.Events()
	for c.Next() {
		if err := p.event(c.Event()); err != nil {
			return err
		}
	}
	if c.Err() != nil {
		return c.Err()
	}
	if p.enough() {
		return errEnough
	}
	return p.outcome(b)
}

func (p *printer) event(e *cdc.Event) (err error) {
	if !p.wanted(e) {
		return nil
	}
	if p.enough() {
		return errEnough
	}
	p.seen++
	if !p.o.json {
		return p.plain(e)
	}
	if p.line, err = p.json.AppendEvent(p.line[:0], e); err != nil {
		return err
	}
	return p.print()
}

func (p *printer) outcome(b *cdc.Batch) (err error) {
	if !b.HasTransaction || b.Outcome == cdc.OutcomeOpen {
		return nil
	}
	if len(p.o.tables) == 0 && p.o.json {
		if p.line, err = p.json.AppendOutcome(p.line[:0], b); err != nil {
			return err
		}
		return p.print()
	}
	return nil
}

func (p *printer) wanted(e *cdc.Event) bool {
	if len(p.o.tables) == 0 {
		return true
	}
	now, former := names(e)
	for _, name := range p.o.tables {
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

func (p *printer) print() error {
	p.line = append(p.line, '\n')
	_, err := p.out.Write(p.line)
	return err
}

var colours = map[cdc.Op]string{
	cdc.OpInsert: "\x1b[32m", cdc.OpUpdate: "\x1b[33m", cdc.OpDelete: "\x1b[31m", cdc.OpTruncate: "\x1b[31m",
	cdc.OpSchema: "\x1b[36m",
}

// plain prints time, operation and relation before the JSON of the rows.
func (p *printer) plain(e *cdc.Event) (err error) {
	op := strings.TrimPrefix(e.Op.String(), "OP_")
	if code := colours[e.Op]; p.colour && code != "" {
		op = code + op + "\x1b[0m"
	}
	name, former := names(e)
	name = cmp.Or(name, former)
	when := "-" // not known, or outside of transactions
	if t := e.Batch().Transaction.CommitTime(); !t.IsZero() {
		when = t.Format(time.RFC3339Nano)
	}
	if p.line, err = p.json.AppendEvent(p.line[:0], e); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s %s %s %s\n", when, op, name, rows(p.line))
	return err
}

// rows is an event's line from its first row on.
func rows(line []byte) []byte {
	at := len(line)
	for _, member := range []string{`"key":`, `"new_key":`, `"old":`, `"new":`, `"transactional":`, `"change":`, `"failure":`} {
		if i := strings.Index(string(line), ","+member); i >= 0 && i < at {
			at = i
		}
	}
	if at == len(line) {
		return nil
	}
	return append([]byte("{"), line[at+1:]...)
}
