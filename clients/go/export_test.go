package cdc

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
)

// What tests outside of the package look at.

// DialForTest makes the socket that a connection string asks for.
func DialForTest(conninfo string) (net.Conn, error) {
	config, err := new(libpq.Dialer).Parse(conninfo)
	if err != nil {
		return nil, err
	}
	return config.DialFunc(context.Background(), "tcp", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))))
}

// ParseForTest gives what pgconn is given.
func ParseForTest(conninfo string, logger *slog.Logger) (*pgconn.Config, error) {
	return (&libpq.Dialer{Logger: logger}).Parse(conninfo)
}

// WordsForTest gives the table of words: keyword, variable, treatment.
func WordsForTest() (list [][3]string) {
	for _, w := range libpq.Words {
		list = append(list, [3]string{w.Name, w.Env, string(w.Does)})
	}
	return list
}

// HealthyForTest sets after how long a connection counts as progress, and gives what undoes
// that.
func HealthyForTest(d time.Duration) (undo func()) {
	before := healthy
	healthy = d
	return func() { healthy = before }
}

// WithDefaultsForTest fills in a configuration.
func WithDefaultsForTest(c Config) (Config, error) { return c.withDefaults() }
