// Package cdcv1 is the wire format of cdc, generated from
// proto/cdc/v1/cdc.proto. docs/protocol.md says what the messages mean.
//
// Most programs need only its enums, which package cdc gives shorter names.
package cdcv1
