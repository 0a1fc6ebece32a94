package topic

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Names of headers.
const (
	HeaderPosition   = "cdc-position"
	HeaderOp         = "cdc-op"
	HeaderRelation   = "cdc-relation"
	HeaderVersion    = "cdc-version"
	HeaderCommitTime = "cdc-commit-time"
	HeaderEnd        = "cdc-end"
	HeaderConfirm    = "cdc-confirm"
	HeaderSource     = "cdc-source"
	HeaderCopy       = "cdc-copy"
	HeaderPart       = "cdc-part"
	HeaderKey        = "cdc-key"
	HeaderReason     = "cdc-reason"
	HeaderTopic      = "cdc-topic"
	HeaderBytes      = "cdc-bytes"
	HeaderLoad       = "cdc-load"
	HeaderLoadMark   = "cdc-load-mark"
	HeaderReference  = "cdc-reference"
	HeaderContent    = "content-type"
)

// Kind is what a message is.
type Kind int

// The kinds of messages.
const (
	// Change has an Event.
	Change Kind = iota
	// Tombstone is for compaction alone: pass it over.
	Tombstone
	// DeadLetter is a change that could not be carried as the others: see DeadLetter.
	DeadLetter
	// Marker tells where a transaction, or the loading of a table (LoadMark), begins or ends:
	// no change.
	Marker
	// Reference is a change that was too large: the row is to be read from the table. Its event, if there is one, has failed,
	// and has the key.
	Reference
	// JSON is a change whose value is the JSON form of its event. It has no Event.
	JSON
)

// MarkGone is the LoadMark of a key that was looked for, and has no row: its Event is a READ without a row.
const MarkGone = "gone"

var kinds = [...]string{"change", "tombstone", "dead letter", "marker", "reference", "json"}

// String names it.
func (k Kind) String() string { return kinds[k] }

// Role of a message among those that an event has: header cdc-key.
type Role int

// The roles.
const (
	// RoleNone: the event's only message, or each counts for itself.
	RoleNone Role = iota
	// RoleOld stands under the key that a row had: for its partition the row is gone.
	RoleOld
	// RoleNew stands under the key that the row has now: it is there.
	RoleNew
	// RoleElsewhere: the row is one of another partition.
	RoleElsewhere
)

var roles = map[string]Role{"": RoleNone, "old": RoleOld, "new": RoleNew, "elsewhere": RoleElsewhere}

// Message is what a Reader makes of a record. It points into the record's bytes.
type Message struct {
	*Record
	Kind Kind
	// Place is that of the record.
	Place string
	// Op is the event's name: INSERT, UPDATE, ...
	Op string
	// Position of the event. Of a READ, which has none of its own, that of the last change
	// before it in the log: the row is at least as new.
	Position wal.Position
	// Copy of Copies messages that the event has.
	Copy, Copies int
	Role         Role
	// Source says where the change comes from.
	Source Source
	// Confirm: transactions that end up to here are in the log as a whole.
	Confirm wal.LSN
	// Relation as Table.String gives it; empty where the event is of none.
	Relation string
	// Version of the row's schema in the registry; 0 without one.
	Version uint32
	// CommitTime is zero for what is in no transaction.
	CommitTime time.Time
	// Events of the transaction, on its last message; 0 on all others.
	Events int
	// Part of a transaction that the bus has in several parts; 0 where it has not, or in the
	// first one.
	Part int
	// Load is the number of the load that a READ, or a marker, is of.
	Load uint64
	// LoadMark: begin or end, of a marker of a load; or MarkGone.
	LoadMark string
	// Bytes that the value of a Reference, or of a dead letter, would have had.
	Bytes int
	// Event is set for a Change, for a DeadLetter that has a value, and for MarkGone. It is valid until the
	// Reader's next record.
	Event *change.Event
	// Letter is set for a DeadLetter.
	Letter *Letter
}

// Letter says why a change is among the dead letters.
type Letter struct {
	// Reason: failure, too_large, ...
	Reason string
	// Topic where it would have gone; of what is too large.
	Topic string
}

// Holds tells whether the message's partition holds the row that the event tells of. Where it
// does not (RoleOld, RoleElsewhere), the message only takes something away.
func (m *Message) Holds() bool { return m.Role != RoleOld && m.Role != RoleElsewhere }

// ObserveDelay takes into cdc_read_delay_seconds how long the message was on its way from the bus to here.
// published is the bus's own time of it: the timestamp of Kafka's record, or of the metadata of JetStream's
// message. It is 0 where this machine's clock is behind the bus's.
func (m *Message) ObserveDelay(to metrics.Metrics, published time.Time) {
	to.Observe(metrics.ReadDelaySeconds, max(0, time.Since(published).Seconds()))
}

// Source is where changes come from: header cdc-source. Positions compare only within one
// system and database.
type Source struct {
	System         uint64
	Timeline       uint32
	Database, Slot string
}

// String is the header's form.
func (s Source) String() string {
	return strconv.FormatUint(s.System, 10) + "/" + strconv.FormatUint(uint64(s.Timeline), 10) + "/" + url.PathEscape(s.Database) + "/" + s.Slot
}

// ParseSource reads what String gives.
func ParseSource(text string) (s Source, err error) {
	part := strings.Split(text, "/")
	if len(part) != 4 {
		return s, fault.Damaged("a header " + HeaderSource + " is no source")
	}
	system, err := strconv.ParseUint(part[0], 10, 64)
	if err != nil {
		return s, fault.DamagedBy("header "+HeaderSource, err)
	}
	timeline, err := strconv.ParseUint(part[1], 10, 32)
	if err != nil {
		return s, fault.DamagedBy("header "+HeaderSource, err)
	}
	database, err := url.PathUnescape(part[2])
	if err != nil {
		return s, fault.DamagedBy("header "+HeaderSource, err)
	}
	return Source{system, uint32(timeline), database, part[3]}, nil
}

// UnknownError: a message says something that this version does not know. Whoever applies
// changes must stop there.
type UnknownError struct{ Header, Value string }

// Error implements error.
func (e *UnknownError) Error() string {
	return "cdc: a message has " + e.Header + ": " + strconv.Quote(e.Value) + ", which this version does not know"
}

// UnsupportedError: values of messages are of a kind that has to be read otherwise.
type UnsupportedError struct{ ContentType string }

// Error implements error.
func (e *UnsupportedError) Error() string {
	return "cdc: values of content-type " + strconv.Quote(e.ContentType) + " are not for this reader: it reads those of relay.value = batch"
}
