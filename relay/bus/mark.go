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
	KeyRole     = "cdc-key"
	Reason      = "cdc-reason"
	Traceparent = "traceparent"
	ContentType = "content-type"
)

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
	// Whole: nothing of the transaction is to follow.
	Whole bool
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
	m.Whole = get(End) != ""
	m.Copy, m.Copies = 1, 1
	if text := get(Copy); text != "" {
		if _, err = fmt.Sscanf(text, "%d/%d", &m.Copy, &m.Copies); err != nil {
			return m, fmt.Errorf("%q is no %s", text, Copy)
		}
	}
	return m, nil
}
