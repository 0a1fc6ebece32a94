package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pgcdc/cdc/relay/admin"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/pump"
	"github.com/pgcdc/cdc/relay/setup"
)

// run carries until it is stopped.
func run(ctx context.Context, c *config.Config, _ io.Writer) error {
	logger := setup.Logger(c.Log, os.Stderr)
	driver, err := setup.Driver(c, logger)
	if err != nil {
		return err
	}
	defer driver.Close()
	p := setup.Pump(c, driver, logger)
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
		logger.Info("answering", "address", listener.Addr().String(), "paths", "/health /ready /metrics /status")
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

// check prints the guarantee, and what is wrong.
func check(ctx context.Context, c *config.Config, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	logger := setup.Logger(config.Log{Level: "error", Format: c.Log.Format}, os.Stderr)
	driver, err := setup.Driver(c, logger)
	var taken *jetstream.TakenError
	if errors.As(err, &taken) { // by the relay that runs: its server is asked
		c.NATS.URL, c.NATS.Embedded = "nats://"+c.NATS.Listen, ""
		driver, err = setup.Driver(c, logger)
	}
	if err != nil {
		return err
	}
	defer driver.Close()
	fmt.Fprintf(w, "%s\n\nSlot %s onto %s, topics %s.*\n", setup.Guarantee, c.Postgres.Slot, driver.Describe(), c.Relay.Prefix)
	wrong := setup.Pump(c, driver, logger).Check(ctx)
	for _, err := range wrong {
		fmt.Fprintf(w, "wrong: %v\n", err)
	}
	if len(wrong) > 0 {
		return errReported
	}
	fmt.Fprintln(w, "nothing is wrong")
	return nil
}

// status asks the relay that is running.
func status(ctx context.Context, c *config.Config, w io.Writer) error {
	if c.Admin.Listen == "" {
		return errors.New("admin.listen is empty: the relay cannot be asked")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Admin.Listen+"/status", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no relay answers at %s: %w", c.Admin.Listen, err)
	}
	defer response.Body.Close()
	_, err = io.Copy(w, response.Body)
	return err
}
