// Package traces is an example: one trace from a service that writes to PostgreSQL, over the relay that
// publishes what it has written, to the consumer that handles it. What is of use elsewhere are a few lines
// in each; the test shows that they make one trace.
package traces

import (
	"context"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// w3c has a span's context as text: 00-TRACE-SPAN-FLAGS.
var w3c = propagation.TraceContext{}

// Service writes orders.
type Service struct {
	Conn   *pgx.Conn
	Tracer trace.Tracer
}

// Place writes an order, and in the same transaction which span wrote it.
func (s *Service) Place(ctx context.Context, id int, customer string) error {
	ctx, span := s.Tracer.Start(ctx, "place order", trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	context := propagation.MapCarrier{}
	w3c.Inject(ctx, context)
	return pgx.BeginFunc(ctx, s.Conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO traced_orders VALUES ($1, $2)", id, customer); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT cdc.set_traceparent($1)", context.Get("traceparent"))
		return err
	})
}
