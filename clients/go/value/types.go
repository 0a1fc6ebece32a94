package value

import (
	"github.com/pgcdc/cdc/clients/go/cdcv1"
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
