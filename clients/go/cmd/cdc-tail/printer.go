package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/lines"
)

// printer writes batches as lines.
type printer struct {
	out   *bufio.Writer
	o     options
	lines *lines.Writer
	log   *slog.Logger
}

func newPrinter(out *bufio.Writer, stdout *os.File, o options) *printer {
	return &printer{out: out, o: o, lines: lines.New(out, lines.Options{JSON: o.json, Colour: lines.Terminal(stdout), Tables: o.tables, Limit: o.limit})}
}

func (p *printer) run(ctx context.Context) error {
	var err error
	if p.o.slot != "" {
		err = p.slot(ctx)
	} else {
		err = p.file(ctx)
	}
	if errors.Is(err, lines.ErrEnough) {
		return nil
	}
	return err
}

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
		if err := p.lines.Event(c.Event()); err != nil {
			return err
		}
	}
	if c.Err() != nil {
		return c.Err()
	}
	if p.lines.Enough() {
		return lines.ErrEnough
	}
	return p.lines.Outcome(b)
}
