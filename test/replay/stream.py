"""Reads a stream as docs/protocol.md describes it: framing, batches, parts,
positions, schemas. Everything that the specification promises is checked."""

import collections
import hashlib

from cdc.v1 import cdc_pb2 as pb

VARINT, FIXED64, LEN, FIXED32 = 0, 1, 2, 5

# Changes of schemas after which no rows come.
GONE = (pb.SCHEMA_CHANGE_KIND_DROPPED, pb.SCHEMA_CHANGE_KIND_LEFT)


class Damaged(Exception):
    pass


def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Damaged("varint is cut or too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(data):
    """Yields (number, wire type, value, the field's bytes with its tag)."""
    at = 0
    while at < len(data):
        start = at
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = read_varint(data, at)
        elif wire in (FIXED64, FIXED32, LEN):
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            if size is None:
                size, at = read_varint(data, at)
            value = data[at:at + size]
            if len(value) != size:
                raise Damaged("field %d is cut" % number)
            at += size
        else:
            raise Damaged("wire type %d" % wire)
        yield number, wire, value, data[start:at]


def delimited(data):
    """The batches of a file of pg_recvlogical: each is preceded by its length
    and followed by a newline."""
    at = 0
    while at < len(data):
        size, at = read_varint(data, at)
        if size == 0x0A:
            raise Damaged("a batch of 10 bytes, whose length reads as a newline")
        if at + size > len(data):
            raise Damaged("the file is cut")
        yield data[at:at + size]
        at += size
        if data[at:at + 1] != b"\n":
            raise Damaged("no newline after a batch")
        at += 1


class Schema:
    def __init__(self, version, raw):
        digest = hashlib.sha256(version.table).digest()
        if int.from_bytes(digest[:8], "big") != version.fingerprint:
            raise Damaged("schema does not match its fingerprint")
        self.fingerprint = version.fingerprint
        self.raw = raw                  # the SchemaVersion, as a field of Batch
        self.bytes = version.table
        self.table = pb.Table.FromString(version.table)
        if self.table.SerializeToString(deterministic=True) != version.table:
            raise Damaged("serialization of Table is not deterministic")
        self.columns = {c.number: c for c in self.table.columns}
        numbers = [c.number for c in self.table.columns]
        if numbers != sorted(set(numbers)):
            raise Damaged("columns are not in attnum order")
        self.keys = [c.number for c in self.table.columns if c.key]


# position: (commit_lsn, lsn, index); raw: the bytes of the ChangeEvent
Event = collections.namedtuple("Event", "position pb schema raw")
# of a batch; outcome is None in all but the last part
Batch = collections.namedtuple("Batch", "pb events outcome raw")


def check_metadata(transaction):
    keys = [dict((n, v) for n, _, v, _ in fields(entry))[1]
            for number, _, entry, _ in fields(transaction) if number == 7]
    if keys != sorted(set(keys)):
        raise Damaged("metadata is not sorted")


class Reader:
    """State of one connection. cut: batches were cut along their events, so
    that parts and counts say nothing."""

    def __init__(self, cut=False):
        self.cut = cut
        self.schemas = {}
        self.source = None
        self.xid = None                 # of the transaction that is open
        self.part = 0
        self.count = 0
        self.last = (0, 0, 0)           # position
        self.parts = collections.Counter()

    def batch(self, data):
        batch = pb.Batch.FromString(data)
        if batch.HasField("source"):
            self.source = batch.source
        if self.source is None:
            raise Damaged("the first batch has no source")
        raw_events = []
        for number, wire, value, raw in fields(data):
            if number == 1:
                check_metadata(value)
            elif number == 6:
                self.add_schema(pb.SchemaVersion.FromString(value), raw)
            elif number == 7:
                raw_events.append(value)
        if batch.HasField("transaction"):
            outcome = self.transaction(batch)
        else:
            outcome = self.alone(batch)
        events = [self.event(batch, e, raw) for e, raw in zip(batch.events, raw_events)]
        return Batch(batch, events, outcome, data)

    def add_schema(self, version, raw):
        known = self.schemas.get(version.fingerprint)
        if known is None:
            self.schemas[version.fingerprint] = Schema(version, raw)
        elif known.bytes != version.table:
            raise Damaged("two schemas have one fingerprint")

    def transaction(self, batch):
        t = batch.transaction
        if not t.commit_lsn or not t.first_lsn or t.first_lsn > t.commit_lsn:
            raise Damaged("transaction %d lacks an LSN" % t.xid)
        if self.cut:
            return batch.outcome or None
        if self.xid is None:
            if batch.part != 0:
                raise Damaged("transaction %d begins with part %d" % (t.xid, batch.part))
            self.xid, self.part, self.count = t.xid, 0, 0
        elif (t.xid, batch.part) != (self.xid, self.part + 1):
            raise Damaged("part %d of %d after part %d of %d" %
                          (batch.part, t.xid, self.part, self.xid))
        self.part = batch.part
        self.count += len(batch.events)
        self.parts[t.xid] += 1
        if batch.outcome == pb.OUTCOME_OPEN:
            if batch.end_lsn or batch.event_count or not batch.events:
                raise Damaged("an open part has an end or no events")
            return None
        if batch.outcome != pb.OUTCOME_COMMITTED:
            raise Damaged("outcome %d" % batch.outcome)
        if batch.event_count != self.count:
            raise Damaged("transaction %d has %d events, not %d" %
                          (t.xid, self.count, batch.event_count))
        if batch.end_lsn <= t.commit_lsn:
            raise Damaged("end_lsn is not behind commit_lsn")
        self.xid = None
        return batch.outcome

    def alone(self, batch):
        if self.xid is not None:
            raise Damaged("a batch without transaction between the parts of one")
        if len(batch.events) != 1 or batch.events[0].op != pb.OP_MESSAGE or not batch.end_lsn:
            raise Damaged("a batch without transaction is no message")
        return None

    def event(self, batch, event, raw):
        t = batch.transaction
        lsn = t.first_lsn + event.lsn_offset
        position = (t.commit_lsn or lsn, lsn, event.index)
        if position <= self.last:
            raise Damaged("position %s after %s" % (text(position), text(self.last)))
        self.last = position
        if lsn > position[0]:
            raise Damaged("%s lies behind its commit" % text(position))
        if event.failure.sqlstate:
            raise Damaged("%s is a failure: %s" % (text(position), event.failure.message))
        if event.HasField("schema_change") != (event.op == pb.OP_SCHEMA):
            raise Damaged("%s is a change of a schema, or is not" % text(position))
        if event.op == pb.OP_SCHEMA:
            self.schema_change(event)
        gone = event.op == pb.OP_MESSAGE or event.schema_change.kind in GONE
        return Event(position, event, None if gone else self.known(event), raw)

    def known(self, event):
        schema = self.schemas.get(event.schema)
        if schema is None:
            raise Damaged("schema %016x did not come" % event.schema)
        return schema

    def schema_change(self, event):
        change = event.schema_change
        if not self.source.schema_changes:
            raise Damaged("changes of schemas are not sent")
        if change.kind not in pb.SchemaChangeKind.values() or not change.kind:
            raise Damaged("a change of kind %d" % change.kind)
        if not change.command_tag:
            raise Damaged("a change by no command")
        if event.key or event.new_key or event.old or event.new or event.nulls or \
                event.unavailable or event.rewrite_start:
            raise Damaged("a change of a schema with a row")
        self.former_name(event, change)

    def former_name(self, event, change):
        former = change.former_schema, change.former_name
        if any(former) and not all(former):
            raise Damaged("half of a former name")
        if change.kind in GONE:
            if not all(former) or event.schema:
                raise Damaged("what is gone has a schema, or no name")
            return
        table = self.known(event).table
        if any(former) and (change.kind != pb.SCHEMA_CHANGE_KIND_ALTERED or
                            former == (table.schema, table.name)):
            raise Damaged("%s has a former name" % table.name)


def text(position):
    def lsn(n):
        return "%X/%X" % (n >> 32, n & 0xFFFFFFFF)
    return "%s/%s/%d" % (lsn(position[0]), lsn(position[1]), position[2])


def read(data):
    """(the reader as it is afterwards, batches) of a file of pg_recvlogical"""
    reader = Reader()
    batches = [reader.batch(b) for b in delimited(data)]
    if reader.xid is not None:
        raise Damaged("the last transaction has no outcome")
    return reader, batches


def cut(reader, batch):
    """Cuts a batch along its events, by joining bytes."""
    spans = collections.defaultdict(list)
    for number, wire, value, raw in fields(batch.raw):
        spans[number].append(raw)
    source = b"".join(spans[9]) or b"\x4a" + varint(
        len(reader.source.SerializeToString())) + reader.source.SerializeToString()
    end = b"".join(spans[3] + spans[4] + spans[5])
    if not spans[7]:
        yield b"".join(spans[1]) + end + source
    for i, raw in enumerate(spans[7]):
        event = batch.events[i]
        schema = event.schema.raw if event.schema else b""
        yield (b"".join(spans[1]) + (end if i == len(spans[7]) - 1 else b"") +
               schema + raw + source)
