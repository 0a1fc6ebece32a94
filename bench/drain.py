"""Reads a replication slot to an end position with pg_recvlogical, and measures
the walsender while it does."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass

from measured import wait_until_free
from plugins import Plugin, drop_slot

# Poll often enough that what a process used after the last look, before it
# ended, does not matter: 2 ms of at least some hundred.
INTERVAL = 0.002
MEMORY_EVERY = 5  # polls


@dataclass
class Drained:
    cpu: float  # seconds of the walsender, user and system
    system: float  # those in the kernel, in the coarser steps of /proc/PID/stat
    wall: float  # seconds, from the start of pg_recvlogical to its end
    bytes: int  # as written by pg_recvlogical: with a newline after each message
    anonymous: int  # most bytes of the walsender's own memory (RssAnon)
    resident: int  # VmHWM: with the shared memory that it touched


def end_of_wal(sql) -> str:
    """A position beyond all that was done: a record that no plugin is told of."""
    sql.execute("SELECT pg_create_restore_point('bench')")
    return sql.fetchone()[0]


def cpu_seconds(pid: int) -> tuple[float, float] | None:
    """User and system time of a process together, and system time alone; None
    when the process is gone. /proc/PID/stat counts in ticks of 10 ms; the
    scheduler's own clock is the same sum in nanoseconds, where the kernel has it."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        user, system = int(fields[11]) / tick, int(fields[12]) / tick
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        with open(f"/proc/{pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9, system
    except FileNotFoundError:
        return user + system, system
    except ProcessLookupError:
        return None


def memory_bytes(pid: int) -> tuple[int, int] | None:
    """RssAnon and VmHWM of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            lines = dict(line.split(":", 1) for line in f)
        return tuple(int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "VmHWM"))
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def drain(sql, slot: str, plugin: Plugin, endpos: str, options: dict[str, str] | None = None,
          attach=lambda pid: None) -> Drained:
    """Reads a copy of the slot, so that the slot itself can be read again. attach is
    called with the walsender's process when it is known."""
    copy = slot + "_copy"
    directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.NamedTemporaryFile(prefix="cdc-bench-", dir=directory) as out:
        return drain_copy(sql, slot, copy, plugin, endpos, (options or {}) | plugin.options, out.name, attach)


def drain_copy(sql, slot, copy, plugin, endpos, options, out, attach) -> Drained:
    sql.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", (slot, copy))
    sql.execute("SELECT current_database()")
    command = ["pg_recvlogical", "-d", sql.fetchone()[0], "-S", copy, "--start", "--no-loop",
               "--fsync-interval=0", "--endpos", endpos, "-f", out]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    begin = time.monotonic()
    said = tempfile.TemporaryFile("w+")  # decoderbufs talks
    process = subprocess.Popen(command, stderr=said)
    pid = end = None
    cpu, anonymous, resident, polls = (0, 0), 0, 0, 0
    while end is None:
        if process.poll() is not None:
            end = time.monotonic()
        if pid is None:
            sql.execute("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", (copy,))
            pid = sql.fetchone()[0]
            if pid is not None:
                attach(pid)
        if pid is not None:
            cpu = max(cpu, cpu_seconds(pid) or cpu)
            if polls % MEMORY_EVERY == 0 and (seen := memory_bytes(pid)) is not None:
                anonymous, resident = max(anonymous, seen[0]), max(resident, seen[1])
            polls += 1
        time.sleep(INTERVAL)
    if process.returncode != 0:
        said.seek(0)
        raise RuntimeError(f"pg_recvlogical failed for {plugin.name}: {said.read()}")
    if cpu[0] == 0:
        raise RuntimeError(f"the walsender of {plugin.name} ended before it was seen: a larger --scale is needed")
    wait_until_free(sql, copy)
    drop_slot(sql, copy)
    return Drained(cpu[0], cpu[1], end - begin, os.path.getsize(out), anonymous, resident)
