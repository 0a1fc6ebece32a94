package cdc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
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

func damaged(what string) error { return &DamageError{What: what} }

func damagedBy(what string, err error) error { return &DamageError{What: what, Err: err} }

// UnknownSchemaError: an event refers to a schema that has not come. It is a kind
// of damage, as an errors.Is with ErrDamaged tells.
type UnknownSchemaError struct{ Fingerprint Fingerprint }

// Error implements error.
func (e *UnknownSchemaError) Error() string {
	return "cdc: schema with fingerprint " + e.Fingerprint.String() + " is missing"
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *UnknownSchemaError) Is(target error) bool { return target == ErrDamaged }

// explainedError is an error of the server with what it says besides.
type explainedError struct {
	err  error
	more string
}

func (e *explainedError) Error() string { return e.err.Error() + e.more }
func (e *explainedError) Unwrap() error { return e.err }

// explained adds DETAIL and HINT of the server's error to the text of an error.
func explained(err error) error {
	var pg *pgconn.PgError
	var done *explainedError
	if !errors.As(err, &pg) || errors.As(err, &done) {
		return err
	}
	more := ""
	if pg.Detail != "" {
		more += "\nDETAIL: " + pg.Detail
	}
	if pg.Hint != "" {
		more += "\nHINT: " + pg.Hint
	}
	if more == "" {
		return err
	}
	return &explainedError{err, more}
}

// unanswered tells why a question failed, if it was not answered in time.
func unanswered(err error, limit time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cdc: the server did not answer within %v: timeout: %w", limit, err)
	}
	return err
}
