package topic

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go/wal"
)

// at makes a message of a place: an event of the transaction that commits there.
func at(place string, commit, event int, sequence uint64) *Message {
	return &Message{Record: &Record{Sequence: sequence}, Place: place, Op: "INSERT", Copy: 1, Copies: 1, Source: Source{7, 2, "shop", "s"},
		Position: wal.Position{CommitLSN: wal.LSN(commit), LSN: wal.LSN(commit*1000 - event)}}
}

func take(t *testing.T, p *Progress, m *Message, want bool) {
	t.Helper()
	if got, err := p.Take(m); err != nil || got != want {
		t.Errorf("%s %v (%d): new %v, not %v; %v", m.Place, m.Position, m.Copy, got, want, err)
	}
}

// again is a progress from its text.
func again(t *testing.T, p *Progress) *Progress {
	t.Helper()
	text, err := p.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	q := new(Progress)
	if err := q.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	second, err := q.MarshalText()
	if err != nil || string(second) != string(text) {
		t.Fatalf("%s became %s, %v", text, second, err)
	}
	return q
}

func TestProgress(t *testing.T) {
	p := new(Progress)
	take(t, p, at("a/0", 5, 0, 0), true)
	take(t, p, at("a/0", 5, 1, 0), true)
	take(t, p, at("a/0", 5, 1, 0), false) // twice
	take(t, p, at("a/0", 4, 9, 0), false) // an earlier transaction
	take(t, p, at("a/1", 4, 9, 0), true)  // of another partition
	second := at("a/0", 5, 1, 0)
	second.Copy = 2
	take(t, p, second, true) // under its new key
	take(t, p, second, false)
	take(t, p, at("a/0", 6, 0, 0), true)
	if p.Position("a/0").CommitLSN != 6 || !p.Position("b/0").IsZero() || fmt.Sprint(p.Places()) != "[a/0 a/1]" {
		t.Error(p.Position("a/0"), p.Places())
	}
}

// The log has a transaction once more, from its start, and goes on behind where it ended.
func TestProgressRepeatedInLog(t *testing.T) {
	for stop := range 8 {
		p := new(Progress)
		for i, c := range []struct {
			event int
			isNew bool
		}{{0, true}, {1, true}, {2, true}, {0, false}, {1, false}, {2, false}, {3, true}, {4, true}} {
			if i == stop && i > 0 { // it starts anew
				p = again(t, p)
			}
			take(t, p, at("a/0", 5, c.event, uint64(i+1)), c.isNew)
		}
	}
	p := new(Progress)
	for _, c := range []struct {
		event int
		isNew bool
	}{{0, true}, {1, true}, {2, true}, {0, false}, {1, false}, {2, false}, {3, true}} {
		take(t, p, at("a/0", 5, c.event, 0), c.isNew)
	}
}

// A part of a transaction is in the log once more, from its start, since it was not known to be
// stored.
func TestProgressRepeatedPart(t *testing.T) {
	for _, stop := range []int{0, 3, 4, 5, 6, 7, 8} {
		p := new(Progress)
		for i, c := range []struct {
			part, event int
			isNew       bool
		}{{0, 0, true}, {1, 1, true}, {2, 2, true}, {2, 3, true}, {2, 2, false}, {2, 3, false}, {2, 4, true}, {3, 5, true}, {2, 4, false}, {3, 5, false}, {3, 6, true}} {
			if i > 0 && i == stop {
				p = again(t, p)
			}
			m := at("a/0", 5, c.event, uint64(i+1))
			m.Part = c.part
			take(t, p, m, c.isNew)
		}
		if text, err := p.MarshalText(); err != nil || !strings.Contains(string(text), `"part":3`) {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// After a start, what is read begins at the last message, or before it; with sequences also
// right behind it.
func TestProgressAfterStart(t *testing.T) {
	for _, counted := range []bool{false, true} {
		sequence := func(n int) uint64 {
			if counted {
				return uint64(n + 1)
			}
			return 0
		}
		for from := range 4 {
			p := new(Progress)
			for n := range 3 {
				take(t, p, at("a/0", 5, n, sequence(n)), true)
			}
			p = again(t, p)
			if from == 3 && !counted {
				continue
			}
			for n := from; n < 6; n++ {
				take(t, p, at("a/0", 5, n, sequence(n)), n >= 3)
			}
			take(t, p, at("a/0", 6, 0, sequence(6)), true)
		}
	}
}

func TestProgressRefuses(t *testing.T) {
	p := new(Progress)
	take(t, p, at("a/0", 5, 0, 1), true)
	for _, s := range []Source{{8, 2, "shop", "s"}, {7, 2, "other", "s"}} {
		m := at("a/0", 6, 0, 2)
		m.Source = s
		var refused *SourceError
		if _, err := again(t, p).Take(m); !errors.As(err, &refused) {
			t.Errorf("%v is taken: %v", s, err)
		}
	}
	other := at("a/0", 6, 0, 2)
	other.Source.Slot = "another"
	take(t, p, other, true)
	later := at("a/0", 7, 0, 3)
	later.Source.Timeline = 3
	take(t, p, later, true)
	take(t, p, at("a/0", 6, 1, 4), false) // of the old timeline, again
	var branched *TimelineError
	if _, err := again(t, p).Take(at("a/0", 8, 0, 5)); !errors.As(err, &branched) {
		t.Errorf("what a server wrote whose history had ended is taken: %v", err)
	}
	for _, text := range []string{"", "{}", `{"version":2}`, `{"version":1,"system":"x"}`} {
		if err := new(Progress).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a progress", text)
		}
	}
}

func TestProgressOfReads(t *testing.T) {
	read := func(commit int, sequence uint64) *Message {
		m := at("a/0", commit, 0, sequence)
		m.Op = "READ"
		return m
	}
	p := new(Progress)
	take(t, p, read(0, 1), true)
	take(t, p, read(0, 2), true)
	take(t, p, at("a/0", 5, 0, 3), true)
	take(t, p, read(5, 4), true)
	take(t, p, read(4, 5), false) // older than what was applied
	mark := at("a/0", 0, 0, 6)
	mark.Kind = Marker
	take(t, p, mark, true)
	gone := read(4, 6) // removes something: not what came later
	gone.Kind, gone.LoadMark = Marker, MarkGone
	take(t, p, gone, false)
	gone.Position = at("a/0", 5, 0, 6).Position
	take(t, p, gone, true)
	if p.Sequence("a/0") != 6 || p.Sequence("b/0") != 0 {
		t.Error(p.Sequence("a/0"))
	}
}

func TestProgressText(t *testing.T) {
	p := new(Progress)
	take(t, p, at("b/1", 3, 0, 0), true)
	take(t, p, at("a/0", 5, 1, 16), true)
	take(t, p, at("a/0", 5, 0, 17), true)
	text, err := p.MarshalText()
	const want = `{"version":1,"system":"7","database":"shop","timeline":2,"places":{` +
		`"a/0":{"position":"0/5/0/1388/0","copy":1,"first":"0/5/0/1387/0","first_copy":1,"sequence":17},` +
		`"b/1":{"position":"0/3/0/BB8/0","copy":1,"first":"0/3/0/BB8/0","first_copy":1}}}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	if !json.Valid(text) {
		t.Error("it is no JSON")
	}
}

// Whatever comes again, and whenever the reader starts anew: each message is new once.
func TestProgressOnce(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		counted := seed%2 == 0
		var log []*Message
		for commit := 1; commit < 12; commit++ {
			for event := range r.IntN(5) {
				m := at("a/0", commit, event, 0)
				if counted {
					m.Record.Sequence = uint64(len(log) + 1)
				}
				log = append(log, m)
			}
		}
		p, seen, done := new(Progress), map[wal.Position]int{}, -1
		for i := 0; i < len(log); i++ {
			isNew, err := p.Take(log[i])
			if err != nil {
				t.Fatal(err)
			}
			if isNew {
				seen[log[i].Position]++
				done = i
			}
			if r.IntN(4) == 0 && done >= 0 { // all is stored; it starts anew
				p = again(t, p)
				i = r.IntN(done + 1)
				if !counted || r.IntN(2) == 0 {
					i--
				} else {
					i = done
				}
			}
		}
		for _, m := range log {
			if seen[m.Position] != 1 {
				t.Fatalf("seed %d: %v was new %d times", seed, m.Position, seen[m.Position])
			}
		}
	}
}
