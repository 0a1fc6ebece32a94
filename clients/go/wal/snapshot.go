package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// Snapshot is what a reading transaction saw, with 64-bit transaction ids.
type Snapshot struct {
	// XMin: every transaction below it had ended.
	XMin uint64
	// XMax: every transaction from it on had not started.
	XMax uint64
	// XIP: transactions in progress from XMin to XMax.
	XIP []uint64
}

// Sees tells whether the snapshot sees what a transaction of a stream did, given
// that it has committed. Its 32 bits are widened by the epoch that brings them
// closest to XMax.
func (s *Snapshot) Sees(xid uint32) bool {
	wide := widen(xid, s.XMax)
	if wide < s.XMin {
		return true
	}
	if wide >= s.XMax {
		return false
	}
	for _, x := range s.XIP {
		if x == wide {
			return false
		}
	}
	return true
}

// ParseSnapshot reads PostgreSQL's text: xmin:xmax:xip,xip.
func ParseSnapshot(text string) (s *Snapshot, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("cdc: snapshot %q", text)
	}
	number := func(text string) (n uint64) {
		if err == nil {
			n, err = strconv.ParseUint(text, 10, 64)
		}
		return n
	}
	s = &Snapshot{XMin: number(parts[0]), XMax: number(parts[1])}
	if parts[2] != "" {
		for x := range strings.SplitSeq(parts[2], ",") {
			s.XIP = append(s.XIP, number(x))
		}
	}
	return s, err
}

// widen gives the 64-bit transaction id with these lower bits that is closest
// to near.
func widen(xid uint32, near uint64) uint64 {
	difference := int32(xid - uint32(near))
	if difference < 0 && uint64(-int64(difference)) > near {
		return uint64(xid)
	}
	return near + uint64(int64(difference))
}
