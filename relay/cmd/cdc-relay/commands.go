package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pgcdc/cdc/relay/admin"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/pump"
	"github.com/pgcdc/cdc/relay/setup"
)

// run carries until it is stopped.
func run(ctx context.Context, c *config.Config, _ io.Writer) error {
	saveMemory(c)
	logger := setup.Logger(c.Log, os.Stderr)
	driver, err := setup.Driver(c, logger)
	if err != nil {
		return err
	}
	defer driver.Close()
	p, err := setup.Pump(c, driver, logger)
	if err != nil {
		return err
	}
	metrics := pump.NewMetrics(c.Postgres.Slot)
	p.Measure(metrics)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics.Register(registry)
	if c.Admin.Listen != "" {
		listener, err := net.Listen("tcp", c.Admin.Listen)
		if err != nil {
			return fmt.Errorf("admin.listen: %w", err)
		}
		logger.Info("answering", "address", listener.Addr().String(), "paths", "/ /health /ready /metrics /status")
		go func() {
			if err := admin.Serve(ctx, listener, p, registry); err != nil {
				logger.Error("the admin server has ended", "error", err)
			}
		}()
	}
	if err := p.Run(ctx); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

// saveMemory has garbage collected when there is half as much of it as of what is in use. On Kafka, where memory of messages
// serves again, little becomes garbage, and so that costs nothing; what is in use is what the settings say.
func saveMemory(c *config.Config) {
	if c.Bus() == "kafka" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// check prints the guarantee, and what is wrong.
func check(ctx context.Context, c *config.Config, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	logger := setup.Logger(config.Log{Level: "error", Format: c.Log.Format}, os.Stderr)
	driver, err := reading(c, logger)
	if err != nil {
		return err
	}
	defer driver.Close()
	fmt.Fprintf(w, "%s\n\nSlot %s onto %s, topics %s.*\n", setup.Promise(c), c.Postgres.Slot, driver.Describe(), c.Relay.Prefix)
	p, err := setup.Pump(c, driver, logger)
	if err != nil {
		return err
	}
	wrong := p.Check(ctx)
	for _, err := range wrong {
		fmt.Fprintf(w, "wrong: %v\n", err)
	}
	if len(wrong) > 0 {
		return errReported
	}
	fmt.Fprintln(w, "nothing is wrong")
	return nil
}

// reading gives a driver beside a relay that may be running.
func reading(c *config.Config, logger *slog.Logger) (bus.Driver, error) {
	driver, err := setup.Driver(c, logger)
	var taken *jetstream.TakenError
	if errors.As(err, &taken) { // by the relay that runs: its server is asked
		c.NATS.URL, c.NATS.Embedded = "nats://"+c.NATS.Listen, ""
		driver, err = setup.Driver(c, logger)
	}
	return driver, err
}

// grants prints what the relay must be allowed.
func grants(flags *flag.FlagSet) action {
	only := flags.String("only", "", "postgres, kafka or nats")
	reading := flags.Bool("reading", false, "what tail and replay-dead need, too")
	return func(_ context.Context, c *config.Config, w io.Writer) error {
		return setup.Grants(c, *only, *reading, w)
	}
}
