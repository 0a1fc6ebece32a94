package cdc

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

// Type is the meaning and encoding of a column's values.
type Type = cdcv1.Type

// The types.
const (
	TypeBool        = cdcv1.Type_TYPE_BOOL
	TypeInt32       = cdcv1.Type_TYPE_INT32
	TypeInt64       = cdcv1.Type_TYPE_INT64
	TypeUint32      = cdcv1.Type_TYPE_UINT32
	TypeFloat       = cdcv1.Type_TYPE_FLOAT
	TypeDouble      = cdcv1.Type_TYPE_DOUBLE
	TypeNumeric     = cdcv1.Type_TYPE_NUMERIC
	TypeText        = cdcv1.Type_TYPE_TEXT
	TypeJSON        = cdcv1.Type_TYPE_JSON
	TypeBytes       = cdcv1.Type_TYPE_BYTES
	TypeUUID        = cdcv1.Type_TYPE_UUID
	TypeTimestamp   = cdcv1.Type_TYPE_TIMESTAMP
	TypeTimestampTZ = cdcv1.Type_TYPE_TIMESTAMPTZ
	TypeDate        = cdcv1.Type_TYPE_DATE
	TypeTime        = cdcv1.Type_TYPE_TIME
	TypeTimeTZ      = cdcv1.Type_TYPE_TIMETZ
	TypeInterval    = cdcv1.Type_TYPE_INTERVAL
	TypeArray       = cdcv1.Type_TYPE_ARRAY
	TypeOther       = cdcv1.Type_TYPE_OTHER
)

// Redaction is what a rule, or the lack of a privilege, does to a column.
type Redaction = cdcv1.Redaction

// ReplicaIdentity is which columns the server logs of a row before it changes.
type ReplicaIdentity = cdcv1.ReplicaIdentity

// The replica identities.
const (
	IdentityDefault = cdcv1.ReplicaIdentity_REPLICA_IDENTITY_DEFAULT
	IdentityNothing = cdcv1.ReplicaIdentity_REPLICA_IDENTITY_NOTHING
	IdentityFull    = cdcv1.ReplicaIdentity_REPLICA_IDENTITY_FULL
	IdentityIndex   = cdcv1.ReplicaIdentity_REPLICA_IDENTITY_INDEX
)
