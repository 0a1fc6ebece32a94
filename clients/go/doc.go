// Package cdc reads the change stream of cdc, a PostgreSQL extension whose
// logical decoding output plugin sends changes as Protobuf.
//
// A [Stream] connects to a replication slot and gives whole transactions in the
// order of their commits. What the program has dealt with, it acknowledges; what
// is acknowledged is stored in a [CheckpointStore] before the server hears of it,
// and never comes again:
//
//	stream, err := cdc.Open(ctx, cdc.Config{
//		Conn:  "host=db dbname=shop",
//		Slot:  "orders",
//		Store: cdc.FileStore("orders.checkpoint"),
//	})
//	...
//	for {
//		txn, err := stream.Next(ctx)
//		...
//		for event, err := range txn.Events() {
//			...
//		}
//		stream.Ack(txn)
//	}
//
// Below it stand parts that are useful alone:
//
//   - [Batch], [Event] and [Row] are views of the wire format that allocate
//     nothing; [FileReader] reads files of pg_recvlogical.
//   - [Table] and [SchemaCache] say what columns a row has; Column.Value gives
//     values by name, [Decoder] fills structs generated from cdc.proto().
//   - [Overlay] makes the row after an UPDATE; [Applier] keeps whole tables.
//   - [TopicReader], [TopicProgress] and [TopicApplier] do for messages of Kafka or NATS
//     JetStream, as cdc-relay writes them, what the others do for a stream.
//   - [Assembler] puts together transactions that come before their commit.
//
// Each of them is in a package below this one (change, schema, tuple, value, replica, topic),
// under the same name; those of topic begin with Topic here. What is here is an alias: its
// documentation is there, and no program has to import more than this package.
//
// The wire format is specified in docs/protocol.md of the repository. Bytes that
// are not what a server sends are a [DamageError], never a panic.
package cdc
