package change

import (
	"bytes"
	"maps"

	"github.com/pgcdc/cdc/clients/go/schema"
)

// announced is a schema that came with a batch.
type announced struct {
	fingerprint schema.Fingerprint
	version     schema.Version
}

// versions that a connection has announced. Never changed: what comes makes a new one,
// and a batch keeps the one of its time.
type versions map[schema.Fingerprint]schema.Version

func (v versions) with(all []announced) versions {
	cloned := false
	for _, a := range all {
		if known, ok := v[a.fingerprint]; ok && known == a.version {
			continue
		}
		if !cloned {
			v, cloned = maps.Clone(v), true
		}
		if v == nil {
			v = versions{}
		}
		v[a.fingerprint] = a.version
	}
	return v
}

// Connection is what the batches of one connection leave out since they, or the server,
// have said it before: where the stream comes from, and the versions of schemas. The zero
// value is that of a connection on which nothing has come yet.
type Connection struct {
	source   []byte
	versions versions
}

// Take takes in the next batch of the connection, and completes it. The source is kept
// from one connection to the next, until it is told anew.
func (c *Connection) Take(b *Batch) {
	if b.source != nil && !bytes.Equal(b.source, c.source) {
		c.source = bytes.Clone(b.source)
	}
	b.latest = c.source
	c.versions = c.versions.with(b.announced)
	b.versions = c.versions
}

// Reset is to be called when a connection begins.
func (c *Connection) Reset() { c.versions = nil }

// Version of the event's row in the server's registry, as of the change. In batches
// that do not come from a Stream it is known only where the batch has the schema
// (option schemas = 'batch').
func (e *Event) Version() schema.Version {
	if v, ok := e.batch.versions[e.Fingerprint]; ok {
		return v
	}
	for _, a := range e.batch.announced {
		if a.fingerprint == e.Fingerprint {
			return a.version
		}
	}
	return schema.Version{}
}

// AnnouncedVersion is the version of a schema that came with the batch, also where no event has it.
func (b *Batch) AnnouncedVersion(f schema.Fingerprint) schema.Version {
	for _, a := range b.announced {
		if a.fingerprint == f {
			return a.version
		}
	}
	return schema.Version{}
}
