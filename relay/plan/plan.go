package plan

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/slab"
)

// Options of a plan.
type Options struct {
	Prefix string
	// Topic is how topics of tables are called; by default as DefaultTemplate says.
	Topic Template
	// JSON: values are the JSON form of events, not batches.
	JSON bool
	// Schemas: values are rows, in the framing of a schema registry.
	Schemas Schemas
	// SendMissing sends rows of which not all columns are known. Otherwise they are an error.
	SendMissing bool
	// OldFull: under REPLICA IDENTITY FULL an UPDATE has all of the row before it.
	OldFull bool
	// Keyed: messages have keys, and topics partitions.
	Keyed bool
	// Tombstones follow what has removed a key.
	Tombstones bool
	// AnyKeys: tombstones also for keys whose equality is not that of their bytes.
	AnyKeys bool
	// FailuresAside puts changes that the server could not encode to the dead letters.
	// Otherwise they are an error.
	FailuresAside bool
	// Large is what becomes of messages that the bus does not take: LargeAside, LargeReference, or an error.
	Large string
	// Markers: messages at the beginning and the end of transactions.
	Markers bool
	// CloudEvents begins the names of headers with their attributes; "": there are none.
	CloudEvents string
	Logger      *slog.Logger
}

// Topics are those of a bus.
type Topics interface {
	Partitions(ctx context.Context, topic string) (int32, error)
	Versions(ctx context.Context, f bus.Family) ([]string, error)
	MaxBytes(ctx context.Context, topic string) (int, error)
}

// Plan makes messages of events. It is for one goroutine.
type Plan struct {
	options Options
	topics  Topics
	json    cdc.JSONWriter
	tables  map[tableKey]*table
	used    map[bus.Family][]string // topics that were planned
	warned  map[warning]bool

	// Of the transaction at hand.
	txn        *cdc.Txn
	from       bus.Source
	source     string // as text
	commitTime string
	trace      string
	confirm    cdc.LSN // all up to here is in the log
	confirmed  string  // as text
	markers    markers

	// Room for what is made.
	list    slab.Slab[bus.Message]
	heads   slab.Slab[bus.Header]
	bytes   slab.Slab[byte]
	texts   slab.Texts
	places  [4]place
	scratch [64]byte
	commit  commitText
	latest  struct { // the table that was asked for last
		key   tableKey
		known *table
	}
	limit struct { // the topic whose limit was asked for last, in the transaction at hand
		topic string
		bytes int
	}

	last cdc.Position // of the last change that has messages
	load string       // of which rows are read, or empty

	session string // tells what this plan has made from what others have
	reads   uint64 // messages of rows that were read

	missing string // columns of the event's row that are not known
}

type tableKey struct {
	fingerprint cdc.Fingerprint
	major       uint32
}

// table is what all events of a table's version share.
type table struct {
	topic, relation, schema, version string
	partitions                       int32  // 0: not known yet
	checked                          bool   // its key
	frame                            []byte // before each row; nil: its type is not registered yet
}

// New makes a plan. confirm is the end of the last transaction that is in the log.
func New(options Options, topics Topics, confirm cdc.LSN) *Plan {
	return &Plan{options: options, topics: topics, confirm: confirm, confirmed: confirm.String(), session: rand.Text()[:8] + "-",
		tables: map[tableKey]*table{}, used: map[bus.Family][]string{}, warned: map[warning]bool{},
		list:  slab.Slab[bus.Message]{Size: 256, Keep: 64, Clean: true},
		heads: slab.Slab[bus.Header]{Size: 2048, Keep: 64, Clean: true},
		bytes: slab.Slab[byte]{Size: 256 << 10, Keep: 64}}
}

// Reuse says that no messages are needed any more, but for those of the last event and of the one before it.
func (p *Plan) Reuse() {
	p.list.Reuse()
	p.heads.Reuse()
	p.bytes.Reuse()
}

// Begin takes in the transaction that the next events are of.
func (p *Plan) Begin(t *cdc.Txn, source bus.Source) {
	p.txn, p.markers.begun = t, false
	p.limit.topic = ""
	if source != p.from || p.source == "" {
		p.from, p.source = source, source.String()
	}
	p.commitTime, p.trace = "", ""
	if at := t.CommitTime(); !at.IsZero() {
		p.commitTime = p.texts.Keep(at.AppendFormat(p.scratch[:0], "2006-01-02T15:04:05.999999+00:00"))
	}
	for _, m := range t.Metadata {
		if m.Key == "traceparent" {
			p.trace = headerText(m.Value)
		}
	}
}

// Event gives the messages of an event, in the order in which they are to be sent.
func (p *Plan) Event(ctx context.Context, e *cdc.Event) ([]bus.Message, error) {
	places, err := p.route(ctx, e)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	value, err := p.value(ctx, e)
	if err != nil {
		return nil, err
	}
	headers := p.headers(e)
	messages := p.list.Take(len(places))[:len(places)]
	for i, at := range places {
		messages[i] = bus.Message{Topic: at.topic, Partition: at.partition, Key: at.key, Value: value, Headers: headers}
		if at.tombstone || at.gone && p.asRow(e) {
			messages[i].Value = nil
		}
		at.mark(&messages[i], i, len(places))
	}
	p.last = p.position(e)
	p.cloud(messages)
	if messages, err = p.fit(ctx, e, messages); err != nil {
		return nil, err
	}
	return p.begin(messages)
}

// Finish marks the messages of a transaction's last event. events is how many it had.
func (p *Plan) Finish(messages []bus.Message, events int) {
	if len(messages) > 0 && !p.options.JSON && !p.txn.IsMessage {
		var ended []byte
		for i := range messages {
			if m := &messages[i]; len(m.Value) == 0 || m.IsMarker() || m.Get(bus.ContentType) == RowContent {
				continue
			}
			if ended == nil { // in the room that value has left
				ended = appendEnd(messages[i].Value, p.txn.Outcome, p.txn.EndLSN, events)
			}
			messages[i].Value = ended
		}
	}
	p.confirm = p.txn.EndLSN
	p.confirmed = p.texts.Keep(p.confirm.Append(p.scratch[:0]))
	if len(messages) > 0 {
		last := &messages[len(messages)-1]
		last.Headers = append(p.heads.Take(len(last.Headers)+1), last.Headers...)
		last.Set(bus.Confirm, p.confirmed)
		last.Set(bus.End, strconv.Itoa(events))
	}
}

// value of an event's messages.
func (p *Plan) value(ctx context.Context, e *cdc.Event) ([]byte, error) {
	p.missing = ""
	if p.asRow(e) {
		return p.rowValue(ctx, e)
	}
	if p.options.JSON {
		return p.json.AppendEvent(nil, e)
	}
	value, err := e.AppendSingle(p.bytes.Take(len(e.Raw())+tableBytes(e)+256+endSize), nil)
	return p.bytes.Trim(value, endSize), err
}

func tableBytes(e *cdc.Event) int {
	if t := e.Table(); t != nil {
		return len(t.Bytes)
	}
	return 0
}

var opNames = [...]string{"UNSPECIFIED", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MESSAGE", "READ", "REWRITE", "SCHEMA"}

func opName(op cdc.Op) string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return strconv.Itoa(int(op))
}

// headers that all messages of an event have.
func (p *Plan) headers(e *cdc.Event) []bus.Header {
	h := p.heads.Take(16)
	position := p.positionText(p.position(e))
	h = append(h, bus.Header{Name: bus.Position, Value: position}, bus.Header{Name: bus.Op, Value: p.op(e)})
	if p.load != "" {
		h = append(h, bus.Header{Name: bus.Load, Value: p.load})
	}
	if t := e.Table(); t != nil {
		known := p.table(e, t)
		h = append(h, bus.Header{Name: bus.Relation, Value: known.relation}, bus.Header{Name: bus.Schema, Value: known.schema})
		if known.version != "" {
			h = append(h, bus.Header{Name: bus.Version, Value: known.version})
		}
	} else if change, err := e.SchemaChange(); err == nil && change != nil {
		h = append(h, bus.Header{Name: bus.Relation, Value: headerText(change.Former())})
	}
	if p.commitTime != "" {
		h = append(h, bus.Header{Name: bus.CommitTime, Value: p.commitTime})
	}
	if p.trace != "" {
		h = append(h, bus.Header{Name: bus.Traceparent, Value: p.trace})
	}
	content := "application/x-protobuf"
	if p.options.JSON {
		content = "application/json"
	}
	if p.asRow(e) {
		content, h = RowContent, p.rowHeaders(h, e)
	}
	return p.heads.Trim(append(h, bus.Header{Name: bus.Confirm, Value: p.confirmed},
		bus.Header{Name: bus.SourceName, Value: p.source}, bus.Header{Name: bus.ContentType, Value: content}), 0)
}

// commitText is where the text of positions begins: those of a transaction have the same.
type commitText struct {
	lsn  cdc.LSN
	text [64]byte
	size int
}

// positionText is a position as Position.String has it.
func (p *Plan) positionText(at cdc.Position) string {
	c := &p.commit
	if c.size == 0 || c.lsn != at.CommitLSN {
		c.lsn, c.size = at.CommitLSN, len(append(at.CommitLSN.Append(c.text[:0]), '/'))
	}
	text := append(at.LSN.Append(c.text[:c.size]), '/')
	return p.texts.Keep(strconv.AppendUint(text, uint64(at.Index), 10))
}

// table gives what is known of an event's table.
func (p *Plan) table(e *cdc.Event, t *cdc.Table) *table {
	return p.tableOf(t, e.Version())
}

func (p *Plan) tableOf(t *cdc.Table, version cdc.SchemaVersion) *table {
	key := tableKey{t.Fingerprint, version.Major}
	if p.latest.known != nil && p.latest.key == key {
		return p.latest.known
	}
	known := p.tables[key]
	if known == nil {
		base := p.family(t.Schema, t.Name)
		known = &table{topic: topicOf(base, version.Major), relation: headerText(t.String()), schema: t.Fingerprint.String()}
		if !slices.Contains(p.used[base], known.topic) {
			p.used[base] = append(p.used[base], known.topic)
		}
		if version.Major != 0 {
			known.version = strconv.FormatUint(uint64(version.Major), 10)
		}
		p.tables[key] = known
	}
	p.latest.key, p.latest.known = key, known
	return known
}

type warning struct{ message, relation string }

// warn says something once.
func (p *Plan) warn(message, relation string) {
	if key := (warning{message, relation}); !p.warned[key] {
		p.warned[key] = true
		p.options.Logger.Warn(message, "relation", relation)
	}
}
