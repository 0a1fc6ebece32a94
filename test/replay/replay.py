"""Runs workloads, reads their streams, applies them and compares.

replay.py BINDIR DIRECTORY NAME...: the server's programs, where streams go,
and the workloads (workloads/NAME.sql or .sh, with NAME.pre.sql before it, or
random-SEED, large-SEED: see generate.py; changes-SEED, mixed-SEED: see ddl.py;
aborts-SEED: see aborts.py; join-SEED: see join.py; history-NAME: ../history). Output is TAP."""

import sys

import checks
import join
from tap import Reported, Tap
from workload import Aborts, Changes, History, Random, Workload

KINDS = {"random": Random, "large": Random, "aborts": Aborts, "history": History,
         "changes": Changes, "mixed": Changes}

# Settings of a session that must not matter.
ODD_SETTINGS = {
    "datestyle": "German,DMY", "intervalstyle": "iso_8601", "timezone": "Asia/Kolkata",
    "search_path": "cdc,public,pg_temp", "quote_all_identifiers": "on",
    "extra_float_digits": "0", "bytea_output": "escape", "lc_monetary": "C.UTF-8",
    "xmlbinary": "hex",
}


def replay(tap, workload):
    name, slots, files = workload.name, workload.slots, workload.files
    end = tap.check(name + ": runs", workload.work)
    # JSON is cut into parts as if schemas were sent in every batch
    options = ["old", "full", "batch_bytes", "5000"]
    lines = tap.check(name + ": peeked at as JSON", workload.peek,
                      "pg_logical_slot_peek_changes", "format", "json", *options)
    whole = tap.check(name + ": peeked at, with all that a batch needs", workload.peek,
                      "pg_logical_slot_peek_binary_changes", "schemas", "batch", *options)
    tap.check(name + ": read", workload.receive, slots[0], files[0], end, ["messages=*"], {})
    tap.check(name + ": read in small parts, under odd settings", workload.receive,
              slots[1], files[1], end, ["messages=*", "batch_bytes=700"], ODD_SETTINGS)
    reader, batches = tap.check(name + ": stream as specified", checks.parse_file, files[0])
    _, small = tap.check(name + ": stream in small parts as specified",
                         checks.parse_file, files[1])
    tap.check(name + ": the same identities and bytes in both",
              checks.same_identity, batches, small)
    tap.check(name + ": read while transactions are in progress", workload.receive,
              slots[2], files[2], end, ["messages=*", "streaming=on"],
              {"logical_decoding_work_mem": "64kB"})
    tap.check(name + ": the same when streamed", checks.same_when_streamed, [files[2]], batches)
    for i, options in ((3, ["two_phase=on"]), (4, ["two_phase=on", "streaming=on"])):
        tap.check(name + ": read with " + " ".join(options), workload.receive, slots[i], files[i],
                  end, ["messages=*", *options], {"logical_decoding_work_mem": "64kB"})
        tap.check(name + ": the same when prepared", checks.same_when_streamed, [files[i]], batches)
    tap.check(name + ": read all the while", workload.receive_live, end)
    tap.check(name + ": the same live", checks.same_when_streamed, workload.live.files, batches)
    tap.check(name + ": read to the end by one who came back", workload.receive_piece, end)
    tap.check(name + ": the same in %d connections" % len(workload.pieces),
              checks.same_when_streamed, workload.pieces, batches)
    tap.check(name + ": batches cut along their events say the same",
              checks.same_when_cut, reader, batches)
    _, whole = tap.check(name + ": stream of the SQL functions as specified",
                         checks.parse_rows, whole)
    tap.check(name + ": whole former rows are what the stream said before",
              checks.whole_rows, whole)
    tap.check(name + ": the JSON form", checks.json_form, lines, whole)
    tap.check(name + ": applied, equal to the source", checks.apply_and_compare, batches,
              workload.databases, "r", workload.notes)
    workload.clean()


def via_root(tap, workload):
    """Partitions under the names of their roots."""
    name, slots, files = workload.name, workload.slots, workload.files
    end = tap.check(name + ": runs", workload.work)
    selection = ["publication_names=viaroot"]
    tap.check(name + ": read", workload.receive, slots[0], files[0], end, selection, {})
    _, batches = tap.check(name + ": stream as specified", checks.parse_file, files[0])
    tap.check(name + ": read while transactions are in progress", workload.receive, slots[4],
              files[4], end, [*selection, "streaming=on"], {"logical_decoding_work_mem": "64kB"})
    tap.check(name + ": the same when streamed", checks.same_when_streamed, [files[4]], batches)
    tap.check(name + ": applied, equal to the source", checks.apply_and_compare, batches,
              workload.databases, "p")
    workload.live.finish(end)
    workload.clean()


def main():
    bindir, directory, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    tap = Tap()
    for name in names:
        kind = KINDS.get(name.split("-")[0], Workload) if "-" in name else Workload
        try:
            if name.startswith("join-"):
                join.run(tap, bindir, directory, name)
            elif name == "viaroot":
                via_root(tap, Workload(bindir, directory, name))
            else:
                replay(tap, kind(bindir, directory, name))
        except Reported:
            pass
    print("1..%d" % tap.tests)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
