// Package metrics has the names of what is measured.
package metrics

// Metrics takes in measurements. Implementations must be safe for concurrent
// use and fast. Package cdcprom has one for Prometheus.
type Metrics interface {
	// Add adds to a counter. label is the value of its one label, "" if it has none.
	Add(c Counter, label string, n uint64)
	// Set sets a gauge.
	Set(g Gauge, value float64)
}

// Counter is the name of one.
type Counter string

// The counters.
const (
	// EventsTotal has the label op.
	EventsTotal       Counter = "cdc_events_total"
	TransactionsTotal Counter = "cdc_transactions_total"
	BytesTotal        Counter = "cdc_bytes_total"
	BatchesTotal      Counter = "cdc_batches_total"
	// ReconnectsTotal counts attempts to connect after the first connection.
	ReconnectsTotal Counter = "cdc_reconnects_total"
	// StoreFailuresTotal counts attempts to store a checkpoint that failed.
	StoreFailuresTotal Counter = "cdc_store_failures_total"
	// DeadLettersTotal has the label reason.
	DeadLettersTotal Counter = "cdc_dead_letters_total"
	// RedactedTotal counts events with columns that are redacted or held back.
	RedactedTotal Counter = "cdc_redacted_total"
	// VersionMismatchesTotal counts events in another version than Config.Versions has. It
	// has the label relation.
	VersionMismatchesTotal Counter = "cdc_schema_version_mismatches_total"
	// LoadRowsTotal counts rows that a Loader has read, of about LoadRowsExpected.
	LoadRowsTotal Counter = "cdc_load_rows_total"
	// UnknownFieldsTotal counts fields of a newer server.
	UnknownFieldsTotal Counter = "cdc_unknown_fields_total"
)

// Gauge is the name of one.
type Gauge string

// The gauges.
const (
	// LagSeconds is the seconds between now and the commit time of the oldest
	// transaction that was delivered but not acknowledged; 0 when everything received
	// is acknowledged and a keepalive says that the server has nothing more. In
	// between, and while there is no connection, that of the last one acknowledged.
	LagSeconds Gauge = "cdc_lag_seconds"
	// LagBytes is how much WAL lies between the server's position and the
	// acknowledged one.
	LagBytes Gauge = "cdc_lag_bytes"
	// RetainedWALBytes is how much WAL the slot makes the server keep, as of the last
	// connection or call of Stream.SlotStatus, and what was written since.
	RetainedWALBytes Gauge = "cdc_retained_wal_bytes"
	// LoadRowsExpected is about how many rows the tables of a Loader have, by the server's
	// statistics.
	LoadRowsExpected Gauge = "cdc_load_rows_expected"
	// BufferedBytes is how much has been read ahead of the consumer.
	BufferedBytes Gauge = "cdc_buffered_bytes"
)

// None is a Metrics that takes nothing in.
type None struct{}

// Add implements Metrics.
func (None) Add(Counter, string, uint64) {}

// Set implements Metrics.
func (None) Set(Gauge, float64) {}
