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
