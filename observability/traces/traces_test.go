package traces

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/setup"
)

const table = "public.traced_orders"

// source has a table and a slot for the stream; the PG* environment says where.
func source(t *testing.T) (*pgx.Conn, *cdc.Stream) {
	t.Helper()
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	conn, err := pgx.Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, statements ...string) {
		for _, sql := range statements {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Error(err)
			}
		}
	}
	run(t.Context(), "CREATE EXTENSION IF NOT EXISTS cdc", "DROP TABLE IF EXISTS traced_orders", "CREATE TABLE traced_orders (id int PRIMARY KEY, customer text)")
	stream, err := cdc.Open(t.Context(), cdc.Config{Slot: "traces_stream", CreateSlot: true, Options: map[string]string{"tables": table},
		Store: cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stream.Close()
		run(context.Background(), "SELECT cdc.drop_slot(slot_name, true) FROM cdc.slots WHERE slot_name LIKE 'traces\\_%'", "DROP TABLE traced_orders")
		_ = conn.Close(context.Background())
	})
	return conn, stream
}

// relay runs with a NATS of its own until the test ends.
func relay(t *testing.T, provider *sdk.TracerProvider) bus.Driver {
	t.Helper()
	settings := []string{"POSTGRES_SLOT=traces_relay", "POSTGRES_CREATE_SLOT=true", "POSTGRES_OPTIONS_TABLES=" + table,
		"NATS_EMBEDDED=" + t.TempDir(), "NATS_LISTEN=127.0.0.1:0", "NATS_HOLD_BACK=1s"}
	for i := range settings {
		settings[i] = "CDC_RELAY_" + settings[i]
	}
	c, err := config.Load("", settings)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	driver, err := setup.Driver(c, logger)
	if err != nil {
		t.Fatal(err)
	}
	p, err := setup.Pump(c, Traced(driver, provider.Tracer("relay")), logger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		driver.Close()
	})
	for range 300 {
		if p.Status().State == "running" {
			return driver
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the relay does not run: %+v", p.Status())
	return nil
}

var errDone = errors.New("done")

// One trace: the service's span, that of the relay as its child, that of the consumer as the relay's child. The
// consumer of the stream has a trace of its own, with a link to the service's span.
func TestOneTrace(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	conn, stream := source(t)
	driver := relay(t, provider)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	service := &Service{conn, provider.Tracer("service")}
	if err := service.Place(ctx, 1, "ada"); err != nil {
		t.Fatal(err)
	}
	handled := 0
	handle := func(context.Context) error { handled++; return nil }
	err := driver.Read(ctx, bus.Reading{Beginning: true}, func(m *bus.Message) error {
		if m.Get(bus.Op) != "INSERT" {
			return nil
		}
		return errors.Join(HandleMessage(ctx, provider.Tracer("consumer"), m, handle), errDone)
	})
	if !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	txn, err := stream.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := HandleTransaction(ctx, provider.Tracer("consumer"), txn, handle); err != nil {
		t.Fatal(err)
	}
	stream.Ack(txn)

	found := map[string]tracetest.SpanStub{}
	for _, span := range spans.GetSpans() {
		found[strings.TrimSuffix(span.Name, " cdc."+table)] = span
		t.Logf("%-32s trace %s span %s parent %s links %d", span.Name, span.SpanContext.TraceID(), span.SpanContext.SpanID(), span.Parent.SpanID(), len(span.Links))
	}
	placed, published, handledOne, ofStream := found["place order"], found["publish"], found["handle"], found["handle transaction"]
	trace := placed.SpanContext.TraceID()
	switch {
	case handled != 2 || len(found) != 4:
		t.Errorf("%d were handled, with %d spans", handled, len(found))
	case published.SpanContext.TraceID() != trace || handledOne.SpanContext.TraceID() != trace:
		t.Error("the spans are not of one trace")
	case published.Parent.SpanID() != placed.SpanContext.SpanID() || handledOne.Parent.SpanID() != published.SpanContext.SpanID():
		t.Error("the spans do not follow one another")
	case len(ofStream.Links) != 1 || ofStream.Links[0].SpanContext.TraceID() != trace || ofStream.Links[0].SpanContext.SpanID() != placed.SpanContext.SpanID():
		t.Error("what is handled from the stream has no link to who wrote it")
	}
}
