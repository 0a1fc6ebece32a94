"""The plugins that are compared, each configured as its users have it."""

import os
import subprocess
from dataclasses import dataclass, field, replace


@dataclass
class Plugin:
    name: str  # as it is printed
    library: str
    who: str  # whose configuration this is
    options: dict[str, str] = field(default_factory=dict)
    peer: bool = True  # neither the floor nor cdc


# Made in each database; a workload may make another one of that name.
PUBLICATION = "bench"

DEFAULT = "no-op,no-op-message,cdc,pgoutput-binary,pgoutput-text,test_decoding,wal2json,decoderbufs"


def plugins(server_version: int) -> dict[str, Plugin]:
    # The newest protocol of the server, as its own subscriptions ask for.
    proto = {"proto_version": "4" if server_version >= 160000 else "3", "publication_names": PUBLICATION}
    known = [
        Plugin("no-op", "cdc_bench_noop", "the floor: a plugin that does nothing", peer=False),
        Plugin("no-op-message", "cdc_bench_noop", "the floor with a message of 260 bytes for each transaction",
               {"message": "260"}, peer=False),
        Plugin("cdc", "cdc", "the defaults", peer=False),
        Plugin("cdc-publication", "cdc", "with a publication, as pgoutput has",
               {"publication_names": PUBLICATION}, peer=False),
        Plugin("cdc-json", "cdc", "JSON lines", {"format": "json"}, peer=False),
        Plugin("pgoutput-binary", "pgoutput", "a subscription WITH (binary = true)", proto | {"binary": "true"}),
        Plugin("pgoutput-text", "pgoutput", "a subscription's default, and Debezium's", proto),
        Plugin("test_decoding", "test_decoding", "the defaults, without empty transactions", {"skip-empty-xacts": "1"}),
        Plugin("wal2json", "wal2json", "format 2, the one for large transactions", {"format-version": "2"}),
        Plugin("decoderbufs", "decoderbufs", "the defaults, as Debezium has it"),
    ]
    return {plugin.name: plugin for plugin in known}


def choose_plugins(server_version: int, names: str) -> list[Plugin]:
    """Those named, separated by commas; cdc:batch_bytes=8192:old=full is cdc with
    these options. Says which are not installed, and leaves them out."""
    known = plugins(server_version)
    directory = subprocess.run(["pg_config", "--pkglibdir"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    chosen = []
    for name in names.split(","):
        base, *options = name.split(":")
        if base not in known:
            raise SystemExit(f"no plugin is named {base}; there are {', '.join(known)}")
        plugin = replace(known[base], name=name, options=known[base].options | dict(o.split("=", 1) for o in options))
        if os.path.exists(f"{directory}/{plugin.library}.so"):
            chosen.append(plugin)
        else:
            print(f"{name} is not installed and left out")
    return chosen


def create_slot(sql, name: str, plugin: Plugin) -> None:
    sql.execute("SELECT pg_create_logical_replication_slot(%s, %s)", (name, plugin.library))


def drop_slot(sql, name: str) -> None:
    sql.execute("SELECT pg_drop_replication_slot(%s)", (name,))
