package bus

import (
	"encoding/json"
	"fmt"

	"github.com/pgcdc/cdc/clients/go"
)

// Record is how a checkpoint stands on a bus: a key of NATS, a record of Kafka.
type Record struct {
	Version int `json:"version"`
	// Checkpoint of the slot's client.
	Checkpoint *cdc.Checkpoint `json:"checkpoint"`
	// Mark has the headers of the last message, as of this record.
	Mark map[string]string `json:"mark,omitempty"`
	// Sequence of the last message in the stream, on NATS.
	Sequence uint64 `json:"sequence,omitempty"`
	// Loads: there is a record of loads, too.
	Loads bool `json:"loads,omitempty"`
}

// marked are the headers that make a mark.
var marked = [...]string{Position, SourceName, Confirm, End, Copy, Part, Op}

// MarkOf keeps those headers of a message that make a mark.
func MarkOf(headers []Header) map[string]string {
	m := Message{Headers: headers}
	kept := make(map[string]string, len(marked))
	for _, name := range marked {
		if value := m.Get(name); value != "" {
			kept[name] = value
		}
	}
	return kept
}

// Encode gives the bytes of a record.
func (r *Record) Encode() ([]byte, error) {
	r.Version = 1
	return json.Marshal(r)
}

// ParseRecord reads what Encode gives.
func ParseRecord(data []byte) (*Record, error) {
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("the checkpoint on the bus cannot be read: %w", err)
	}
	if r.Version != 1 {
		return nil, fmt.Errorf("the checkpoint on the bus has version %d, not 1: a newer relay has written it", r.Version)
	}
	return r, nil
}

// ParseMark gives the record's mark, nil if it has none.
func (r *Record) ParseMark() (*Mark, error) {
	if len(r.Mark) == 0 {
		return nil, nil
	}
	m, err := ParseMark(func(name string) string { return r.Mark[name] })
	return &m, err
}

// FencedError: another relay writes to the same log.
type FencedError struct{ Err error }

// Error implements error.
func (e *FencedError) Error() string { return "another relay has taken over: " + e.Err.Error() }

// Unwrap gives the broker's own words.
func (e *FencedError) Unwrap() error { return e.Err }

// ConfigError: trying again does not help before somebody changes something.
type ConfigError struct{ Message string }

// Error implements error.
func (e *ConfigError) Error() string { return e.Message }

// MissingError: a topic or a stream is not there. Nothing is lost by waiting for it.
type MissingError struct{ Name, Message string }

// Error implements error.
func (e *MissingError) Error() string { return e.Message }
