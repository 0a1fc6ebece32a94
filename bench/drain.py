"""Reads a replication slot to an end position with pg_recvlogical, and measures
the walsender while it does."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

# Poll often enough that what a process used after the last look, before it
# ended, does not matter: 2 ms of at least some hundred.
INTERVAL = 0.002


@dataclass
class Plugin:
    name: str  # as it is printed
    library: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass
class Drained:
    cpu: float  # seconds of the walsender, user and system
    wall: float  # seconds, from the start of pg_recvlogical to its end
    bytes: int  # as written by pg_recvlogical: with a newline after each message
    anonymous: int  # most bytes of the walsender's own memory (RssAnon)
    resident: int  # VmHWM: with the shared memory that it touched


def plugins(server_version: int) -> dict[str, Plugin]:
    # The newest protocol of the server, as a subscription would ask for.
    proto = {"proto_version": "4" if server_version >= 160000 else "3", "publication_names": "bench"}
    known = [
        Plugin("no-op", "cdc_bench_noop"),
        Plugin("pgoutput-binary", "pgoutput", proto | {"binary": "true"}),
        Plugin("cdc", "cdc"),
        Plugin("pgoutput-text", "pgoutput", proto),
        Plugin("wal2json", "wal2json", {"format-version": "2"}),
        Plugin("decoderbufs", "decoderbufs"),
        Plugin("cdc-json", "cdc", {"format": "json"}),
    ]
    return {plugin.name: plugin for plugin in known}


def create_slot(sql, name: str, plugin: Plugin) -> None:
    sql.execute("SELECT pg_create_logical_replication_slot(%s, %s)", (name, plugin.library))


def end_of_wal(sql) -> str:
    """A position beyond all that was done: a record that no plugin is told of."""
    sql.execute("SELECT pg_create_restore_point('bench')")
    return sql.fetchone()[0]


def drop_slot(sql, name: str) -> None:
    sql.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def cpu_seconds(pid: int) -> float | None:
    """Of a process, by the scheduler's clock where the kernel has it; None when
    the process is gone."""
    try:
        with open(f"/proc/{pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9
    except FileNotFoundError:
        pass
    except ProcessLookupError:
        return None
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> tuple[int, int] | None:
    """RssAnon and VmHWM of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            lines = dict(line.split(":", 1) for line in f)
        return tuple(int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "VmHWM"))
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def drain(sql, slot: str, plugin: Plugin, endpos: str, memory: bool = False) -> Drained:
    """Reads a copy of the slot, so that the slot itself can be read again."""
    copy = slot + "_copy"
    directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.NamedTemporaryFile(prefix="cdc-bench-", dir=directory) as out:
        return drain_copy(sql, slot, copy, plugin, endpos, out.name, memory)


def drain_copy(sql, slot, copy, plugin, endpos, out, memory) -> Drained:
    sql.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", (slot, copy))
    command = ["pg_recvlogical", "-d", "postgres", "-S", copy, "--start", "--no-loop",
               "--fsync-interval=0", "--endpos", endpos, "-f", out]
    for name, value in plugin.options.items():
        command += ["-o", f"{name}={value}"]
    begin = time.monotonic()
    said = tempfile.TemporaryFile("w+")  # decoderbufs talks
    process = subprocess.Popen(command, stderr=said)
    pid = None
    cpu = anonymous = resident = 0
    end = None
    while end is None:
        if process.poll() is not None:
            end = time.monotonic()
        if pid is None:
            sql.execute("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", (copy,))
            pid = sql.fetchone()[0]
        if pid is not None:
            cpu = max(cpu, cpu_seconds(pid) or 0)
            if memory and (seen := memory_bytes(pid)) is not None:
                anonymous, resident = max(anonymous, seen[0]), max(resident, seen[1])
        time.sleep(INTERVAL)
    if process.returncode != 0:
        said.seek(0)
        raise RuntimeError(f"pg_recvlogical failed for {plugin.name}: {said.read()}")
    if cpu == 0:
        raise RuntimeError(f"the walsender of {plugin.name} ended before it was seen: a larger --scale is needed")
    # The walsender may still be on its way out.
    while True:
        sql.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (copy,))
        if not sql.fetchone()[0]:
            break
        time.sleep(INTERVAL)
    drop_slot(sql, copy)
    return Drained(cpu, end - begin, os.path.getsize(out), anonymous, resident)
