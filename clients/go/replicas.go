package cdc

import (
	"github.com/pgcdc/cdc/clients/go/replica"
)

// Tables as they are at the source: package replica.
type (
	// State is where an Applier keeps tables.
	State = replica.State
	// Renamer is what a State may have besides.
	Renamer = replica.Renamer
	// LostError is an ErrLost with its details.
	LostError = replica.LostError
	// Applier keeps tables as they are at the source by applying changes to a State: deltas of
	// UPDATE, changes of keys, TRUNCATE, rewrites, new and dropped columns, and tables that are
	// made, renamed, dropped, or come into the stream.
	Applier = replica.Applier
	// TopicApplier keeps tables as they are at the source by applying messages of topics, as
	// cdc-relay writes them, to a State.
	TopicApplier = replica.TopicApplier
	// Loader reads tables as they are into the state of an Applier, before the stream is
	// applied to it.
	Loader = replica.Loader
	// MemoryState is a State that is lost with the process.
	MemoryState = replica.MemoryState
	// PostgresState is a State in tables of a PostgreSQL database.
	PostgresState = replica.PostgresState
	// LoadProgress says how far an initial load has come.
	LoadProgress = replica.LoadProgress
	// TableProgress is that of one table.
	TableProgress = replica.TableProgress
	// Chunk is a range that cdc.snapshot_chunks() gave.
	Chunk = replica.Chunk
	// ProgressStore keeps the progress of a load.
	ProgressStore = replica.ProgressStore
	// TableReader reads tables as they are, in ranges, for those who keep no State.
	TableReader = replica.TableReader
	// TableView is what a reading transaction of a TableReader sees beside rows.
	TableView = replica.TableView
	// TableRange is a part of a table.
	TableRange = replica.TableRange
	// FoundTable is one that a TableReader has found.
	FoundTable = replica.FoundTable
	// ProgressFile keeps the progress of a load in the file with this name.
	ProgressFile = replica.ProgressFile
)

// Errors of package replica.
var (
	// ErrLost: a change says what happened, but not to which row, or not to which value:
	// nothing that follows it of the table can be trusted.
	ErrLost = replica.ErrLost
	// ErrLoadAgain: a table was altered whenever its load was about to read it, a hundred times
	// in a row.
	ErrLoadAgain = replica.ErrLoadAgain
)

// NewApplier applies to a state, from where it is.
func NewApplier(state State) *Applier {
	return replica.NewApplier(state)
}

// NewTopicApplier applies to a state, from where it is.
func NewTopicApplier(state State) *TopicApplier {
	return replica.NewTopicApplier(state)
}

// WithoutLoadMark gives a row of an Applier's state without what an initial load has noted
// in it: the row itself if there is nothing.
func WithoutLoadMark(row Row) Row {
	return replica.WithoutLoadMark(row)
}

// NewMemoryState makes an empty one.
func NewMemoryState() *MemoryState {
	return replica.NewMemoryState()
}
