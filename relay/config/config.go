// Package config has the relay's settings: what they are, and where they come from.
package config

import (
	"time"
)

// Config is what all settings together say.
type Config struct {
	Postgres Postgres
	Relay    Relay
	NATS     NATS
	Kafka    Kafka
	Registry Registry
	Admin    Admin
	Log      Log
}

// Postgres is where the changes come from.
type Postgres struct {
	Conn         string
	Slot         string
	CreateSlot   bool
	AcceptSystem bool
	Transport    string
	Compression  string
	BufferBytes  int
	SpillDir     string
	Options      map[string]string
}

// Relay is what becomes of them.
type Relay struct {
	Prefix   string
	Value    string
	Failures string
	TooLarge string
	Missing  string
	Markers  bool
	Cloud    bool
	Topic    string
	Snapshot string
	// SnapshotRows are read at a time at most.
	SnapshotRows int
}

// NATS is the bus NATS JetStream.
type NATS struct {
	Embedded   string
	Listen     string
	URL        string
	Creds      string
	CA         string
	Cert, Key  string
	Stream     string
	Create     bool
	Replicas   int
	MaxAge     time.Duration
	MaxBytes   int
	Partitions int
	InFlight   int
	HoldBack   time.Duration
}

// Kafka is the bus Apache Kafka.
type Kafka struct {
	Brokers           []string
	TLS               bool
	CA                string
	Cert, Key         string
	SASL              string
	User              string
	PasswordFile      string
	Create            bool
	Partitions        int
	Replication       int
	Compression       string
	Tombstones        bool
	AnyKeys           bool
	Transactions      bool
	TransactionWait   time.Duration
	TransactionTime   time.Duration
	TransactionBytes  int
	TransactionEvents int
	TransactionLimit  time.Duration
}

// Registry is where the types of rows are.
type Registry struct {
	URL          []string
	User         string
	PasswordFile string
	CA           string
}

// Admin is the relay's own HTTP server.
type Admin struct{ Listen string }

// Log is what the relay says.
type Log struct{ Level, Format string }

// Bus is the one that is configured: nats or kafka, or "".
func (c *Config) Bus() string {
	switch {
	case len(c.Kafka.Brokers) > 0:
		return "kafka"
	case c.NATS.Embedded != "" || c.NATS.URL != "":
		return "nats"
	}
	return ""
}
