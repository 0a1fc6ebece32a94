package cdcotel

import (
	"testing"

	"github.com/pgcdc/cdc/clients/go"
)

func TestLinks(t *testing.T) {
	links := Links([]cdc.MetadataEntry{
		{Key: "actor", Value: "x"},
		{Key: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		{Key: "tracestate", Value: "a=b"},
	})
	if len(links) != 1 {
		t.Fatal(links)
	}
	span := links[0].SpanContext
	if span.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || span.SpanID().String() != "00f067aa0ba902b7" ||
		!span.IsSampled() || span.TraceState().Get("a") != "b" || !span.IsRemote() {
		t.Error(span)
	}
	for _, value := range []string{"", "nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"} {
		if links := Links([]cdc.MetadataEntry{{Key: "traceparent", Value: value}}); links != nil {
			t.Error(value, links)
		}
	}
}
