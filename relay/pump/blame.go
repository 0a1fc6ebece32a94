package pump

import (
	"context"
	"errors"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Why a session has failed: values of the label reason of cdc_relay_failed_sessions_total.
const (
	byStandby = "standby"
	byFence   = "fenced"
	byTopic   = "missing_topic"
	byBroker  = "broker"
	bySource  = "source"
	byOther   = "other"
)

var reasons = []string{byStandby, byFence, byTopic, byBroker, bySource, byOther}

// sided is an error of one of both sides.
type sided struct {
	side string
	err  error
}

func (e *sided) Error() string { return e.err.Error() }
func (e *sided) Unwrap() error { return e.err }

func ofSide(side string, err error) error {
	if err == nil {
		return nil
	}
	return &sided{side, err}
}

// ofSource is for errors of the stream, some of which the store of checkpoints has brought along.
func ofSource(err error) error {
	var side *sided
	if errors.As(err, &side) {
		return err
	}
	return ofSide(bySource, err)
}

// reason for which a session has ended.
func reason(err error) string {
	var fenced *bus.FencedError
	var missing *bus.MissingError
	var side *sided
	switch {
	case busy(err):
		return byStandby
	case errors.As(err, &fenced):
		return byFence
	case errors.As(err, &missing):
		return byTopic
	case errors.As(err, &side):
		return side.side
	}
	return byOther
}

// blamed is a bus whose errors say that they are the broker's.
type blamed struct{ bus.Bus }

func (b blamed) Load(ctx context.Context) (bus.State, error) {
	state, err := b.Bus.Load(ctx)
	return state, ofSide(byBroker, err)
}

func (b blamed) Claim(ctx context.Context) (bus.State, error) {
	state, err := b.Bus.Claim(ctx)
	return state, ofSide(byBroker, err)
}

func (b blamed) Save(ctx context.Context, c *cdc.Checkpoint) error {
	return ofSide(byBroker, b.Bus.Save(ctx, c))
}

func (b blamed) Partitions(ctx context.Context, topic string) (int32, error) {
	n, err := b.Bus.Partitions(ctx, topic)
	return n, ofSide(byBroker, err)
}

func (b blamed) Versions(ctx context.Context, f bus.Family) ([]string, error) {
	list, err := b.Bus.Versions(ctx, f)
	return list, ofSide(byBroker, err)
}

func (b blamed) MaxBytes(ctx context.Context, topic string) (int, error) {
	n, err := b.Bus.MaxBytes(ctx, topic)
	return n, ofSide(byBroker, err)
}

func (b blamed) Send(ctx context.Context, messages []bus.Message) error {
	return ofSide(byBroker, b.Bus.Send(ctx, messages))
}

func (b blamed) End(ctx context.Context, t *cdc.Txn) error {
	return ofSide(byBroker, b.Bus.End(ctx, t))
}

func (b blamed) Flush(ctx context.Context) error { return ofSide(byBroker, b.Bus.Flush(ctx)) }

func (b blamed) Kept(ctx context.Context) ([]byte, error) {
	data, err := b.Bus.Kept(ctx)
	return data, ofSide(byBroker, err)
}

func (b blamed) Keep(ctx context.Context, data []byte) error {
	return ofSide(byBroker, b.Bus.Keep(ctx, data))
}
