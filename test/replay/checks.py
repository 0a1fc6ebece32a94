"""What must hold of the streams of a workload. Failed says what does not."""

import compare
import jsonform
import overlay
import stream
import streamed
import target
import values
from cdc.v1 import cdc_pb2 as pb
from noted import Noted
from tap import Failed


def rows(event):
    e = event.pb
    if event.schema is None:
        return e
    return [values.row(event.schema, r) for r in (e.key, e.new_key, e.old, e.new)] + \
        [list(e.nulls), list(e.unavailable), e.op, e.rewrite_start, e.schema_change]


def parse_file(path):
    with open(path, "rb") as f:
        return stream.read(f.read())


def parse_rows(data):
    return stream.read(b"".join(bytes(d) + b"\n" for d in data))


def same_identity(one, two):
    """Both streams have the same changes, to the byte."""
    a, b = ([e for batch in batches for e in batch.events] for batches in (one, two))
    for x, y in zip(a, b):
        if x.position != y.position:
            raise Failed("%s in one stream, %s in the other" %
                         (stream.text(x.position), stream.text(y.position)))
        if x.raw != y.raw:
            raise Failed("%s differs between streams:\n%s\n%s" %
                         (stream.text(x.position), x.raw.hex(), y.raw.hex()))
        if x.schema is not None and x.schema.bytes != y.schema.bytes:
            raise Failed("%s has two schemas" % stream.text(x.position))
    if len(a) != len(b):
        raise Failed("%d events in one stream, %d in the other" % (len(a), len(b)))
    if len(a) > 200 and len(two) <= len(one):
        raise Failed("the parts are not smaller")
    return "%d events" % len(a)


def without_state(raw):
    """What commands that do not lock a table are told to have made of it is, where it is sent
    before the transaction has ended, as of the command, and otherwise as of the end."""
    event = pb.ChangeEvent.FromString(raw)
    if event.schema_change.command_tag not in ("ALTER TYPE", "ALTER SCHEMA"):
        return raw
    event.ClearField("schema")
    event.schema_change.ClearField("former_schema")
    event.schema_change.ClearField("former_name")
    return event.SerializeToString(deterministic=True)


def same_when_streamed(paths, batches):
    """What remains of transactions that were sent before they had ended, or were
    prepared, is what the others are, to the byte."""
    reader, transactions = streamed.read(*paths)
    ours = [(e.position, e.raw) for t in transactions for e in t.events]
    plain = [(e.position, e.raw) for batch in batches for e in batch.events]
    for x, y in zip(ours, plain):
        if x != y and (x[0], without_state(x[1])) != (y[0], without_state(y[1])):
            raise Failed("%s streamed, %s otherwise:\n%s\n%s" %
                         (stream.text(x[0]), stream.text(y[0]), x[1].hex(), y[1].hex()))
    if len(ours) != len(plain):
        raise Failed("%d events when streamed, not %d" % (len(ours), len(plain)))
    metadata = [dict(batch.pb.transaction.metadata) for batch in batches
                if batch.outcome == pb.OUTCOME_COMMITTED]
    if [t.metadata for t in transactions if t.xid is not None] != metadata:
        raise Failed("other metadata when streamed")
    return "%d transactions streamed, %d prepared, %d events void" % (
        reader.streamed, reader.two_phase, reader.void)


def same_when_cut(reader, batches):
    """An event alone, read by somebody who knows nothing else. Of a
    batch with very many, some hundred."""
    for batch in batches:
        pieces = list(stream.cut(reader, batch))
        if not batch.events and stream.Reader(cut=True).batch(pieces[0]).outcome is None:
            raise Failed("a part without events lost its outcome")
        every = len(pieces) // 200 + 1
        for i, (event, piece) in enumerate(zip(batch.events, pieces)):
            if i % every and i < len(pieces) - 1:
                continue
            alone = stream.Reader(cut=True).batch(piece)
            other = alone.events[0]
            if len(alone.events) != 1 or other.position != event.position or \
                    rows(other) != rows(event):
                raise Failed("%s is another when cut" % stream.text(event.position))
            if (alone.outcome is not None) != (batch.outcome is not None and
                                               i == len(pieces) - 1):
                raise Failed("outcome in the wrong piece")


def whole_rows(batches):
    """Former rows with old = 'full', and schemas in each batch."""
    for batch in batches:
        alone = stream.Reader(cut=True).batch(batch.raw)
        if [rows(e) for e in alone.events] != [rows(e) for e in batch.events]:
            raise Failed("a batch with its schemas says something else alone")
    return "%d former rows" % overlay.check(batches)


def json_form(lines, batches):
    """The server's JSON is what the specification makes of the batches."""
    ours = list(jsonform.lines(batches))
    for x, y in zip(lines, ours):
        if x != y:
            raise Failed("the server's line and the specification's:\n%s\n%s" % (x, y))
    if len(lines) != len(ours):
        raise Failed("%d lines, not %d" % (len(lines), len(ours)))
    return "%d lines" % len(ours)


def apply_and_compare(batches, databases, relkind="r", notes=()):
    """relkind: of the source's tables that are compared; notes: of the source after each of
    its transactions, if there are some"""
    replica, source = target.Target(databases[1]), target.connect(databases[0])
    try:
        noted = apply(batches, replica, notes)
        n, lines = compare.differences(source, replica, relkind)
        if lines:
            raise Failed("\n".join(lines))
        comparison_notices(source, replica, relkind)
    finally:                            # slots are not made while transactions are open
        replica.connection.close()
        source.close()
    ops = ", ".join("%d %s" % (count, pb.Op.Name(op)[3:])
                    for op, count in sorted(replica.counts.items()))
    kinds = ", ".join("%d %s" % (count, pb.SchemaChangeKind.Name(kind)[19:].lower())
                      for kind, count in sorted(replica.changes.items()))
    return "%d tables, %s%s%s" % (n - len(replica.tables.lost()), ops,
                                  " (%s)" % kinds if kinds else "", noted)


def apply(batches, replica, notes):
    replica.tables.told = batches[0].pb.source.schema_changes
    noted = Noted(notes, replica)
    for batch in batches:
        try:
            noted.begin(batch)
            replica.apply(batch)
            noted.end(batch)
        except (stream.Damaged, Failed) as e:
            raise Failed("%s\nin: %s\n%s" % (e, noted.what, "\n".join(
                "%.300s" % line for line in jsonform.lines([batch])))) from e
    noted.rest()
    return noted


def comparison_notices(source, replica, relkind):
    """A row too many, and one that is missing, must be noticed."""
    there = compare.tables(source, relkind)
    table = next((r for key, r in replica.tables.held.items()
                  if key in there and not r.lost and r.schema.columns), None)
    if table is None:
        return
    replica.run("INSERT INTO %s SELECT FROM generate_series(1, 1)" % table.name)
    if len(compare.differences(source, replica, relkind)[1]) == 0:
        raise Failed("the comparison does not notice a row")
    replica.connection.rollback()
    met = replica.run("DELETE FROM %s WHERE ctid = (SELECT min(ctid) FROM %s)" %
                      (table.name, table.name))
    if met and len(compare.differences(source, replica, relkind)[1]) == 0:
        raise Failed("the comparison does not notice a missing row")
    replica.connection.rollback()
