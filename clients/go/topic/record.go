// Package topic reads what cdc-relay has written to a message bus: records of Kafka, or
// messages of NATS JetStream, become the events that a stream has. It knows no broker: a
// program fills a Record with what its broker's library gives. docs/relay.md of the
// repository specifies the messages.
package topic

import "strconv"

// Record is a message as a bus has it.
type Record struct {
	// Topic of Kafka, subject of NATS.
	Topic string
	// Partition of Kafka; 0 on NATS.
	Partition int32
	// Stream is set where all records that are read stand in one order: on JetStream, to the
	// stream's name. Where it is empty, as for Kafka, each partition has its own order.
	Stream string
	// Sequence counts up in that order: Kafka's offset plus 1, JetStream's sequence in the
	// stream. 0: not known.
	Sequence uint64
	// Key and Value; nil where a record has none.
	Key, Value []byte
	Headers    []Header
}

// Header of a record.
type Header struct{ Name, Value string }

// Header gives the value of a header, "" where there is none.
func (r *Record) Header(name string) string {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			return r.Headers[i].Value
		}
	}
	return ""
}

// Place names the order that the record stands in: Stream, or Topic/Partition.
func (r *Record) Place() string {
	if r.Stream != "" {
		return r.Stream
	}
	return r.Topic + "/" + strconv.Itoa(int(r.Partition))
}
