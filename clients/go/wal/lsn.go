// Package wal has places and times of the server: LSNs, positions of changes, snapshots,
// the history of timelines.
package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the server's WAL, in bytes.
type LSN uint64

// String gives PostgreSQL's text form: 16/B374D848.
func (l LSN) String() string { return string(l.Append(nil)) }

// Append appends the text form to dst.
func (l LSN) Append(dst []byte) []byte {
	dst = appendUpperHex(dst, uint32(l>>32))
	dst = append(dst, '/')
	return appendUpperHex(dst, uint32(l))
}

func appendUpperHex(dst []byte, v uint32) []byte {
	const digits = "0123456789ABCDEF"
	shift := 28
	for shift > 0 && v>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// ParseLSN reads the text form, with or without zeros in front of the lower
// half (PostgreSQL 19 prints them).
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err1 := parseHalf(high)
	l, err2 := parseHalf(low)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("cdc: %q is no LSN", s)
	}
	return LSN(h<<32 | l), nil
}

func parseHalf(s string) (uint64, error) {
	if len(s) > 8 || strings.ContainsAny(s, "+-_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 16, 32)
}

// MarshalText implements encoding.TextMarshaler.
func (l LSN) MarshalText() ([]byte, error) { return l.Append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LSN) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLSN(string(text))
	return err
}
