package config

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgcdc/cdc/relay/plan"
)

// Setting is one of them. This table is all that is said of settings anywhere.
type Setting struct {
	// Name is that of the table and key in the file: postgres.conn.
	Name string
	// Default, as it would be written.
	Default string
	// About says what it does.
	About string

	set func(c *Config, text string) error
}

// Env is the environment variable that counts before the file.
func (s *Setting) Env() string {
	return "CDC_RELAY_" + strings.ToUpper(strings.ReplaceAll(s.Name, ".", "_"))
}

// optionsPrefix begins the names of settings that are options of the stream.
const optionsPrefix = "postgres.options."

// Settings are all of them, but for postgres.options.NAME.
var Settings = []Setting{
	{"postgres.conn", "", "Connection string or URL, as libpq has them; what it leaves out comes from PG* variables, the password best from a passfile.",
		text(func(c *Config) *string { return &c.Postgres.Conn })},
	{"postgres.slot", "", "Name of the replication slot. Must be set.",
		text(func(c *Config) *string { return &c.Postgres.Slot })},
	{"postgres.create_slot", "false", "Make the slot if there is none, and nothing on the bus says that there was one.",
		flag(func(c *Config) *bool { return &c.Postgres.CreateSlot })},
	{"postgres.accept_system", "false", "Go on although what is on the bus came from another system, where the slot is now: once, after pg_upgrade. What was in the slot before is not sent.",
		flag(func(c *Config) *bool { return &c.Postgres.AcceptSystem })},
	{"postgres.transport", "replication", "replication, or fetch: by cdc.fetch(), for roles without REPLICATION; then let one relay alone run.",
		oneOf(func(c *Config) *string { return &c.Postgres.Transport }, "replication", "fetch")},
	{"postgres.compression", "none", "Of batches on their way from the server: none, lz4, zstd.",
		oneOf(func(c *Config) *string { return &c.Postgres.Compression }, "none", "lz4", "zstd")},
	{"postgres.buffer_bytes", "8MB", "How much is read ahead of the bus.",
		size(func(c *Config) *int { return &c.Postgres.BufferBytes })},
	{"postgres.spill_dir", "", "Folder for transactions of more than 64 MB that have not ended; by default the system's for temporary files.",
		text(func(c *Config) *string { return &c.Postgres.SpillDir })},
	{"relay.prefix", "cdc", "Begins the names of all topics and subjects.",
		text(func(c *Config) *string { return &c.Relay.Prefix })},
	{"relay.topic", plan.DefaultTemplate, "Names of tables' topics: parts with dots between, each of them {schema}, {table}, {database}, {version} or a word.",
		text(func(c *Config) *string { return &c.Relay.Topic })},
	{"relay.value", "batch", "Values of messages: batch (the batch cut to one event), json (the JSON form) or row (the row in the framing of a schema registry).",
		oneOf(func(c *Config) *string { return &c.Relay.Value }, "batch", "json", "row")},
	{"relay.missing", "stop", "With value = row, what to do about rows of which not all columns are known: stop or send, with the header cdc-missing.",
		oneOf(func(c *Config) *string { return &c.Relay.Missing }, "stop", "send")},
	{"relay.failures", "stop", "What to do about changes that the server could not encode: stop or dead_letter.",
		oneOf(func(c *Config) *string { return &c.Relay.Failures }, "stop", "dead_letter")},
	{"relay.too_large", "stop", "What to do about messages that are larger than the bus takes: stop, reference (key and position alone, for readers to look the row up) or dead_letter (the same, in PREFIX.dead).",
		oneOf(func(c *Config) *string { return &c.Relay.TooLarge }, "stop", "reference", "dead_letter")},
	{"relay.markers", "false", "Send messages at the beginning and the end of transactions, with counts, to PREFIX.transactions.",
		flag(func(c *Config) *bool { return &c.Relay.Markers })},
	{"relay.cloudevents", "false", "Give messages the attributes of CloudEvents in headers, too (binary mode).",
		flag(func(c *Config) *bool { return &c.Relay.Cloud })},
	{"relay.snapshot", "never", "initial: all tables are loaded once, and those that come into the stream later; never: only those that cdc-relay load names.",
		oneOf(func(c *Config) *string { return &c.Relay.Snapshot }, "never", "initial")},
	{"relay.snapshot_rows", "10000", "How many rows of a load are read at a time at most (about 8 MB of them); the stream waits meanwhile.",
		number(func(c *Config) *int { return &c.Relay.SnapshotRows }, 1, 10000000)},
	{"nats.embedded", "", "Folder of a JetStream server that runs inside of the relay.",
		text(func(c *Config) *string { return &c.NATS.Embedded })},
	{"nats.listen", "127.0.0.1:4222", "Where the embedded server listens for clients. It asks them for no password.",
		text(func(c *Config) *string { return &c.NATS.Listen })},
	{"nats.url", "", "URLs of servers, separated by commas, instead of an embedded one.",
		text(func(c *Config) *string { return &c.NATS.URL })},
	{"nats.creds", "", "File with the credentials (JWT and nkey), as nsc writes it.",
		text(func(c *Config) *string { return &c.NATS.Creds })},
	{"nats.ca", "", "File with the certificates of authorities, if not the system's.",
		text(func(c *Config) *string { return &c.NATS.CA })},
	{"nats.cert", "", "File with the relay's own certificate, for mutual TLS.",
		text(func(c *Config) *string { return &c.NATS.Cert })},
	{"nats.key", "", "File with its key.",
		text(func(c *Config) *string { return &c.NATS.Key })},
	{"nats.stream", "CDC", "Name of the stream. The relay must be the only one who writes to it.",
		text(func(c *Config) *string { return &c.NATS.Stream })},
	{"nats.create", "false", "Make the stream and the bucket STREAM_checkpoint if they are missing. An embedded server always does.",
		flag(func(c *Config) *bool { return &c.NATS.Create })},
	{"nats.replicas", "1", "Replicas of a stream that is made: 3 or 5 in a cluster.",
		number(func(c *Config) *int { return &c.NATS.Replicas }, 1, 5)},
	{"nats.max_age", "0s", "For how long a stream that is made keeps messages; 0s: no limit.",
		duration(func(c *Config) *time.Duration { return &c.NATS.MaxAge })},
	{"nats.max_bytes", "0", "How much a stream that is made keeps, then the oldest messages go; 0: no limit.",
		size(func(c *Config) *int { return &c.NATS.MaxBytes })},
	{"nats.partitions", "1", "With more than 1, subjects end in .pN by the row's key, and key changes are sent twice.",
		number(func(c *Config) *int { return &c.NATS.Partitions }, 1, 10000)},
	{"nats.in_flight_bytes", "16MB", "How much is on its way to the server without being acknowledged.",
		size(func(c *Config) *int { return &c.NATS.InFlight })},
	{"nats.hold_back", "3m", "After how long PostgreSQL hears that a message is stored: more than the server's sync_interval (2m), which is when it reaches the disk.",
		duration(func(c *Config) *time.Duration { return &c.NATS.HoldBack })},
	{"kafka.brokers", "", "Addresses (host:port) of brokers.",
		list(func(c *Config) *[]string { return &c.Kafka.Brokers })},
	{"kafka.tls", "false", "Use TLS. Certificates are always verified.",
		flag(func(c *Config) *bool { return &c.Kafka.TLS })},
	{"kafka.ca", "", "File with the certificates of authorities, if not the system's.",
		text(func(c *Config) *string { return &c.Kafka.CA })},
	{"kafka.cert", "", "File with the relay's own certificate, for mutual TLS.",
		text(func(c *Config) *string { return &c.Kafka.Cert })},
	{"kafka.key", "", "File with its key.",
		text(func(c *Config) *string { return &c.Kafka.Key })},
	{"kafka.sasl", "none", "none, plain, scram-sha-256 or scram-sha-512.",
		oneOf(func(c *Config) *string { return &c.Kafka.SASL }, "none", "plain", "scram-sha-256", "scram-sha-512")},
	{"kafka.user", "", "User for SASL.",
		text(func(c *Config) *string { return &c.Kafka.User })},
	{"kafka.password_file", "", "File whose first line is the user's password.",
		text(func(c *Config) *string { return &c.Kafka.PasswordFile })},
	{"kafka.create_topics", "false", "Make topics that are missing.",
		flag(func(c *Config) *bool { return &c.Kafka.Create })},
	{"kafka.partitions", "8", "Partitions of tables' topics that are made.",
		number(func(c *Config) *int { return &c.Kafka.Partitions }, 1, 10000)},
	{"kafka.replication", "-1", "Replicas of topics that are made; -1: the broker's default.",
		number(func(c *Config) *int { return &c.Kafka.Replication }, -1, 100)},
	{"kafka.compression", "lz4", "Of batches in the log: none, gzip, snappy, lz4, zstd.",
		oneOf(func(c *Config) *string { return &c.Kafka.Compression }, "none", "gzip", "snappy", "lz4", "zstd")},
	{"kafka.tombstones", "false", "For compacted topics: a record without a value follows what removed a key. Topics that are made are compacted then.",
		flag(func(c *Config) *bool { return &c.Kafka.Tombstones })},
	{"kafka.any_keys", "false", "Tombstones also for keys of types whose equal values may have different bytes (numeric, citext).",
		flag(func(c *Config) *bool { return &c.Kafka.AnyKeys })},
	{"kafka.transactions", "true", "Exactly once. false: at least once, without the cost of transactions, and nothing keeps a second relay from writing.",
		flag(func(c *Config) *bool { return &c.Kafka.Transactions })},
	{"kafka.transaction_wait", "5ms", "So long after its first message a Kafka transaction ends when nothing more is there;",
		duration(func(c *Config) *time.Duration { return &c.Kafka.TransactionWait })},
	{"kafka.transaction_time", "50ms", "it ends so long after it in any case,",
		duration(func(c *Config) *time.Duration { return &c.Kafka.TransactionTime })},
	{"kafka.transaction_bytes", "8MB", "or when its messages take so much,",
		size(func(c *Config) *int { return &c.Kafka.TransactionBytes })},
	{"kafka.transaction_events", "10000", "or when it has so many events; PostgreSQL's transactions that are larger are cut.",
		number(func(c *Config) *int { return &c.Kafka.TransactionEvents }, 1, 1000000)},
	{"kafka.transaction_timeout", "60s", "After how long the broker aborts a transaction of a relay that is gone. Not more than its transaction.max.timeout.ms.",
		duration(func(c *Config) *time.Duration { return &c.Kafka.TransactionLimit })},
	{"registry.url", "", "URLs of a schema registry, for relay.value = row.",
		list(func(c *Config) *[]string { return &c.Registry.URL })},
	{"registry.user", "", "User, where the registry asks for one.",
		text(func(c *Config) *string { return &c.Registry.User })},
	{"registry.password_file", "", "File whose first line is the user's password.",
		text(func(c *Config) *string { return &c.Registry.PasswordFile })},
	{"registry.ca", "", "File with the certificates of authorities, if not the system's.",
		text(func(c *Config) *string { return &c.Registry.CA })},
	{"admin.listen", "127.0.0.1:9180", "Where the relay's page (/), /health, /ready, /status and /metrics are; empty: nowhere.",
		text(func(c *Config) *string { return &c.Admin.Listen })},
	{"log.level", "info", "debug, info, warn or error.",
		oneOf(func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error")},
	{"log.format", "text", "text or json, on standard error.",
		oneOf(func(c *Config) *string { return &c.Log.Format }, "text", "json")},
}

// Print writes the table of all settings, as a file that says what is the default.
func Print(w io.Writer) {
	section := ""
	for i := range Settings {
		s := &Settings[i]
		table, key, _ := strings.Cut(s.Name, ".")
		if table != section {
			if section == "postgres" {
				printOptions(w)
			}
			fmt.Fprintf(w, "\n[%s]\n", table)
			section = table
		}
		fmt.Fprintf(w, "# %s\n# %s\n# %s = %s\n", s.About, s.Env(), key, quoted(s.Default))
	}
}

func printOptions(w io.Writer) {
	fmt.Fprintf(w, "# Options of the stream, for example tables or publication_names (docs/protocol.md).\n# %s\n# options.NAME = \"\"\n",
		"CDC_RELAY_POSTGRES_OPTIONS_NAME")
}

// quoted is a value as TOML has it.
func quoted(text string) string {
	if text == "true" || text == "false" || strings.Trim(text, "-0123456789") == "" && text != "" {
		return text
	}
	return fmt.Sprintf("%q", text)
}

// Table writes all settings as rows of Markdown, for the manual.
func Table(w io.Writer) {
	for i := range Settings {
		s := &Settings[i]
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", s.Name, value, s.About)
	}
}
