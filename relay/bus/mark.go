package bus

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
)

// Names of headers. docs/relay.md says what they mean.
const (
	Position    = "cdc-position"
	Op          = "cdc-op"
	Relation    = "cdc-relation"
	Schema      = "cdc-schema"
	Version     = "cdc-version"
	CommitTime  = "cdc-commit-time"
	End         = "cdc-end"
	Confirm     = "cdc-confirm"
	SourceName  = "cdc-source"
	Copy        = "cdc-copy"
	Part        = "cdc-part"
	KeyRole     = "cdc-key"
	Reason      = "cdc-reason"
	Traceparent = "traceparent"
	ContentType = "content-type"
	// Load is which load a READ is of, and LoadMark its begin or end.
	Load     = "cdc-load"
	LoadMark = "cdc-load-mark"
	// Reference is the size of a message that has a key instead of its row.
	Reference = "cdc-reference"
	// Of messages that have a row: columns that are not known, whether a rewrite of the table starts, what a
	// command has done to it, and what it was called before.
	Missing = "cdc-missing"
	Rewrite = "cdc-rewrite"
	Change  = "cdc-change"
	Former  = "cdc-former"
)

// Gone is the mark of a key that was looked for, and has no row.
const Gone = "gone"

// Read is the op of rows that were read from tables.
const Read = "READ"

// Ops of messages that are of no event: the beginning and the end of a transaction.
const (
	Begins = "BEGIN"
	Ends   = "END"
)

// IsMarker tells whether it is one of these.
func (m *Message) IsMarker() bool {
	op := m.Get(Op)
	return op == Begins || op == Ends
}

// Source says where messages come from: positions compare only within it.
type Source struct {
	System         uint64
	Timeline       uint32
	Database, Slot string
}

// String is the form in the header cdc-source.
func (s Source) String() string {
	return fmt.Sprintf("%d/%d/%s/%s", s.System, s.Timeline, url.PathEscape(s.Database), s.Slot)
}

// ParseSource reads what String gives.
func ParseSource(text string) (s Source, err error) {
	part := strings.Split(text, "/")
	if len(part) != 4 {
		return s, fmt.Errorf("%q is no source", text)
	}
	system, err1 := strconv.ParseUint(part[0], 10, 64)
	timeline, err2 := strconv.ParseUint(part[1], 10, 32)
	database, err3 := url.PathUnescape(part[2])
	return Source{system, uint32(timeline), database, part[3]}, errors.Join(err1, err2, err3)
}

// Mark says how far a log has come: what its last message is of.
type Mark struct {
	Source   Source
	Position cdc.Position
	// Copy of Copies messages that the event has.
	Copy, Copies int
	// Begins: it is the beginning of a transaction, before the messages of its first event.
	Begins bool
	// Whole: nothing of the transaction is to follow.
	Whole bool
	// Part of a transaction that is cut, 0 where it is not, or is not known to be.
	Part int
	// Confirm: all transactions that end up to here are in the log, as a whole.
	Confirm cdc.LSN
}

// Checkpoint for a client that goes on behind the mark; what is there already it gets
// again, and leaves out.
func (m *Mark) Checkpoint() *cdc.Checkpoint {
	return &cdc.Checkpoint{SystemIdentifier: m.Source.System, Timeline: m.Source.Timeline,
		Database: m.Source.Database, Slot: m.Source.Slot, EndLSN: m.Confirm}
}

// ParseMark reads it from the headers of a message.
func ParseMark(get func(name string) string) (m Mark, err error) {
	if get(Position) == "" {
		return m, errors.New("it is no message of a relay: it has no header " + Position)
	}
	if m.Position, err = cdc.ParsePosition(get(Position)); err != nil {
		return m, err
	}
	if m.Source, err = ParseSource(get(SourceName)); err != nil {
		return m, err
	}
	if m.Confirm, err = cdc.ParseLSN(get(Confirm)); err != nil {
		return m, err
	}
	// A READ stands between transactions, and has the position of the change before it.
	m.Whole, m.Begins = get(End) != "" || get(Op) == Read, get(Op) == Begins
	if text := get(Part); text != "" {
		if m.Part, err = strconv.Atoi(text); err != nil {
			return m, fmt.Errorf("%q is no %s", text, Part)
		}
	}
	m.Copy, m.Copies = 1, 1
	if text := get(Copy); text != "" {
		if _, err = fmt.Sscanf(text, "%d/%d", &m.Copy, &m.Copies); err != nil {
			return m, fmt.Errorf("%q is no %s", text, Copy)
		}
	}
	return m, nil
}
