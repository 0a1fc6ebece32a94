package traces

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/pgcdc/cdc/relay/bus"
)

// Traced has a relay make a span for each message that is of a trace. It is for those who run the relay in a
// program of their own; cdc-relay itself passes traceparent on as the service has set it, and needs no OpenTelemetry.
func Traced(driver bus.Driver, tracer trace.Tracer) bus.Driver { return &tracedDriver{driver, tracer} }

type tracedDriver struct {
	bus.Driver
	tracer trace.Tracer
}

// Open implements bus.Driver.
func (d *tracedDriver) Open(ctx context.Context, e bus.Events) (bus.Bus, error) {
	b, err := d.Driver.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	return &tracedBus{b, d.tracer}, nil
}

type tracedBus struct {
	bus.Bus
	tracer trace.Tracer
}

// Send implements bus.Bus. The message goes on with the context of the span that has published it.
func (b *tracedBus) Send(ctx context.Context, messages []bus.Message) error {
	var spans []trace.Span
	for i := range messages {
		m := &messages[i]
		parent := w3c.Extract(ctx, carrier{m})
		if !trace.SpanContextFromContext(parent).IsValid() {
			continue
		}
		child, span := b.tracer.Start(parent, "publish "+m.Topic, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			attribute.String("messaging.destination.name", m.Topic), attribute.String("cdc.position", m.Get(bus.Position))))
		w3c.Inject(child, carrier{m})
		spans = append(spans, span)
	}
	err := b.Bus.Send(ctx, messages)
	for _, span := range spans {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
	return err
}

// carrier is a message as a propagator wants it.
type carrier struct{ m *bus.Message }

var _ propagation.TextMapCarrier = carrier{}

func (c carrier) Get(key string) string { return c.m.Get(key) }
func (c carrier) Set(key, value string) { c.m.Set(key, value) }
func (c carrier) Keys() (keys []string) {
	for _, h := range c.m.Headers {
		keys = append(keys, h.Name)
	}
	return keys
}
