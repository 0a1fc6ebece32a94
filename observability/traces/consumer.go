package traces

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcotel"
	"github.com/pgcdc/cdc/relay/bus"
)

// HandleMessage is for a consumer of a topic: what it does goes on in the trace of the message.
func HandleMessage(ctx context.Context, tracer trace.Tracer, m *bus.Message, handle func(context.Context) error) error {
	ctx, span := tracer.Start(w3c.Extract(ctx, carrier{m}), "handle "+m.Topic, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("cdc.position", m.Get(bus.Position))))
	defer span.End()
	return handle(ctx)
}

// HandleTransaction is for a consumer of the stream, which may handle one late, again, and many of them
// together: a span of its own, with a link to the one that wrote the transaction.
func HandleTransaction(ctx context.Context, tracer trace.Tracer, txn *cdc.Txn, handle func(context.Context) error) error {
	ctx, span := tracer.Start(ctx, "handle transaction", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(cdcotel.Links(txn.Metadata)...))
	defer span.End()
	return handle(ctx)
}
