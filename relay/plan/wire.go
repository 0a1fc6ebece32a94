package plan

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pgcdc/cdc/clients/go"
)

// Tags of fields of a Batch that end a transaction.
const (
	tagOutcome    = 3<<3 | 0
	tagEndLSN     = 4<<3 | 1
	tagEventCount = 5<<3 | 0
)

// appendEnd appends what the last piece of a transaction has, and only that one.
func appendEnd(piece []byte, outcome cdc.Outcome, end cdc.LSN, events int) []byte {
	piece = binary.AppendUvarint(append(piece, tagOutcome), uint64(outcome))
	piece = binary.LittleEndian.AppendUint64(append(piece, tagEndLSN), uint64(end))
	return binary.AppendUvarint(append(piece, tagEventCount), uint64(events))
}

// name of a relation.
type name struct{ schema, table string }

// Fields of a ChangeEvent and of its SchemaChange.
const (
	eventSchemaChange = 16
	formerSchema      = 3
	formerTable       = 4
)

// formerName is the name that a relation had before a schema change, empty where it is the same.
func formerName(event []byte) (former name, err error) {
	err = fields(event, func(number protowire.Number, value []byte) error {
		if number != eventSchemaChange {
			return nil
		}
		return fields(value, func(number protowire.Number, value []byte) error {
			switch number {
			case formerSchema:
				former.schema = string(value)
			case formerTable:
				former.table = string(value)
			}
			return nil
		})
	})
	return former, err
}

// fields walks over the fields of a message that have a length.
func fields(message []byte, f func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			if err := f(number, value); err != nil {
				return err
			}
		}
		message = message[n:]
	}
	return nil
}
