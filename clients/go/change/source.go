package change

import (
	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
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
	// SchemaChanges: what DDL commands make of tables comes as OpSchema. Without it, a change
	// of a table shows in the schema of its next row.
	SchemaChanges bool
}

// Source says where the stream comes from; nil if the batch does not (it is in
// the first one of a connection, and when it changes).
func (b *Batch) Source() (*Origin, error) {
	if b.source == nil {
		return nil, nil
	}
	var m cdcv1.Source
	if err := proto.Unmarshal(b.source, &m); err != nil {
		return nil, fault.DamagedBy("source", err)
	}
	return &Origin{
		SystemIdentifier: m.SystemIdentifier, Timeline: m.Timeline, Database: m.Database,
		Slot: m.Slot, PluginVersion: m.PluginVersion, ServerVersion: m.ServerVersion,
		SchemaChanges: m.SchemaChanges,
	}, nil
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
