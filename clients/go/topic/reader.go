package topic

import (
	"strconv"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Reader makes messages of records. It keeps the schemas that have come, so that each is
// parsed once. It is not safe for concurrent use; any number of them can share a cache.
type Reader struct {
	schemas *schema.Cache
	batch   change.Batch
	events  change.EventCursor
	message Message

	// The last ones, which the next message has most likely, too, and what they were made of.
	source         Source
	sourceText     string
	commitTime     time.Time
	commitTimeText string
	place          string
	topic          string
	partition      int32
}

// NewReader makes one.
func NewReader(schemas *schema.Cache) *Reader { return &Reader{schemas: schemas} }

// ops that are known, and whether they are of a marker.
var ops = map[string]bool{"INSERT": false, "UPDATE": false, "DELETE": false, "TRUNCATE": false, "MESSAGE": false, "READ": false,
	"REWRITE": false, "SCHEMA": false, "BEGIN": true, "END": true}

const opRead = "READ"

// Read makes a message of a record. The message is valid until the next call, and as long as
// the record is left as it is. After an UnknownError nothing behind the record may be applied.
func (r *Reader) Read(record *Record) (*Message, error) {
	m := &r.message
	*m = Message{Record: record, Place: r.placeOf(record), Copy: 1, Copies: 1}
	for i := range record.Headers {
		if err := r.header(m, &record.Headers[i]); err != nil {
			return nil, err
		}
	}
	marker, known := ops[m.Op]
	switch {
	case m.Op == "":
		return nil, fault.Damaged("a record has no header " + HeaderOp + ": it is no message of a relay")
	case !known:
		return nil, &UnknownError{HeaderOp, m.Op}
	case m.Source == Source{}:
		return nil, fault.Damaged("a message has no header " + HeaderSource)
	case m.LoadMark == MarkGone && len(m.Value) > 0:
		if err := r.value(m); err != nil {
			return nil, err
		}
		m.Kind = Marker
		return m, nil
	case marker, m.LoadMark != "":
		m.Kind = Marker
		return m, nil
	case m.Position.IsZero() && m.Op != opRead:
		return nil, fault.Damaged("a message has no header " + HeaderPosition)
	}
	if err := r.value(m); err != nil {
		return nil, err
	}
	return m, nil
}

// placeOf is Record.Place.
func (r *Reader) placeOf(record *Record) string {
	if record.Stream != "" {
		return record.Stream
	}
	if r.place == "" || r.topic != record.Topic || r.partition != record.Partition {
		r.place, r.topic, r.partition = record.Place(), record.Topic, record.Partition
	}
	return r.place
}

// value looks at what a message carries.
func (r *Reader) value(m *Message) error {
	switch {
	case m.Letter != nil:
		m.Kind = DeadLetter
		if len(m.Value) == 0 {
			return nil
		}
	case m.Kind == Reference && len(m.Value) == 0:
		return nil
	case m.Kind == Reference:
	}
	// Without a value, too: what a tombstone is among values of another kind is for others to say.
	content, _, _ := strings.Cut(m.Header(HeaderContent), ";")
	switch content {
	case "application/x-protobuf", "", "application/json":
		if len(m.Value) == 0 {
			m.Kind = Tombstone
			return nil
		}
	}
	switch content {
	case "application/x-protobuf", "":
		return r.event(m)
	case "application/json":
		if m.Letter == nil && m.Kind != Reference {
			m.Kind = JSON
		}
		return nil
	default:
		return &UnsupportedError{content}
	}
}

// event parses the value as a batch of one event.
func (r *Reader) event(m *Message) error {
	if err := r.batch.Parse(m.Value, r.schemas); err != nil {
		return err
	}
	r.events = r.batch.Events()
	if !r.events.Next() {
		if err := r.events.Err(); err != nil {
			return err
		}
		return fault.Damaged("a message has no event")
	}
	e := r.events.Event()
	switch {
	case r.batch.Len() != 1:
		return fault.Damaged("a message has several events")
	case e.Op != change.OpRead && e.Position() != m.Position:
		return fault.Damaged("the header " + HeaderPosition + " of a message is not the position of its event")
	case e.Op < change.OpInsert || e.Op > change.OpSchema:
		return &UnknownError{"an op", strconv.Itoa(int(e.Op))}
	case e.Fingerprint != 0 && e.Table() == nil:
		return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	m.Event = e
	return nil
}

// header takes in one header. Those that are not known are passed over.
func (r *Reader) header(m *Message, h *Header) (err error) {
	switch h.Name {
	case HeaderPosition:
		m.Position, err = wal.ParsePosition(h.Value)
	case HeaderOp:
		m.Op = h.Value
	case HeaderRelation:
		m.Relation = text(h.Value)
	case HeaderVersion:
		var n uint64
		n, err = strconv.ParseUint(h.Value, 10, 32)
		m.Version = uint32(n)
	case HeaderCommitTime:
		m.CommitTime, err = r.time(h.Value)
	case HeaderEnd:
		m.Events, err = strconv.Atoi(h.Value)
	case HeaderConfirm:
		m.Confirm, err = wal.ParseLSN(h.Value)
	case HeaderSource:
		err = r.sourceHeader(m, h.Value)
	case HeaderCopy:
		m.Copy, m.Copies, err = copies(h.Value)
	case HeaderPart:
		m.Part, err = strconv.Atoi(h.Value)
	case HeaderKey:
		role, ok := roles[h.Value]
		if !ok {
			return &UnknownError{HeaderKey, h.Value}
		}
		m.Role = role
	case HeaderReason, HeaderTopic:
		m.letter(h)
	case HeaderBytes:
		m.Bytes, err = strconv.Atoi(h.Value)
	case HeaderReference:
		m.Kind = Reference
		m.Bytes, err = strconv.Atoi(h.Value)
	case HeaderLoad:
		m.Load, err = strconv.ParseUint(h.Value, 10, 64)
	case HeaderLoadMark:
		m.LoadMark = h.Value
	}
	if err == nil || fault.IsDamage(err) {
		return err
	}
	return fault.DamagedBy("header "+h.Name, err)
}

func (r *Reader) time(text string) (time.Time, error) {
	if text == r.commitTimeText {
		return r.commitTime, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		r.commitTime, r.commitTimeText = at.UTC(), text
	}
	return r.commitTime, err
}

func (r *Reader) sourceHeader(m *Message, text string) (err error) {
	if text != r.sourceText {
		if r.source, err = ParseSource(text); err != nil {
			r.sourceText = ""
			return err
		}
		r.sourceText = text
	}
	m.Source = r.source
	return nil
}

// letter takes in what only dead letters have.
func (m *Message) letter(h *Header) {
	if m.Letter == nil {
		m.Letter = &Letter{}
	}
	if h.Name == HeaderReason {
		m.Letter.Reason = h.Value
	} else {
		m.Letter.Topic = h.Value
	}
}

// copies reads "1/3".
func copies(text string) (n, of int, err error) {
	first, second, found := strings.Cut(text, "/")
	if n, err = strconv.Atoi(first); err == nil {
		of, err = strconv.Atoi(second)
	}
	if err == nil && (!found || n < 1 || n > of) {
		err = fault.Damaged("a header " + HeaderCopy + " is none")
	}
	return n, of, err
}

// text undoes what keeps control characters out of headers.
func text(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}
