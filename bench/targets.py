"""What cdc has to reach: the one place where the limits stand."""

from dataclasses import dataclass

INSERT, NARROW, WIDE, PGBENCH, UPDATE, FILTER = "insert", "narrow", "wide", "pgbench", "update", "filter"


@dataclass
class Limit:
    workload: str
    metric: str  # "cpu", "bytes": ratio of medians; "anonymous": MiB above
    against: str  # a plugin
    most: float


# CPU against no-op, CPU against pgoutput binary, bytes against pgoutput binary
TABLE = {
    INSERT: (1.35, 0.50, 0.85),
    NARROW: (1.15, 0.45, 0.90),
    WIDE: (1.50, 0.40, 0.75),
    PGBENCH: (1.15, 0.60, 0.95),
    UPDATE: (1.12, 0.35, 0.20),
    FILTER: (1.40, 0.70, 0.90),
}
# CPU and bytes against each of these, in the workloads of the table that they can do
TEXTUAL = ("wal2json", "decoderbufs")
TEXTUAL_MOST = 0.4
# own memory above the no-op plugin's, in MiB
MEMORY = {"large": 16, "stream": 16, "tables": 16}

LIMITS = [
    *(Limit(w, metric, against, most) for w, row in TABLE.items() for (metric, against), most in
      zip((("cpu", "no-op"), ("cpu", "pgoutput-binary"), ("bytes", "pgoutput-binary")), row)),
    *(Limit(w, metric, against, TEXTUAL_MOST) for w in TABLE for against in TEXTUAL for metric in ("cpu", "bytes")),
    *(Limit(w, "anonymous", "no-op", most) for w, most in MEMORY.items()),
]

# p99 of the latency, and the time of a writer's transaction, over those with pgoutput
LATENCY = {"percentile": "p99", "against": "pgoutput-binary", "most": 1.0}
WRITERS = {"against": "pgoutput-binary", "most": 1.0}

# The relay: events per CPU second on Kafka, those and its memory over Debezium's, p99 in milliseconds
RELAY = {"rate": 250_000, "times": 10, "memory": 0.125, "p99": 50}
