package plan

import (
	"encoding/binary"

	"github.com/pgcdc/cdc/clients/go"
)

// Tags of fields of a Batch that end a transaction.
const (
	tagOutcome    = 3 << 3 // a varint
	tagEndLSN     = 4<<3 | 1
	tagEventCount = 5 << 3 // a varint
)

// endSize is the most that appendEnd appends.
const endSize = 32

// appendEnd appends what the last piece of a transaction has, and only that one.
func appendEnd(piece []byte, outcome cdc.Outcome, end cdc.LSN, events int) []byte {
	piece = binary.AppendUvarint(append(piece, tagOutcome), uint64(outcome))
	piece = binary.LittleEndian.AppendUint64(append(piece, tagEndLSN), uint64(end))
	return binary.AppendUvarint(append(piece, tagEventCount), uint64(events))
}
