package cdc

import (
	"io"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// What is in packages of its own, under the names that it has here.

// Batches, events and transactions: package change.
type (
	// Event is a view of one change.
	Event = change.Event
	// EventCursor walks over the events of a batch, without allocation.
	EventCursor = change.EventCursor
	// AssemblerConfig says where transactions are kept until they end.
	AssemblerConfig = change.AssemblerConfig
	// Assembler puts together transactions from their parts, which may come before the commit
	// is known, interleaved, and rolled back in part or in whole.
	Assembler = change.Assembler
	// Batch is a view of one message of the server: a transaction, a part of one, or a logical
	// message that stands outside of transactions.
	Batch = change.Batch
	// Transaction that a batch belongs to.
	Transaction = change.Transaction
	// MetadataEntry is made with cdc.set_metadata().
	MetadataEntry = change.MetadataEntry
	// Failure says why a change could not be encoded.
	Failure = change.Failure
	// LogicalMessage is made with pg_logical_emit_message().
	LogicalMessage = change.LogicalMessage
	// TruncateOptions are how a TRUNCATE was given.
	TruncateOptions = change.TruncateOptions
	// FileReader reads the batches of a file: one of pg_recvlogical, a serialized
	// cdc.v1.Stream, or batches preceded by their lengths.
	FileReader = change.FileReader
	// JSONWriter renders batches in the JSON form: one line for each event and outcome, equal
	// to the byte to what the server's cdc.decode_json() gives.
	JSONWriter = change.JSONWriter
	// Op is what happened.
	Op = change.Op
	// SchemaChange is what a DDL command has made of a relation.
	SchemaChange = change.SchemaChange
	// SchemaChangeKind is what a DDL command has made of a relation, in a word.
	SchemaChangeKind = change.SchemaChangeKind
	// Outcome is how a transaction ended, or that it has not.
	Outcome = change.Outcome
	// Txn is a transaction that has ended, with all of its events, or a logical message that
	// stands outside of transactions.
	Txn = change.Txn
	// Origin says where a stream comes from.
	Origin = change.Origin
)

// Constants of package change.
const (
	OpInsert          = change.OpInsert
	OpUpdate          = change.OpUpdate
	OpDelete          = change.OpDelete
	OpTruncate        = change.OpTruncate
	OpMessage         = change.OpMessage
	OpRead            = change.OpRead
	OpRewrite         = change.OpRewrite
	OpSchema          = change.OpSchema
	OutcomeOpen       = change.OutcomeOpen
	OutcomeCommitted  = change.OutcomeCommitted
	OutcomeRolledBack = change.OutcomeRolledBack
	OutcomePrepared   = change.OutcomePrepared
	SchemaCreated     = change.SchemaCreated
	SchemaAltered     = change.SchemaAltered
	SchemaDropped     = change.SchemaDropped
	SchemaEntered     = change.SchemaEntered
	SchemaLeft        = change.SchemaLeft
)

// NewAssembler makes an empty one.
func NewAssembler(config AssemblerConfig, schemas *SchemaCache) (*Assembler, error) {
	return change.NewAssembler(config, schemas)
}

// ParseBatch parses the bytes of a batch and adds its schemas to the cache.
func ParseBatch(raw []byte, schemas *SchemaCache) (*Batch, error) {
	return change.ParseBatch(raw, schemas)
}

// Unframe takes the batch out of one message of the server: its length as a varint, the
// batch, and nothing else.
func Unframe(frame []byte) ([]byte, error) {
	return change.Unframe(frame)
}

// AppendFrame appends batch, preceded by its length.
func AppendFrame(dst []byte, batch []byte) []byte {
	return change.AppendFrame(dst, batch)
}

// NewFileReader reads from r.
func NewFileReader(r io.Reader, limits Limits) *FileReader {
	return change.NewFileReader(r, limits)
}

// The bytes of rows: package tuple.
type (
	// Row is a serialized message of the table's own type: field number = attnum.
	Row = tuple.Row
	// RawValue is a value of a row as it was sent; Column.Value gives it its meaning.
	RawValue = tuple.RawValue
	// RowCursor walks over the values of a row, without allocation.
	RowCursor = tuple.RowCursor
	// Numbers is a list of attnums, in ascending order.
	Numbers = tuple.Numbers
)

// Sorted gives a row's fields in the order of their numbers, as the server writes them:
// rows with equal values have equal bytes then.
func Sorted(row Row) (Row, error) {
	return tuple.Sorted(row)
}

// Overlay gives the row after a change: the fields of base whose numbers are neither in
// delta nor in nulls, then delta.
func Overlay(dst []byte, base Row, delta Row, nulls Numbers) (Row, error) {
	return tuple.Overlay(dst, base, delta, nulls)
}

// Values: package value.
type (
	// Numeric is the exact text of a numeric: zeros at its end are significant.
	Numeric = value.Numeric
	// UUID has a uuid's 16 bytes, as github.com/google/uuid and gofrs/uuid have.
	UUID = value.UUID
	// Timestamp counts microseconds since 2000-01-01 00:00:00, in UTC for timestamp with time
	// zone.
	Timestamp = value.Timestamp
	// Date counts days since 2000-01-01.
	Date = value.Date
	// TimeOfDay counts microseconds since midnight, up to 24:00:00.
	TimeOfDay = value.TimeOfDay
	// TimeTZ is a time of day with its zone.
	TimeTZ = value.TimeTZ
	// Redacted is what stands in place of a redacted value.
	Redacted = value.Redacted
	// Array of any number of dimensions.
	Array = value.Array
	// Type is the meaning and encoding of a column's values.
	Type = value.Type
	// Interval has three parts that do not convert into one another.
	Interval = value.Interval
)

// Constants of package value.
const (
	TypeBool        = value.TypeBool
	TypeInt32       = value.TypeInt32
	TypeInt64       = value.TypeInt64
	TypeUint32      = value.TypeUint32
	TypeFloat       = value.TypeFloat
	TypeDouble      = value.TypeDouble
	TypeNumeric     = value.TypeNumeric
	TypeText        = value.TypeText
	TypeJSON        = value.TypeJSON
	TypeBytes       = value.TypeBytes
	TypeUUID        = value.TypeUUID
	TypeTimestamp   = value.TypeTimestamp
	TypeTimestampTZ = value.TypeTimestampTZ
	TypeDate        = value.TypeDate
	TypeTime        = value.TypeTime
	TypeTimeTZ      = value.TypeTimeTZ
	TypeInterval    = value.TypeInterval
	TypeArray       = value.TypeArray
	TypeOther       = value.TypeOther
)

// TextBytes gives the bytes that a text has in the server.
func TextBytes(s string) []byte {
	return value.TextBytes(s)
}

// Tables as the stream has them: package schema.
type (
	// Redaction is what a rule, or the lack of a privilege, does to a column.
	Redaction = schema.Redaction
	// ReplicaIdentity is which columns the server logs of a row before it changes.
	ReplicaIdentity = schema.ReplicaIdentity
	// SchemaCache keeps schemas by fingerprint.
	SchemaCache = schema.Cache
	// UnknownSchemaError: an event refers to a schema that has not come.
	UnknownSchemaError = schema.UnknownSchemaError
	// Limits bound what is allocated for bytes that others have made.
	Limits = schema.Limits
	// Fingerprint addresses a schema by its content: the first 8 bytes, read big endian, of
	// SHA-256 over the serialized Table.
	Fingerprint = schema.Fingerprint
	// Table is what a stream sends of a relation.
	Table = schema.Table
	// Column of a Table.
	Column = schema.Column
	// SchemaVersion is what the server's registry says of the schema that a row has.
	SchemaVersion = schema.Version
)

// Constants of package schema.
const (
	IdentityDefault = schema.IdentityDefault
	IdentityNothing = schema.IdentityNothing
	IdentityFull    = schema.IdentityFull
	IdentityIndex   = schema.IdentityIndex
)

// NewSchemaCache makes an empty cache.
func NewSchemaCache(limits Limits) *SchemaCache {
	return schema.NewCache(limits)
}

// FingerprintOf gives the fingerprint of a serialized Table.
func FingerprintOf(table []byte) Fingerprint {
	return schema.FingerprintOf(table)
}

// ParseTable reads a serialized Table and keeps the bytes.
func ParseTable(bytes []byte, limits Limits) (*Table, error) {
	return schema.ParseTable(bytes, limits)
}

// VersionedName is the name of a topic or channel for a version of a relation:
// schema.table.v2; without a version (0) schema.table.
func VersionedName(relation string, major uint32) string {
	return schema.VersionedName(relation, major)
}

// QualifiedName gives schema.name as Table.String does, with double quotes where a name needs
// them.
func QualifiedName(schemaName, name string) string {
	return schema.QualifiedName(schemaName, name)
}

// Positions: package wal.
type (
	// Position identifies a change within one system and one history of timelines.
	Position = wal.Position
	// LSN is a position in the server's WAL, in bytes.
	LSN = wal.LSN
	// Snapshot is what a reading transaction saw, with 64-bit transaction ids.
	Snapshot = wal.Snapshot
)

// ParsePosition reads the text form.
func ParsePosition(s string) (p Position, err error) {
	return wal.ParsePosition(s)
}

// ParseLSN reads the text form, with or without zeros in front of the lower half
// (PostgreSQL 19 prints them).
func ParseLSN(s string) (LSN, error) {
	return wal.ParseLSN(s)
}

// Errors: package fault.
type (
	// DamageError says that bytes are not what the server sends.
	DamageError = fault.DamageError
	// RefusedError: going on from the checkpoint would lose or invent changes.
	RefusedError = fault.RefusedError
)

// Errors of package fault.
var (
	// ErrDamaged is what every DamageError is, for errors.Is.
	ErrDamaged = fault.ErrDamaged
)
