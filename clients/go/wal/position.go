package wal

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position identifies a change within one system and one history of timelines.
// It comes from the WAL alone: the same on every replay and every slot.
type Position struct {
	// CommitLSN is where the transaction's commit record starts; 0 while that is
	// not known (streamed and prepared transactions).
	CommitLSN LSN
	// LSN is where the change's own WAL record starts.
	LSN LSN
	// Index tells changes apart that share one WAL record.
	Index uint32
}

// String gives the text form: 16/B374D848/16/B374D700/0.
func (p Position) String() string { return string(p.Append(nil)) }

// Append appends the text form to dst.
func (p Position) Append(dst []byte) []byte {
	dst = append(p.CommitLSN.Append(dst), '/')
	dst = append(p.LSN.Append(dst), '/')
	return strconv.AppendUint(dst, uint64(p.Index), 10)
}

// ParsePosition reads the text form.
func ParsePosition(s string) (p Position, err error) {
	part := strings.Split(s, "/")
	if len(part) == 5 {
		p.CommitLSN, err = ParseLSN(part[0] + "/" + part[1])
		if err == nil {
			p.LSN, err = ParseLSN(part[2] + "/" + part[3])
		}
		if err == nil && !strings.HasPrefix(part[4], "+") {
			var index uint64
			if index, err = strconv.ParseUint(part[4], 10, 32); err == nil {
				p.Index = uint32(index)
				return p, nil
			}
		}
	}
	return Position{}, fmt.Errorf("cdc: %q is no position", s)
}

// Compare orders positions by CommitLSN, LSN and Index. Between transactions
// that is the order of the stream. Inside one transaction the order is that of
// the stream itself: compare for equality only.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.CommitLSN, q.CommitLSN), cmp.Compare(p.LSN, q.LSN), cmp.Compare(p.Index, q.Index))
}

// IsZero tells whether p is the zero Position, which no change has.
func (p Position) IsZero() bool { return p == Position{} }

// MarshalText implements encoding.TextMarshaler.
func (p Position) MarshalText() ([]byte, error) { return p.Append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Position) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePosition(string(text))
	return err
}
