#!/bin/bash
# Keeps a copy of a table from NATS JetStream and from Apache Kafka by the programs of this crate,
# kills them in the middle, and compares: PostgreSQL, cdc-relay and both brokers are real. Usage:
#
#   clients/rust/examples-bus/test.sh [nats] [kafka]
#
# PGHOST and so on: a server with the extension, and a database without a table orders. Needs
# psql, Go as relay/ does, for Kafka Java and Maven (relay/testdata/kafka/fetch.sh) and what compiles
# librdkafka: make and a C compiler. What is missing is skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$(mktemp -d)
pids=()

finish()
{
	local pid

	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	cd / && rm -rf "$work"
	sql -c "SELECT cdc.drop_slot(slot_name, true) FROM pg_replication_slots WHERE slot_name IN ('copy_nats', 'copy_kafka')" \
		-c 'DROP TABLE IF EXISTS orders' || :
}
trap finish EXIT

sql() { PGOPTIONS='-c client_min_messages=warning' psql -qAtX -v ON_ERROR_STOP=1 "$@" >/dev/null; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

fail()
{
	echo "not ok $*"
	tail -n 20 "$work"/*.log
	exit 1
}

# until COMMAND... is true
until_()
{
	for _ in $(seq 300); do
		! "$@" 2>/dev/null || return 0
		sleep 0.2
	done
	return 1
}

build()
{
	local go

	go=$(CDC_GO_MINOR=26 "$root/scripts/toolchain-go.sh") || { echo "skipped: no Go toolchain for cdc-relay"; exit 0; }
	[ -z "${CDC_GO_CACHE-}" ] || export GOMODCACHE=$CDC_GO_CACHE/mod GOCACHE=$CDC_GO_CACHE/build
	(cd "$root/relay" && PATH=$go:$PATH GOTOOLCHAIN=local GOFLAGS=-buildvcs=false go build -o "$work/cdc-relay" ./cmd/cdc-relay)
	(cd "$here" && cargo build --locked ${1+--features "$1"})
}

# Rows that come, change, get other keys and go, and a column that comes.
change()
{
	sql <<-'END'
		INSERT INTO orders (id, customer, total, tags, placed)
		SELECT g, 'customer ' || g, g / 100.0, ARRAY['a', g::text], '2026-01-01'::timestamptz + g * interval '1 s'
		  FROM generate_series(1, 3000) AS g;
		UPDATE orders SET total = total + 1, tags = NULL WHERE id % 3 = 0;
		UPDATE orders SET id = id + 10000, customer = 'moved' WHERE id % 7 = 0;
	END
}

change_more()
{
	sql <<-'END'
		DELETE FROM orders WHERE id % 5 = 0;
		ALTER TABLE orders ADD COLUMN extra int DEFAULT 3;
		UPDATE orders SET id = id + 50000 WHERE id > 10000 AND id % 2 = 0;
		INSERT INTO orders (id, customer) VALUES (7, 'anew'), (14, 'anew');
	END
}

# copy BUS PROGRAM ARGUMENT...: changes the table while the program runs and is killed.
copy()
{
	local bus=$1 program=${CARGO_TARGET_DIR:-$here/target}/debug/$2 first

	shift 2
	"$program" "$@" "$work/$bus.copy" >"$work/$bus-copy.log" 2>&1 &
	first=$!
	pids+=("$first")
	change
	until_ test -s "$work/$bus.copy" || fail "$bus: nothing is copied"
	change_more
	kill -9 "$first"
	wait "$first" 2>/dev/null || :
	timeout 180 "$program" "$@" "$work/$bus.copy" "dbname=$PGDATABASE" >>"$work/$bus-copy.log" 2>&1 || fail "$bus: the copy is another"
	# all that there is has been applied: nothing counts twice
	timeout 180 "$program" "$@" "$work/$bus.copy" "dbname=$PGDATABASE" >"$work/$bus-again.log" 2>&1 || fail "$bus: the copy is another"
	grep -q '^0 changes applied, ' "$work/$bus-again.log" || fail "$bus: changes are applied twice"
	echo "ok $bus: $(grep ' rows equal' "$work/$bus-copy.log")"
}

# A table, a slot and a relay whose settings are in the environment.
relay()
{
	sql -c 'DROP TABLE IF EXISTS orders' -c 'CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric(12,2), placed timestamptz, tags text[])' \
		-c 'ALTER TABLE orders REPLICA IDENTITY FULL'
	env CDC_RELAY_POSTGRES_CONN="dbname=$PGDATABASE" CDC_RELAY_POSTGRES_SLOT="copy_$1" CDC_RELAY_POSTGRES_CREATE_SLOT=true \
		CDC_RELAY_POSTGRES_OPTIONS_TABLES=public.orders CDC_RELAY_ADMIN_LISTEN= "$work/cdc-relay" run >"$work/$1-relay.log" 2>&1 &
	pids+=($!)
	until_ grep -q carr "$work/$1-relay.log" || fail "$1: the relay does not begin"
}

nats()
{
	local port

	port=$(port)
	CDC_RELAY_NATS_EMBEDDED=$work/nats CDC_RELAY_NATS_LISTEN=127.0.0.1:$port CDC_RELAY_NATS_HOLD_BACK=1s relay nats
	copy nats nats-copy "127.0.0.1:$port" CDC cdc.public.orders
}

# One node, as relay's own tests start it.
kafka()
{
	local libs port controller

	libs=${CDC_KAFKA_LIBS:-$("$root/relay/testdata/kafka/fetch.sh")} || { echo "skipped: no Kafka"; return 0; }
	port=$(port) controller=$(port)
	cat >"$work/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
		advertised.listeners=PLAINTEXT://127.0.0.1:$port
		controller.listener.names=CONTROLLER
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
		log.dirs=$work/kafka
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=3
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=3
		auto.create.topics.enable=false
	END
	java -Xmx128m -cp "$libs/*" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$work/server.properties" >"$work/format.log" 2>&1 ||
		fail "kafka: $(tail -n 1 "$work/format.log")"
	java -Xmx256m -Xms64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.Kafka "$work/server.properties" >"$work/kafka.log" 2>&1 &
	pids+=($!)
	until_ grep -q 'Kafka Server started' "$work/kafka.log" || fail "kafka: the broker does not start"
	CDC_RELAY_KAFKA_BROKERS=127.0.0.1:$port CDC_RELAY_KAFKA_CREATE_TOPICS=true CDC_RELAY_KAFKA_PARTITIONS=3 relay kafka
	# a reader waits for the topic, which the first change makes
	sql -c "INSERT INTO orders VALUES (0, 'first')"
	until_ copy_begins "$port" || fail "kafka: there is no topic"
	copy kafka kafka-copy "127.0.0.1:$port" cdc.public.orders
}

# The program ends at once where there is no topic.
copy_begins()
{
	timeout 3 "${CARGO_TARGET_DIR:-$here/target}/debug/kafka-copy" "127.0.0.1:$1" cdc.public.orders "$work/probe" >"$work/probe.log" 2>&1 || :
	! grep -q 'there is no topic' "$work/probe.log" && [ -s "$work/probe" ]
}

[ $# -gt 0 ] || set -- nats kafka
export PGDATABASE=${PGDATABASE:-postgres}
sql -c 'CREATE EXTENSION IF NOT EXISTS cdc'
case " $* " in *" kafka "*) build kafka ;; *) build ;; esac
for bus; do
	"$bus"
done
