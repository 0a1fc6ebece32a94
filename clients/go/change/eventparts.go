package change

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Failure says why a change could not be encoded. It is an error.
type Failure struct {
	// SQLState has five characters.
	SQLState string
	// Message, without values and untranslated.
	Message string
	// Column is the attnum of the column at fault, 0 if it is no single one.
	Column uint32
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("cdc: the server could not encode a change: %s (SQLSTATE %s)", f.Message, f.SQLState)
}

// Failure of the event, nil if it has none.
func (e *Event) Failure() (*Failure, error) {
	if e.failure == nil {
		return nil, nil
	}
	var m cdcv1.Failure
	if err := proto.Unmarshal(e.failure, &m); err != nil {
		return nil, fault.DamagedBy("failure", err)
	}
	return &Failure{SQLState: m.Sqlstate, Message: m.Message, Column: m.Column}, nil
}

// LogicalMessage is made with pg_logical_emit_message().
type LogicalMessage struct {
	// Transactional: it belongs to the batch's transaction.
	Transactional bool
	Prefix        string
	Content       []byte
}

// Message of the event, nil if it has none. Content is a copy.
func (e *Event) Message() (*LogicalMessage, error) {
	if e.message == nil {
		return nil, nil
	}
	var m cdcv1.Message
	if err := proto.Unmarshal(e.message, &m); err != nil {
		return nil, fault.DamagedBy("message", err)
	}
	return &LogicalMessage{Transactional: m.Transactional, Prefix: m.Prefix, Content: m.Content}, nil
}

// messagePrefix is the number of a field of Message.
const messagePrefix = 2

// HasPrefix tells whether the event is a logical message with this prefix.
// Nothing is allocated for that.
func (e *Event) HasPrefix(prefix string) bool {
	c := wire.Over(e.message)
	for c.Next() {
		if c.Field.Number == messagePrefix && c.Field.Type == wire.Len {
			return string(c.Field.Bytes) == prefix
		}
	}
	return prefix == "" && e.message != nil
}

// TruncateOptions are how a TRUNCATE was given. Tables that CASCADE added have
// events of their own.
type TruncateOptions struct{ Cascade, RestartIdentity bool }

// Truncate of the event, nil if it has none.
func (e *Event) Truncate() (*TruncateOptions, error) {
	if e.truncate == nil {
		return nil, nil
	}
	var m cdcv1.Truncate
	if err := proto.Unmarshal(e.truncate, &m); err != nil {
		return nil, fault.DamagedBy("truncate", err)
	}
	return &TruncateOptions{Cascade: m.Cascade, RestartIdentity: m.RestartIdentity}, nil
}
