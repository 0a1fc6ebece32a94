// Package metrics has the names of what is measured.
package metrics

// Metrics takes in measurements. Implementations must be safe for concurrent
// use and fast. Package cdcprom has one for Prometheus.
type Metrics interface {
	// Add adds to a counter. label is the value of its one label, "" if it has none.
	Add(c Counter, label string, n uint64)
	// Set sets a gauge.
	Set(g Gauge, value float64)
	// Observe takes a value into a histogram with DelayBuckets.
	Observe(h Histogram, value float64)
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
	// ReconnectsTotal counts attempts to connect after the first connection. It has the label
	// reason: one of Reconnects.
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
	// GapsTotal counts transactions that came without all of their parts or events. The stream ends
	// with each.
	GapsTotal Counter = "cdc_gaps_total"
)

// Why there is no connection any more: values of the label reason of ReconnectsTotal.
const (
	// Busy: somebody else reads the slot.
	Busy = "busy"
	// Refusing: the server says another error.
	Refusing = "server"
	// Lost is what remains: of the network, or the server is silent.
	Lost = "connection"
)

// Reconnects are the values of the label reason of ReconnectsTotal.
var Reconnects = [...]string{Busy, Refusing, Lost}

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
	// Connected is 1 while there is a connection that sends changes.
	Connected Gauge = "cdc_connected"
	// HeartbeatAgeSeconds is how long ago the last heartbeat committed that was handed to the
	// consumer: a message with the prefix Heartbeat, in a transaction of its own. It is not set
	// before the first.
	HeartbeatAgeSeconds Gauge = "cdc_heartbeat_age_seconds"
	// BuildInfo is always 1. It has the labels client and version.
	BuildInfo Gauge = "cdc_build_info"
)

// Heartbeat is the prefix of logical messages that are heartbeats:
//
//	SELECT pg_logical_emit_message(true, 'cdc.heartbeat', '')
const Heartbeat = "cdc.heartbeat"

// Histogram is the name of one.
type Histogram string

// The histograms.
const (
	// ReceiveDelaySeconds is from COMMIT to where the client has all of a transaction: one for each that
	// is handed to the consumer. 0 where this machine's clock is behind the server's.
	ReceiveDelaySeconds Histogram = "cdc_receive_delay_seconds"
	// AcknowledgeDelaySeconds is from there to where the consumer acknowledges it.
	AcknowledgeDelaySeconds Histogram = "cdc_acknowledge_delay_seconds"
	// ReadDelaySeconds is from where a message of cdc-relay was published until a reader of its topic
	// had it: see the topic package's Message.ObserveDelay.
	ReadDelaySeconds Histogram = "cdc_read_delay_seconds"
)

// DelayBuckets are the upper bounds of the histograms' buckets, in seconds.
func DelayBuckets() []float64 {
	return []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
}

// None is a Metrics that takes nothing in.
type None struct{}

// Add implements Metrics.
func (None) Add(Counter, string, uint64) {}

// Set implements Metrics.
func (None) Set(Gauge, float64) {}

// Observe implements Metrics.
func (None) Observe(Histogram, float64) {}
