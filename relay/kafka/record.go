package kafka

import (
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/slab"
)

// records makes the library's records of messages, many of them in one allocation.
type records struct {
	list    slab.Slab[kgo.Record]
	headers slab.Slab[kgo.RecordHeader]
}

func newRecords() records {
	return records{list: slab.Slab[kgo.Record]{Size: 256, Keep: 64, Clean: true},
		headers: slab.Slab[kgo.RecordHeader]{Size: 2048, Keep: 64, Clean: true}}
}

// reuse says that all of them are stored.
func (r *records) reuse() {
	r.list.Reuse()
	r.headers.Reuse()
}

// of is a message as Kafka has it.
func (r *records) of(m *bus.Message, at time.Time) *kgo.Record {
	headers := r.headers.Take(len(m.Headers))[:len(m.Headers)]
	for i := range m.Headers {
		headers[i].Key, headers[i].Value = m.Headers[i].Name, bytesOf(m.Headers[i].Value)
	}
	record := &r.list.Take(1)[:1][0]
	record.Topic, record.Partition, record.Key, record.Value, record.Headers = m.Topic, m.Partition, m.Key, m.Value, headers
	record.Timestamp = at
	return record
}

// bytesOf gives the bytes of a text as they are: the library only reads them.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
