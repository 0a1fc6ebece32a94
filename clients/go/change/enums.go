package change

import "github.com/pgcdc/cdc/clients/go/cdcv1"

// Op is what happened.
type Op = cdcv1.Op

// The operations.
const (
	OpInsert   = cdcv1.Op_OP_INSERT
	OpUpdate   = cdcv1.Op_OP_UPDATE
	OpDelete   = cdcv1.Op_OP_DELETE
	OpTruncate = cdcv1.Op_OP_TRUNCATE
	OpMessage  = cdcv1.Op_OP_MESSAGE
	OpRead     = cdcv1.Op_OP_READ
	OpRewrite  = cdcv1.Op_OP_REWRITE
	OpSchema   = cdcv1.Op_OP_SCHEMA
)

// SchemaChangeKind is what a DDL command has made of a relation.
type SchemaChangeKind = cdcv1.SchemaChangeKind

// The kinds of changes of a schema.
const (
	// SchemaCreated: it is new. Rows that the same command wrote (CREATE TABLE AS) came
	// before, in the same transaction.
	SchemaCreated = cdcv1.SchemaChangeKind_SCHEMA_CHANGE_KIND_CREATED
	// SchemaAltered: its schema or name is another. Where both are as before, values of one
	// of its types may read otherwise (ALTER TYPE).
	SchemaAltered = cdcv1.SchemaChangeKind_SCHEMA_CHANGE_KIND_ALTERED
	// SchemaDropped: it is gone, with its rows.
	SchemaDropped = cdcv1.SchemaChangeKind_SCHEMA_CHANGE_KIND_DROPPED
	// SchemaEntered: it was there, but was not sent: rows that it has already do not come.
	SchemaEntered = cdcv1.SchemaChangeKind_SCHEMA_CHANGE_KIND_ENTERED
	// SchemaLeft: it is there still, but no more rows of it come.
	SchemaLeft = cdcv1.SchemaChangeKind_SCHEMA_CHANGE_KIND_LEFT
)

// Outcome is how a transaction ended, or that it has not.
type Outcome = cdcv1.Outcome

// The outcomes.
const (
	OutcomeOpen       = cdcv1.Outcome_OUTCOME_OPEN
	OutcomeCommitted  = cdcv1.Outcome_OUTCOME_COMMITTED
	OutcomeRolledBack = cdcv1.Outcome_OUTCOME_ROLLED_BACK
	OutcomePrepared   = cdcv1.Outcome_OUTCOME_PREPARED
)
