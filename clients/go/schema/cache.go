package schema

import (
	"bytes"
	"sync"

	"github.com/pgcdc/cdc/clients/go/fault"
)

// Cache keeps schemas by fingerprint. Since they address their content,
// one cache may serve any number of streams and servers. It is safe for
// concurrent use.
type Cache struct {
	limits Limits
	mu     sync.RWMutex
	tables map[Fingerprint]*Table
	bytes  int // of the tables
}

// NewCache makes an empty cache.
func NewCache(limits Limits) *Cache {
	return &Cache{limits: limits.WithDefaults(), tables: map[Fingerprint]*Table{}}
}

// Find gives the table with a fingerprint, nil if it has not come.
func (s *Cache) Find(f Fingerprint) *Table {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables[f]
}

// Add takes in a schema. The bytes are copied. That the fingerprint is theirs
// is checked; the same fingerprint with other bytes is damage.
func (s *Cache) Add(f Fingerprint, table []byte) (*Table, error) {
	if known := s.Find(f); known != nil {
		if !bytes.Equal(known.Bytes, table) {
			return nil, fault.Damaged("two schemas have the same fingerprint")
		}
		return known, nil
	}
	if FingerprintOf(table) != f {
		return nil, fault.Damaged("schema does not match its fingerprint")
	}
	t, err := ParseTable(bytes.Clone(table), s.limits)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.tables[f]; known != nil { // added meanwhile
		return known, nil
	}
	if len(s.tables) >= s.limits.MaxSchemas || s.bytes+len(table) > s.limits.MaxSchemaBytes {
		return nil, fault.Damaged("more schemas than the limit")
	}
	s.bytes += len(table)
	s.tables[f] = t
	return t, nil
}

// Limits that it was made with, with their defaults.
func (s *Cache) Limits() Limits { return s.limits }

// Len is the number of schemas.
func (s *Cache) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.tables)
}

// UnknownSchemaError: an event refers to a schema that has not come. It is a kind
// of damage, as an errors.Is with ErrDamaged tells.
type UnknownSchemaError struct{ Fingerprint Fingerprint }

// Error implements error.
func (e *UnknownSchemaError) Error() string {
	return "cdc: schema with fingerprint " + e.Fingerprint.String() + " is missing"
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *UnknownSchemaError) Is(target error) bool { return target == fault.ErrDamaged }
