package schema

import (
	"github.com/pgcdc/cdc/clients/go/cdcv1"
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
