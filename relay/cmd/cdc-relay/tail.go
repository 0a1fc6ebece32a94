package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/lines"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/plan"
	"github.com/pgcdc/cdc/relay/setup"
)

// tail prints what is on the bus.
func tail(flags *flag.FlagSet) action {
	var o lines.Options
	var r bus.Reading
	flags.BoolVar(&o.JSON, "json", false, "")
	flags.BoolVar(&r.Beginning, "beginning", false, "")
	flags.BoolVar(&r.End, "end", false, "")
	flags.Uint64Var(&o.Limit, "n", 0, "")
	flags.Func("table", "", func(name string) error { o.Tables = append(o.Tables, name); return nil })
	return func(ctx context.Context, c *config.Config, w io.Writer) error {
		if f, ok := w.(*os.File); ok {
			o.Colour = lines.Terminal(f)
		}
		driver, err := reading(c, setup.Logger(config.Log{Level: "error", Format: c.Log.Format}, os.Stderr))
		if err != nil {
			return err
		}
		defer driver.Close()
		out := bufio.NewWriter(w)
		p := lines.New(out, o)
		err = driver.Read(ctx, r, func(m *bus.Message) error {
			err := show(p, m)
			if err == nil && p.Enough() {
				err = lines.ErrEnough
			}
			return errors.Join(err, out.Flush())
		})
		if errors.Is(err, lines.ErrEnough) || ctx.Err() != nil {
			return nil
		}
		return err
	}
}

// show prints a message: what an event has said once already, under another key or in another partition, and tombstones are
// left out.
func show(p *lines.Writer, m *bus.Message) error {
	if copies := m.Get(bus.Copy); copies != "" && !strings.HasPrefix(copies, "1/") {
		return nil
	}
	switch {
	case m.Get(bus.Reason) == "too_large" && len(m.Value) == 0 || m.Get(bus.Position) == "" || m.Get(bus.ContentType) == plan.RowContent:
		return letter(p, m)
	case m.Get(bus.LoadMark) == bus.Gone && m.Get(bus.ContentType) != "application/json":
		return gone(p, m)
	case m.Get(bus.ContentType) == "application/json":
		return p.Line(m.Get(bus.CommitTime), m.Get(bus.Op), m.Get(bus.Relation), m.Value)
	}
	b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return fmt.Errorf("a message on %s: %w", m.Topic, err)
	}
	events := b.Events()
	for events.Next() {
		if err := p.Event(events.Event()); err != nil {
			return err
		}
	}
	return events.Err()
}

// gone prints the key that has no row.
func gone(p *lines.Writer, m *bus.Message) error {
	b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return fmt.Errorf("a message on %s: %w", m.Topic, err)
	}
	var w cdc.JSONWriter
	for events := b.Events(); events.Next(); {
		line, err := w.AppendEvent(nil, events.Event())
		if err != nil {
			return err
		}
		if err := p.Line("", "GONE", m.Get(bus.Relation), line); err != nil {
			return err
		}
	}
	return nil
}

// letter prints a message that has no event, or whose type only a registry knows, by its headers.
func letter(p *lines.Writer, m *bus.Message) error {
	line, err := json.Marshal(struct {
		Position string `json:"position"`
		Op       string `json:"op"`
		Relation string `json:"relation"`
		Reason   string `json:"reason,omitempty"`
		Topic    string `json:"topic,omitempty"`
		Bytes    string `json:"bytes,omitempty"`
		Missing  string `json:"missing,omitempty"`
	}{m.Get(bus.Position), m.Get(bus.Op), m.Get(bus.Relation), m.Get(bus.Reason), m.Get("cdc-topic"), m.Get("cdc-bytes"), m.Get(bus.Missing)})
	if err != nil {
		return err
	}
	return p.Line(m.Get(bus.CommitTime), m.Get(bus.Op), m.Get(bus.Relation), line)
}
