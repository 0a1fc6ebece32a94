// Package fault has the errors that all others share: data that is damaged, and a start
// that is refused.
package fault

import (
	"errors"
	"fmt"
)

// ErrDamaged is what every DamageError is, for errors.Is.
var ErrDamaged = errors.New("cdc: data is damaged")

// DamageError says that bytes are not what the server sends. Nothing that
// depends on them may be applied.
type DamageError struct {
	// What is wrong. Never contains values of rows.
	What string
	// Err is the cause, or nil.
	Err error
	// Gap: what came is in order, but something before it is missing.
	Gap bool
}

// Error implements error.
func (e *DamageError) Error() string {
	if e.Err != nil {
		return "cdc: data is damaged: " + e.What + ": " + e.Err.Error()
	}
	return "cdc: data is damaged: " + e.What
}

// Unwrap gives the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrDamaged) true.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// Damaged makes a DamageError.
func Damaged(what string) error { return &DamageError{What: what} }

// Missing makes a DamageError for what did not come.
func Missing(format string, args ...any) error {
	return &DamageError{What: fmt.Sprintf(format, args...), Gap: true}
}

// IsGap tells whether an error says that something is missing.
func IsGap(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage) && damage.Gap
}

// DamagedBy makes a DamageError that has a cause.
func DamagedBy(what string, err error) error { return &DamageError{What: what, Err: err} }

// IsDamage tells whether an error is a DamageError itself.
func IsDamage(err error) bool {
	_, ok := err.(*DamageError)
	return ok
}

// RefusedError: going on from the checkpoint would lose or invent changes.
// Nothing has been read, and the slot is as it was.
type RefusedError struct{ Reason string }

// Error implements error.
func (e *RefusedError) Error() string { return "cdc: refused to start: " + e.Reason }

// Refused makes a RefusedError.
func Refused(format string, args ...any) error {
	return &RefusedError{fmt.Sprintf(format, args...)}
}
