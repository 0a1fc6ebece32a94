package libpq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// explainedError is an error of the server with what it says besides.
type explainedError struct {
	err  error
	more string
}

func (e *explainedError) Error() string { return e.err.Error() + e.more }
func (e *explainedError) Unwrap() error { return e.err }

// Explained adds DETAIL and HINT of the server's error to the text of an error.
func Explained(err error) error {
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

// Unanswered tells why a question failed, if it was not answered in time.
func Unanswered(err error, limit time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cdc: the server did not answer within %v: timeout: %w", limit, err)
	}
	return err
}
