package topic

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Progress tells messages that are new from those that have been dealt with. Its text is to be
// stored together with the effects of the messages, in one transaction: then these happen once,
// whatever comes twice. It may be that of one place or of many: programs that share partitions
// keep one for each. The zero value is that of the beginning.
//
// After a start, and wherever reading goes back, begin with the stored text, and read on at the
// message that was dealt with last, or before it; where messages have a Sequence, right behind
// it will do, too.
type Progress struct {
	system   uint64
	database string
	timeline uint32
	places   map[string]*reached
}

// reached is how far a place has come.
type reached struct {
	last, first id // of the part of a transaction that the last message is in
	part        int
	sequence    uint64
	loaded      bool // from a text: what is read may begin before the last message
	repeat      bool // the log has the part once more, from its start
}

// id is a message within its place.
type id struct {
	position wal.Position
	copy     int
}

// SourceError: messages are of another system or database than those before, so that
// positions do not compare.
type SourceError struct{ Source, Before string }

// Error implements error.
func (e *SourceError) Error() string {
	return fmt.Sprintf("cdc: messages of %s come after those of %s: their positions do not compare. Begin anew, with a progress of its own", e.Source, e.Before)
}

// TimelineError: a message was written by a server that went on behind the place where the
// history, as it was read already, has left its timeline.
type TimelineError struct {
	Position         wal.Position
	Timeline, Before uint32
}

// Error implements error.
func (e *TimelineError) Error() string {
	return fmt.Sprintf("cdc: the change at %v is of timeline %d, and the history has gone on with timeline %d before it", e.Position, e.Timeline, e.Before)
}

// Take tells whether a message is new, and notes it. Where it cannot be dealt with, throw the
// Progress away, with all effects that are not stored, and go on from the text that is.
// What is read of tables (READ) is new unless it is older than what was dealt with: it may come
// twice, and is idempotent by its key. So is a MarkGone. Other markers are always new.
func (p *Progress) Take(m *Message) (bool, error) {
	if err := p.source(m); err != nil {
		return false, err
	}
	at := p.places[m.Place]
	if at == nil {
		at = &reached{}
		if p.places == nil {
			p.places = map[string]*reached{}
		}
		p.places[m.Place] = at
	}
	isNew, err := true, error(nil)
	switch {
	case m.Kind == Marker && m.LoadMark != MarkGone:
	case m.Op == opRead:
		isNew = m.Position.CommitLSN >= at.last.position.CommitLSN
	default:
		isNew, err = p.take(at, m)
	}
	if err == nil {
		at.sequence = max(at.sequence, m.Sequence)
	}
	return isNew, err
}

// source sees to it that positions compare.
func (p *Progress) source(m *Message) error {
	if p.system == 0 {
		p.system, p.database, p.timeline = m.Source.System, m.Source.Database, m.Source.Timeline
	}
	if m.Source.System != p.system || m.Source.Database != p.database {
		return &SourceError{name(m.Source.System, m.Source.Database), name(p.system, p.database)}
	}
	return nil
}

func name(system uint64, database string) string {
	return fmt.Sprintf("the system %d, database %q", system, database)
}

func (p *Progress) take(at *reached, m *Message) (bool, error) {
	now := id{m.Position, m.Copy}
	part := max(1, m.Part)
	order := cmp.Or(cmp.Compare(m.Position.CommitLSN, at.last.position.CommitLSN), cmp.Compare(part, at.part))
	switch {
	case order < 0:
		return false, nil
	case order == 0 && at.again(now, m.Sequence):
		return false, nil
	case m.Source.Timeline < p.timeline:
		return false, &TimelineError{m.Position, m.Source.Timeline, p.timeline}
	case order > 0:
		at.first, at.loaded, at.repeat = now, false, false
	}
	at.last, at.part = now, part
	p.timeline = m.Source.Timeline
	return true, nil
}

// again tells whether a message of the last message's part has come before. Within a transaction
// positions are in no order of their own: what tells is where it stands.
func (at *reached) again(now id, sequence uint64) bool {
	counted := sequence != 0 && at.sequence != 0
	switch {
	case counted && sequence <= at.sequence:
	case now == at.last:
		at.loaded, at.repeat = false, false
	case at.repeat, at.loaded && !counted:
	case now == at.first:
		at.repeat = true
	default:
		return false
	}
	return true
}

// Places that have come so far, in ascending order.
func (p *Progress) Places() []string { return slices.Sorted(maps.Keys(p.places)) }

// Position of the last message of a place; zero if there is none.
func (p *Progress) Position(place string) wal.Position {
	if at := p.places[place]; at != nil {
		return at.last.position
	}
	return wal.Position{}
}

// Sequence of the last record of a place; 0 if it is not known.
func (p *Progress) Sequence(place string) uint64 {
	if at := p.places[place]; at != nil {
		return at.sequence
	}
	return 0
}

// The text form.
type progressText struct {
	Version  int                  `json:"version"`
	System   string               `json:"system"`
	Database string               `json:"database"`
	Timeline uint32               `json:"timeline"`
	Places   map[string]placeText `json:"places"`
}

type placeText struct {
	Position  wal.Position `json:"position"`
	Copy      int          `json:"copy"`
	First     wal.Position `json:"first"`
	FirstCopy int          `json:"first_copy"`
	Part      int          `json:"part,omitempty"`
	Repeat    bool         `json:"repeat,omitempty"`
	Sequence  uint64       `json:"sequence,omitempty"`
}

// MarshalText implements encoding.TextMarshaler.
func (p *Progress) MarshalText() ([]byte, error) {
	t := progressText{Version: 1, System: strconv.FormatUint(p.system, 10), Database: p.database, Timeline: p.timeline, Places: map[string]placeText{}}
	for place, at := range p.places {
		t.Places[place] = placeText{at.last.position, at.last.copy, at.first.position, at.first.copy, beyondFirst(at.part), at.repeat, at.sequence}
	}
	return json.Marshal(t)
}

// beyondFirst leaves out what nearly all have.
func beyondFirst(part int) int {
	if part == 1 {
		return 0
	}
	return part
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Progress) UnmarshalText(text []byte) error {
	var t progressText
	if err := json.Unmarshal(text, &t); err != nil {
		return fault.DamagedBy("progress", err)
	}
	if t.Version != 1 {
		return fmt.Errorf("cdc: the progress has version %d, not 1: a newer program has stored it", t.Version)
	}
	system, err := strconv.ParseUint(t.System, 10, 64)
	if err != nil {
		return fault.DamagedBy("progress", err)
	}
	*p = Progress{system: system, database: t.Database, timeline: t.Timeline, places: map[string]*reached{}}
	for place, at := range t.Places {
		p.places[place] = &reached{last: id{at.Position, at.Copy}, first: id{at.First, at.FirstCopy}, part: max(1, at.Part), sequence: at.Sequence, loaded: true, repeat: at.Repeat}
	}
	return nil
}
