package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/plan"
	"github.com/pgcdc/cdc/relay/setup"
)

// deadLetter is one that is on the bus.
type deadLetter struct {
	position, op, relation, reason, key string
	value                               []byte // nil: it cannot be sent again, and why
	why                                 string
}

func (t *deadLetter) String() string {
	return fmt.Sprintf("%s %s %s %s %s", t.position, t.op, cmp.Or(t.relation, "-"), t.reason, cmp.Or(t.key, "-"))
}

// atOnce letters are asked for in one request: the stream waits meanwhile.
const atOnce = 20

// replayDead lists the dead letters, and has their rows be sent.
func replayDead(flags *flag.FlagSet) action {
	send := flags.Bool("send", false, "")
	return func(ctx context.Context, c *config.Config, w io.Writer) error {
		letters, err := deadLetters(ctx, c)
		if err != nil {
			return err
		}
		if *send {
			return sendLetters(ctx, c, letters, w)
		}
		for _, t := range letters {
			fmt.Fprintln(w, t)
		}
		return nil
	}
}

// deadLetters gives those that are on the bus now.
func deadLetters(ctx context.Context, c *config.Config) (letters []*deadLetter, err error) {
	driver, err := reading(c, setup.Logger(config.Log{Level: "error", Format: c.Log.Format}, os.Stderr))
	if err != nil {
		return nil, err
	}
	defer driver.Close()
	err = driver.Read(ctx, bus.Reading{Beginning: true, End: true, Topic: plan.DeadTopic(c.Relay.Prefix)}, func(m *bus.Message) error {
		letters = append(letters, letterOf(m))
		return nil
	})
	return letters, err
}

func letterOf(m *bus.Message) *deadLetter {
	t := &deadLetter{position: m.Get(bus.Position), op: m.Get(bus.Op), relation: m.Get(bus.Relation), reason: m.Get(bus.Reason)}
	switch {
	case len(m.Value) == 0:
		t.why = "it has no key"
	case m.Get(bus.ContentType) == "application/json":
		t.key = shownKey(m.Value)
		t.why = "a key cannot be taken from the JSON form exactly: cdc-relay load " + cmp.Or(t.relation, "TABLE") + " has all rows of the table come again"
	default:
		var err error
		if t.key, err = keyOf(m.Value); err != nil {
			t.why = err.Error()
			return t
		}
		t.value = m.Value
	}
	return t
}

// keyOf gives the key of a batch's event, in the JSON form.
func keyOf(value []byte) (string, error) {
	b, err := cdc.ParseBatch(value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return "", err
	}
	events := b.Events()
	if !events.Next() {
		return "", errors.Join(errors.New("it has no event"), events.Err())
	}
	var w cdc.JSONWriter
	line, err := w.AppendEvent(nil, events.Event())
	return shownKey(line), err
}

// shownKey leaves the keys of a line in the JSON form.
func shownKey(line []byte) string {
	var keys struct {
		Key    json.RawMessage `json:"key,omitempty"`
		NewKey json.RawMessage `json:"new_key,omitempty"`
	}
	if json.Unmarshal(line, &keys) != nil || keys.Key == nil && keys.NewKey == nil {
		return ""
	}
	text, _ := json.Marshal(keys)
	return string(text)
}

// row names the row that a letter is of.
func (t *deadLetter) row() string { return t.relation + " " + t.key }

// sendLetters has the rows of letters be sent, and says what has become of each letter.
func sendLetters(ctx context.Context, c *config.Config, letters []*deadLetter, w io.Writer) error {
	done := map[string]*load.Replayed{} // each row once, however many letters are of it
	var some []*deadLetter
	for i, t := range letters {
		if _, asked := done[t.row()]; !asked && t.value != nil {
			done[t.row()] = nil
			some = append(some, t)
		}
		if len(some) == atOnce || len(some) > 0 && i == len(letters)-1 {
			if err := askToSend(ctx, c, some, done); err != nil {
				return err
			}
			some = nil
		}
	}
	left := 0
	for _, t := range letters {
		what, ok := outcome(t, done[t.row()])
		if !ok {
			left++
		}
		fmt.Fprintf(w, "%v: %s\n", t, what)
	}
	if left > 0 {
		return fmt.Errorf("%d of %d letters are not sent again", left, len(letters))
	}
	return nil
}

// askToSend asks the relay that is running.
func askToSend(ctx context.Context, c *config.Config, letters []*deadLetter, done map[string]*load.Replayed) error {
	values := make([][]byte, len(letters))
	for i, t := range letters {
		values[i] = t.value
	}
	var answers []load.Replayed
	if err := ask(ctx, c, "/replay", values, &answers); err != nil {
		return err
	}
	for i := range answers[:min(len(letters), len(answers))] {
		done[letters[i].row()] = &answers[i]
	}
	return nil
}

// outcome says what has become of a letter.
func outcome(t *deadLetter, r *load.Replayed) (what string, ok bool) {
	switch {
	case t.value == nil:
		return "not sent: " + t.why, false
	case r == nil:
		return "not sent: the relay has not answered", false
	case r.Error != "":
		return "not sent: " + r.Error, false
	}
	var parts []string
	if r.Sent > 0 {
		parts = append(parts, "sent")
	}
	if r.Gone > 0 {
		parts = append(parts, "said to be gone")
	}
	return strings.Join(parts, ", "), true
}
