package cdc

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
)

// VersionError: a row is not in the version that Config.Versions expects.
type VersionError struct {
	// Relation as Table.String gives it.
	Relation string
	// Want is the expected major version, Got what the row has; 0: not registered.
	Want, Got uint32
	// Unmapped is why the server does not send it in the expected one, if it was asked.
	Unmapped string
}

// Error implements error.
func (e *VersionError) Error() string {
	text := fmt.Sprintf("cdc: rows of %s have version %d, not %d", e.Relation, e.Got, e.Want)
	if e.Got == 0 {
		text = fmt.Sprintf("cdc: rows of %s have no version, not %d: the relation is not registered", e.Relation, e.Want)
	}
	if e.Unmapped != "" {
		text += ", and cannot be sent so: " + e.Unmapped
	}
	return text
}

// mismatch tells whether an event is in another version than the one expected of its
// relation.
func (c *Config) mismatch(e *Event) *VersionError {
	if len(c.Versions) == 0 || e.Op == OpSchema { // what no row has yet does no harm
		return nil
	}
	table := e.Table()
	if table == nil {
		return nil
	}
	relation := table.String()
	want, ok := c.Versions[relation]
	v := e.Version()
	if !ok || v.Major == want && v.Unmapped == "" {
		return nil
	}
	return &VersionError{Relation: relation, Want: want, Got: v.Major, Unmapped: v.Unmapped}
}

// RegisterReader records at the server that a consumer reads a major version of a
// relation, so that cdc.readers and the gate for DDL name it; and returns the version.
// It needs EXECUTE on cdc.register_reader.
func RegisterReader(ctx context.Context, conninfo, consumer, relation string, major uint32) (uint32, error) {
	conn, err := new(libpq.Dialer).Connect(ctx, conninfo, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	row := conn.ExecParams(ctx, "SELECT cdc.register_reader($1, $2::pg_catalog.regclass, version => $3)",
		[][]byte{[]byte(consumer), []byte(relation), strconv.AppendUint(nil, uint64(major), 10)}, nil, nil, nil).Read()
	if row.Err != nil {
		return 0, row.Err
	}
	found, err := strconv.ParseUint(string(row.Rows[0][0]), 10, 32)
	return uint32(found), err
}
