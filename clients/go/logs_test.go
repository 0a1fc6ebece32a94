package cdc_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// lockedBuffer may be written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// documentedKeys are those of the manual's table.
func documentedKeys(t *testing.T) map[string]bool {
	t.Helper()
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(manual), "<!-- keys of logs -->")
	table, _, _ = strings.Cut(table, "<!-- end of keys -->")
	keys := map[string]bool{"time": true, "level": true, "msg": true}
	for line := range strings.Lines(table) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(name, -1) {
			keys[key[1]] = true
		}
	}
	if len(keys) < 10 {
		t.Fatal("the manual has no table of keys")
	}
	return keys
}

// canary is a value that no line may have.
const canary = "canary-9b1f"

// faults plays a stream with one of each kind, and gives what was logged.
func faults(t *testing.T) string {
	log := &lockedBuffer{}
	source := cdctest.NewSource("s")
	stream := opened(t, source, func(c *cdc.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(log, nil))
		c.OnDamage, c.OnUnknownSchema, c.OnFailure, c.OnHandlerError, c.OnVersion = cdc.PolicySkip, cdc.PolicySkip, cdc.PolicySkip, cdc.PolicySkip, cdc.PolicySkip
		c.Versions = map[string]uint32{"public.t": 3}
	})
	f, table := cdctest.Table("public", "t")
	g, other := cdctest.Table("public", "other")
	row := append([]byte{0x12, byte(len(canary))}, canary...)
	insert := func(schema cdc.Fingerprint) *cdcv1.ChangeEvent {
		return &cdcv1.ChangeEvent{Op: cdc.OpInsert, Schema: uint64(schema), Key: append([]byte{0x0a, byte(len(canary))}, canary...), New: row}
	}
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table, Version: 2}, {Fingerprint: uint64(g), Table: other}}
	failed := insert(g)
	failed.Failure = &cdcv1.Failure{Sqlstate: "22P05", Message: "a character has no equivalent"}
	damaged := insert(g)
	damaged.Op = 77
	b.Events = []*cdcv1.ChangeEvent{insert(f), insert(g), insert(12345), failed, damaged, insert(f)}
	for i, e := range b.Events {
		e.LsnOffset = uint64(i)
	}
	b.EventCount = uint64(len(b.Events))
	source.Add(b)
	source.AddBatch(append([]byte{0xff, 0xff, 0xff}, canary...), 0)
	txn, _ := next(t, stream)
	for e := range txn.Events() {
		if err := stream.RejectEvent(t.Context(), e, errors.New("it does not fit")); err != nil {
			t.Fatal(err)
		}
	}
	stream.Ack(txn)
	source.Disconnect()
	eventually(t, "connected again", func() bool { return strings.Count(log.String(), `"connected"`) == 2 })
	return log.String()
}

// Lines of a run with faults have keys of the manual, all that is known of the change, and no value.
func TestLogs(t *testing.T) {
	text, keys := faults(t), documentedKeys(t)
	if strings.Contains(text, canary) {
		t.Errorf("a value is in the log:\n%s", text)
	}
	f, _ := cdctest.Table("public", "t")
	g, _ := cdctest.Table("public", "other")
	type about struct{ relation, fingerprint, version string }
	wanted := map[string]about{
		"version": {"public.t", f.String(), "2"}, "failure": {"public.other", g.String(), ""}, "handler": {"public.other", g.String(), ""},
		"unknown_schema": {"", cdc.Fingerprint(12345).String(), ""},
	}
	said, seen := map[string]bool{}, map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err, lines.Text())
		}
		for key := range line {
			if !keys[key] {
				t.Errorf("the manual has no key %s: %s", key, lines.Text())
			}
		}
		word := func(key string) string {
			switch v := line[key].(type) {
			case string:
				return v
			case float64:
				return string('0' + byte(v))
			}
			return ""
		}
		said[word("msg")] = true
		if word("slot") != "s" {
			t.Errorf("no slot: %s", lines.Text())
		}
		if want, ok := wanted[word("reason")]; ok {
			seen[word("reason")] = true
			if got := (about{word("relation"), word("fingerprint"), word("version")}); got != want || word("position") == "" {
				t.Errorf("%v, want %v: %s", got, want, lines.Text())
			}
		}
	}
	if len(seen) != len(wanted) {
		t.Errorf("there are lines of %v only:\n%s", seen, text)
	}
	for _, message := range []string{"connected", "the connection is lost", "cannot hand on", "rows come in another version"} {
		if !said[message] {
			t.Errorf("nothing says %q:\n%s", message, text)
		}
	}
	if n := strings.Count(text, "rows come in another version"); n != 1 {
		t.Errorf("it is said %d times that rows come in another version", n)
	}
}
