package plan

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Values of the header cdc-key.
const (
	roleOld       = "old"       // of a key change, under the key before
	roleNew       = "new"       // of a key change, under the key after
	roleElsewhere = "elsewhere" // the row is of another partition
)

// place is where one message of an event goes.
type place struct {
	topic     string
	partition int32
	key       []byte
	role      string
	reason    string
	tombstone bool
	gone      bool // the row is not there
}

// mark writes down what is particular to one message of several.
func (at *place) mark(m *bus.Message, i, n int) {
	if n == 1 && at.role == "" && at.reason == "" {
		return
	}
	m.Headers = append(make([]bus.Header, 0, len(m.Headers)+4), m.Headers...)
	if n > 1 {
		m.Set(bus.Copy, strconv.Itoa(i+1)+"/"+strconv.Itoa(n))
	}
	if at.role != "" {
		m.Set(bus.KeyRole, at.role)
	}
	if at.reason != "" {
		m.Set(bus.Reason, at.reason)
	}
}

// route says where an event goes.
func (p *Plan) route(ctx context.Context, e *cdc.Event) ([]place, error) {
	if e.Failed() {
		return p.failed(e)
	}
	if e.Op == cdc.OpMessage {
		return []place{{topic: MessageTopic(p.options.Prefix)}}, nil
	}
	if e.Op == cdc.OpSchema {
		return p.schemaChange(ctx, e)
	}
	t := e.Table()
	if t == nil {
		return nil, fmt.Errorf("the schema of the change at %v is missing", p.position(e))
	}
	known := p.table(e, t)
	if !p.options.Keyed {
		return append(p.places[:0], place{topic: known.topic}), nil
	}
	if known.partitions == 0 {
		n, err := p.topics.Partitions(ctx, known.topic)
		if err != nil {
			return nil, err
		}
		known.partitions = n
	}
	if e.Op == cdc.OpTruncate {
		return p.everywhere(known.topic, known.partitions, nil, ""), nil
	}
	if !known.checked {
		if err := p.checkKey(t); err != nil {
			return nil, err
		}
		known.checked = true
	}
	return p.row(e, known), nil
}

// row says where a row goes.
func (p *Plan) row(e *cdc.Event, known *table) []place {
	topic, partitions := known.topic, known.partitions
	key, after := []byte(e.Key), []byte(e.NewKey)
	if len(key) == 0 {
		key, after = after, nil
	}
	if len(key) == 0 {
		p.warn("rows without a key go to partition 0 alone: their order is kept, but nothing is parallel", known.relation)
		return p.start(e, append(p.places[:0], place{topic: topic}), partitions)
	}
	places := append(p.places[:0], place{topic: topic, key: key, partition: PartitionOf(key, partitions)})
	removed := e.Op == cdc.OpDelete || len(after) > 0
	if p.options.Tombstones && removed && p.options.Schemas == nil { // rows that are gone are tombstones themselves
		places = append(places, places[0])
		places[1].tombstone = true
	}
	if len(after) > 0 {
		for i := range places {
			places[i].role, places[i].gone = roleOld, true
		}
		places = append(places, place{topic: topic, key: after, partition: PartitionOf(after, partitions), role: roleNew})
	}
	return p.start(e, places, partitions)
}

// start has every other partition hear of the start of a rewrite before the row itself is sent.
func (p *Plan) start(e *cdc.Event, places []place, partitions int32) []place {
	if !e.RewriteStart {
		return places
	}
	others := p.everywhere(places[0].topic, partitions, &places[0].partition, roleElsewhere)
	return append(others, places...)
}

// everywhere is every partition, but for one.
func (p *Plan) everywhere(topic string, partitions int32, except *int32, role string) []place {
	places := make([]place, 0, partitions+1)
	for i := range partitions {
		if except != nil && *except == i {
			continue
		}
		places = append(places, place{topic: topic, partition: i, key: p.controlKey(), role: role, gone: true})
	}
	return places
}

// controlKey is for messages without a row on compacted topics, where every message has a
// key. It is no row: no field has the number 0.
func (p *Plan) controlKey() []byte {
	if p.options.Tombstones {
		return []byte("\x00cdc")
	}
	return nil
}

// failed is a change that the server could not encode.
func (p *Plan) failed(e *cdc.Event) ([]place, error) {
	failure, err := e.Failure()
	if err != nil {
		return nil, err
	}
	if !p.options.FailuresAside {
		return nil, &FailedError{Position: p.position(e), Err: failure}
	}
	p.options.Logger.Warn("a change that the server could not encode goes to the dead letters",
		p.about(e, "sqlstate", failure.SQLState, "error", failure.Message)...)
	return []place{{topic: DeadTopic(p.options.Prefix), reason: Failure}}, nil
}

// FailedError: the server could not encode a change.
type FailedError struct {
	Position cdc.Position
	Err      error
}

// Error implements error.
func (e *FailedError) Error() string {
	return fmt.Sprintf("the change at %v: %v; relay.failures = dead_letter sets such changes aside", e.Position, e.Err)
}

// Unwrap gives the server's own words.
func (e *FailedError) Unwrap() error { return e.Err }

// schemaChange goes to the table's topic, and to all topics that it had under a former name.
func (p *Plan) schemaChange(ctx context.Context, e *cdc.Event) ([]place, error) {
	change, err := e.SchemaChange()
	if err != nil {
		return nil, err
	}
	var topics []string
	if change != nil && change.FormerName != "" {
		former := p.family(change.FormerSchema, change.FormerName)
		existing, err := p.topics.Versions(ctx, former)
		if err != nil {
			return nil, err
		}
		topics = p.known(former, existing)
	}
	if t := e.Table(); t != nil {
		if topic := p.table(e, t).topic; !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	var places []place
	for _, topic := range topics {
		partitions, err := p.topics.Partitions(ctx, topic)
		if err != nil {
			return nil, err
		}
		places = append(places, p.everywhere(topic, partitions, nil, "")...)
	}
	return places, nil
}

// checkKey refuses tombstones under keys that may be equal though their bytes are not.
func (p *Plan) checkKey(t *cdc.Table) error {
	if !p.options.Tombstones || p.options.AnyKeys {
		return nil
	}
	if !t.HasKey() {
		return &bus.ConfigError{Message: fmt.Sprintf("rows of %v have no key, and kafka.tombstones needs one: give the table a primary key", t)}
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Key && !bytesEqual(c) {
			return &bus.ConfigError{Message: fmt.Sprintf("the key column %q of %v has the type %s, whose equal values may have different bytes: "+
				"compaction would keep both. Set kafka.tombstones to false, or kafka.any_keys to true", c.Name, t, c.PgType)}
		}
	}
	return nil
}

// bytesEqual tells whether equal values of a column have equal bytes, as far as its type tells.
// (Of a collation that is not deterministic the stream does not tell.)
func bytesEqual(c *cdc.Column) bool {
	switch c.Type {
	case cdc.TypeBool, cdc.TypeInt32, cdc.TypeInt64, cdc.TypeUint32, cdc.TypeBytes, cdc.TypeUUID, cdc.TypeTimestamp,
		cdc.TypeTimestampTZ, cdc.TypeDate, cdc.TypeTime:
		return c.Redaction == 0
	case cdc.TypeText:
		return c.Redaction == 0 && !strings.HasSuffix(c.PgType, ".citext") && !strings.HasPrefix(c.PgType, "pg_catalog.bpchar")
	}
	return false
}
