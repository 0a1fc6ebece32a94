// Package relay carries the change stream of cdc from one replication slot onto a message
// bus, NATS JetStream or Apache Kafka. docs/relay.md of the repository is its manual and the
// specification of its messages.
//
// A package has one job, and imports those above it alone:
//
//	bus         what a bus is: messages, headers, how far the log has come
//	config      settings: one table, a file, environment variables
//	plan        what becomes of an event: topics, keys, partitions, headers, values
//	checkpoint  the client's checkpoint, kept on the bus
//	jetstream   the bus NATS JetStream, also inside of the relay's own process
//	kafka       the bus Apache Kafka
//	admin       /health, /ready, /metrics
//	pump        from a slot to a bus, again and again
//	cmd         the command cdc-relay
//	examples    readers: copies of tables from Kafka and from JetStream
package relay
