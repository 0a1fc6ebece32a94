// Package setup makes a relay of its settings.
package setup

import (
	"io"
	"log/slog"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/kafka"
	"github.com/pgcdc/cdc/relay/plan"
	"github.com/pgcdc/cdc/relay/pump"
	"github.com/pgcdc/cdc/relay/registry"
)

// atLeastOnce is what counts for kafka.transactions = false.
const atLeastOnce = `Each committed change stands at least once in the log, in commit order for each key but for what comes again after a crash
or beside a second relay. Readers leave out what they have by the position in each message. Not promised: a reader's own
effects, and a broker that loses what it has acknowledged.`

// Promise is what counts with these settings.
func Promise(c *config.Config) string {
	if c.Bus() == "kafka" && !c.Kafka.Transactions {
		return atLeastOnce
	}
	return Guarantee
}

// Guarantee is what the relay promises, and what it does not.
const Guarantee = `Each committed change stands exactly once in the log, in commit order for each key, through crashes of the
relay, of PostgreSQL and of broker processes: for read_committed readers on Kafka, and in the stream on JetStream.
The second record of a key change is deliberate (header cdc-key). Not promised: a reader's own effects (the position
in each message makes them idempotent), rows of loads, which come at least once, and a broker that loses what it has
acknowledged, beyond nats.hold_back.`

// Logger makes a logger as it is configured.
func Logger(c config.Log, w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(c.Level)) // checked when it was read
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Driver makes the one of the bus that is configured.
func Driver(c *config.Config, logger *slog.Logger) (bus.Driver, error) {
	if c.Bus() == "kafka" {
		return kafka.New(c.Kafka, c.Relay.Prefix, c.Postgres.Slot, logger)
	}
	return jetstream.New(c.NATS, c.Relay.Prefix, c.Postgres.Slot, logger)
}

// Pump makes a relay over a driver.
func Pump(c *config.Config, driver bus.Driver, logger *slog.Logger) (*pump.Pump, error) {
	p := &pump.Pump{Client: client(c), Driver: driver, Logger: logger, Plan: plan.Options{
		Prefix: c.Relay.Prefix, JSON: c.Relay.Value == "json", FailuresAside: c.Relay.Failures == "dead_letter",
		Large: c.Relay.TooLarge, Markers: c.Relay.Markers, Logger: logger,
		SendMissing: c.Relay.Missing == "send", OldFull: c.Postgres.Options["old"] == "full",
	}}
	p.Plan.Topic, _ = plan.ParseTemplate(c.Relay.Topic) // checked when it was read
	p.Loads = &pump.Loads{Initial: c.Relay.Snapshot == "initial", Rows: c.Relay.SnapshotRows}
	if c.Relay.Cloud {
		p.Plan.CloudEvents = cloudPrefix[c.Bus()]
	}
	if c.Bus() == "kafka" {
		p.Plan.Keyed, p.Plan.Tombstones, p.Plan.AnyKeys = true, c.Kafka.Tombstones, c.Kafka.AnyKeys
	} else {
		p.Plan.Keyed, p.HoldBack = c.NATS.Partitions > 1, c.NATS.HoldBack
	}
	return p, rows(c, p)
}

// rows has values be rows, if that is configured.
func rows(c *config.Config, p *pump.Pump) error {
	if c.Relay.Value != "row" {
		return nil
	}
	schemas, err := registry.New(c.Registry)
	p.Plan.Schemas = schemas
	return err
}

// cloudPrefix begins the names of headers, as the bindings of CloudEvents have it.
var cloudPrefix = map[string]string{"kafka": "ce_", "nats": "ce-"}

// client is how the slot is read.
func client(c *config.Config) cdc.Config {
	r := cdc.Config{Conn: c.Postgres.Conn, Slot: c.Postgres.Slot, CreateSlot: c.Postgres.CreateSlot, AcceptSystem: c.Postgres.AcceptSystem,
		Options: c.Postgres.Options, Compression: c.Postgres.Compression, BufferBytes: c.Postgres.BufferBytes, OnFailure: cdc.PolicyPass,
		Assembler: cdc.AssemblerConfig{Dir: c.Postgres.SpillDir}}
	if c.Postgres.Transport == "fetch" {
		r.Transport = cdc.TransportFetch
	}
	return r
}
