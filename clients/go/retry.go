package cdc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// backoff waits longer and longer between attempts, with full jitter.
type backoff struct {
	max     time.Duration
	attempt int
}

const (
	minBackoff = 100 * time.Millisecond
)

// A connection that has lived so long counts as progress, as a batch does.
var healthy = time.Minute

// progress notes that a connection was good for something: the next pause is short
// again. A connection that only comes into being is no progress.
func (b *backoff) progress() { b.attempt = 0 }

// wait waits before the next attempt; false if ctx has ended.
func (b *backoff) wait(ctx context.Context) bool {
	limit := b.max
	if b.attempt < 20 {
		limit = min(limit, minBackoff<<b.attempt)
	}
	b.attempt++
	timer := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// isPermanent tells whether trying again cannot help.
func isPermanent(err error) bool {
	if isRefused(err) || errors.Is(err, ErrDamaged) {
		return true
	}
	var stopped *stoppedError
	if errors.As(err, &stopped) {
		return true
	}
	var word *libpq.ConfigError
	if errors.As(err, &word) {
		return true
	}
	var config *pgconn.ParseConfigError
	if errors.As(err, &config) {
		return true
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return false
	}
	switch pg.Code[:2] {
	case "22", // an option, or on_error = stop
		"28", // authentication
		"42", // privileges, names
		"54", // a batch that is too large
		"58", // a library or WAL that is not there
		"3D", // no such database
		"0A": // not supported
		return true
	}
	return pg.Code == "55000" // the slot is invalidated, wal_level is too low
}

// reconnectReason is why there is no connection: what a metric tells apart.
func reconnectReason(err error) string {
	var pg *pgconn.PgError
	switch {
	case isBusy(err):
		return metrics.Busy
	case errors.As(err, &pg):
		return metrics.Refusing
	}
	return metrics.Lost
}

// isBusy tells whether somebody else reads the slot.
func isBusy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55006"
}
