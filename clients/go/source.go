package cdc

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Origin says where a stream comes from.
type Origin struct {
	// SystemIdentifier of the cluster, as pg_control_system() gives it.
	SystemIdentifier uint64
	// Timeline that the server was on when the connection began.
	Timeline uint32
	// Database and Slot by name.
	Database, Slot string
	// PluginVersion of the cdc library, for example "1.0".
	PluginVersion string
	// ServerVersion is server_version_num, for example 150020.
	ServerVersion uint32
}

// Source says where the stream comes from; nil if the batch does not (it is in
// the first one of a connection, and when it changes).
func (b *Batch) Source() (*Origin, error) {
	if b.source == nil {
		return nil, nil
	}
	var m cdcv1.Source
	if err := proto.Unmarshal(b.source, &m); err != nil {
		return nil, damagedBy("source", err)
	}
	return &Origin{
		SystemIdentifier: m.SystemIdentifier, Timeline: m.Timeline, Database: m.Database,
		Slot: m.Slot, PluginVersion: m.PluginVersion, ServerVersion: m.ServerVersion,
	}, nil
}

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

// parseSnapshot reads PostgreSQL's text: xmin:xmax:xip,xip.
func parseSnapshot(text string) (s *Snapshot, err error) {
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

func (b *Batch) snapshot(raw []byte) error {
	s := &b.scratch
	b.Snapshot = s
	c := wire.Over(raw)
	for c.Next() {
		f := &c.Field
		switch {
		case f.Number == 3 && f.Type == wire.Len:
			for rest := f.Bytes; len(rest) > 0; {
				v, n := wire.ReadVarint(rest)
				if n == 0 {
					return wire.ErrVarint
				}
				s.XIP = append(s.XIP, v)
				rest = rest[n:]
			}
		case f.Number > 3:
		case f.Type != wire.Varint:
			return wire.ErrType
		case f.Number == 1:
			s.XMin = f.Uint
		case f.Number == 2:
			s.XMax = f.Uint
		default:
			s.XIP = append(s.XIP, f.Uint)
		}
	}
	return c.Err()
}
