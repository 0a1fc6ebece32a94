// Package cdcotel takes the trace context out of transactions. Programs that write
// to the database attach it with cdc.set_traceparent(), or cdc.set_metadata() with
// the keys traceparent and tracestate of W3C Trace Context.
//
//	ctx, span := tracer.Start(ctx, "apply", trace.WithLinks(cdcotel.Links(txn.Metadata)...))
package cdcotel

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/pgcdc/cdc/clients/go"
)

// carrier reads metadata as a propagator wants it.
type carrier []cdc.MetadataEntry

func (c carrier) Get(key string) string {
	for _, entry := range c {
		if entry.Key == key {
			return entry.Value
		}
	}
	return ""
}

func (carrier) Set(string, string) {}

func (c carrier) Keys() (keys []string) {
	for _, entry := range c {
		keys = append(keys, entry.Key)
	}
	return keys
}

// SpanContext is that of the span which wrote a transaction; it is invalid if there
// is none. Anyone who can connect to the database can make one up.
func SpanContext(metadata []cdc.MetadataEntry) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier(metadata))
	return trace.SpanContextFromContext(ctx)
}

// Links has a link to the span that wrote a transaction, or nothing. A link rather
// than a parent: a transaction may be consumed late, often, and with others.
func Links(metadata []cdc.MetadataEntry) []trace.Link {
	span := SpanContext(metadata)
	if !span.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: span}}
}
