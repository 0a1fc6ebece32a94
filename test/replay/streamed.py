"""Reads a stream with transactions in progress and prepared ones, and puts together
what is left of each when its outcome is known."""

import collections

from cdc.v1 import cdc_pb2 as pb
from stream import Damaged, Schema, delimited, fields

# An event without subxid, which only streamed transactions have.
Event = collections.namedtuple("Event", "position raw")
# metadata as the outcome's batch has it
Transaction = collections.namedtuple("Transaction", "xid events metadata outcome")


class Open:
    """A transaction without an outcome yet."""

    def __init__(self):
        self.part = -1
        self.count = 0
        self.events = []                # (subxid, lsn, index, bytes)


def without_subxid(raw):
    """(the event's subxid or None, its bytes without it)"""
    found = [value for number, _, value, _ in fields(raw) if number == 10]
    rest = b"".join(span for number, _, _, span in fields(raw) if number != 10)
    return (found[0] if found else None), rest


class Reader:
    def __init__(self):
        self.open = {}
        self.prepared = {}              # by gid
        self.prepared_before = set()    # of these, on other connections
        self.schemas = {}
        self.streamed = 0               # transactions that came before their commit
        self.two_phase = 0              # that came when they were prepared
        self.void = 0                   # events that were rolled back

    def connect(self):
        """What was prepared stays, but may be sent again, as all else is that was not confirmed."""
        self.open = {}
        self.schemas = {}
        self.prepared_before = set(self.prepared)

    def batch(self, data):
        """The transaction that ends with this batch, if one does."""
        batch = pb.Batch.FromString(data)
        for number, _, value, raw in fields(data):
            if number == 6:
                version = pb.SchemaVersion.FromString(value)
                self.schemas[version.fingerprint] = Schema(version, raw)
        if not batch.HasField("transaction"):
            return self.alone(batch, data)
        t = batch.transaction
        txn = self.open.setdefault(t.xid, Open())
        if batch.part == 0:
            txn.__init__()
        if batch.part != txn.part + 1:
            raise Damaged("part %d of %d after part %d" % (batch.part, t.xid, txn.part))
        txn.part = batch.part
        if batch.rolled_back_xids:
            if batch.events:
                raise Damaged("a batch that rolls back has events")
            before = len(txn.events)
            txn.events = [e for e in txn.events if e[0] not in batch.rolled_back_xids]
            self.void += before - len(txn.events)
        for event, raw in zip(batch.events, self.raw_events(data)):
            if event.schema and event.schema not in self.schemas:
                raise Damaged("schema %016x did not come" % event.schema)
            subxid, raw = without_subxid(raw)
            if (subxid is None) != bool(t.commit_lsn or t.prepare_lsn):
                raise Damaged("subxid %s in an event of transaction %d" % (subxid, t.xid))
            txn.events.append((subxid, t.first_lsn + event.lsn_offset, event.index, raw))
        txn.count += len(batch.events)
        if batch.outcome == pb.OUTCOME_OPEN:
            if t.metadata and not (t.commit_lsn or t.prepare_lsn):
                raise Damaged("metadata before the outcome")
            return None
        return self.end(batch, t, self.open.pop(t.xid))

    def end(self, batch, t, txn):
        if batch.event_count != txn.count:
            raise Damaged("transaction %d has %d events, not %d" %
                          (t.xid, txn.count, batch.event_count))
        self.streamed += any(subxid is not None for subxid, *_ in txn.events)
        if batch.outcome == pb.OUTCOME_PREPARED:
            if t.commit_lsn or not t.prepare_lsn or not t.gid or t.gid in self.prepared.keys() - self.prepared_before:
                raise Damaged("a prepared transaction with gid %r" % t.gid)
            self.prepared_before.discard(t.gid)
            self.prepared[t.gid] = t.xid, txn, dict(t.metadata)
            self.two_phase += 1
            return None
        metadata = dict(t.metadata)
        if t.gid:
            # of one that nothing was sent of, or that was prepared before, is the end alone
            if txn.events or metadata:
                raise Damaged("the end of prepared transaction %r has events" % t.gid)
            if self.came_before(t):
                return None
            xid, txn, metadata = self.prepared.pop(t.gid, (t.xid, txn, metadata))
            if xid != t.xid:
                raise Damaged("transaction %d prepared as %r ends as %d" % (xid, t.gid, t.xid))
        if batch.outcome == pb.OUTCOME_ROLLED_BACK:
            if t.metadata:
                raise Damaged("metadata of transaction %d, which was rolled back" % t.xid)
            self.void += len(txn.events)
            return None
        events = [Event((t.commit_lsn, lsn, index), raw) for _, lsn, index, raw in txn.events]
        return Transaction(t.xid, events, metadata, batch.outcome)

    def came_before(self, t):
        """The end of one whose gid another one has had since, on the connection before."""
        xid, *_ = self.prepared.get(t.gid, (t.xid,))
        return xid != t.xid and t.gid in self.prepared_before

    def alone(self, batch, data):
        event, raw = batch.events[0], self.raw_events(data)[0]
        return Transaction(None, [Event((event.lsn_offset, event.lsn_offset, event.index), raw)],
                           {}, None)

    @staticmethod
    def raw_events(data):
        return [value for number, _, value, _ in fields(data) if number == 7]


def read(*paths):
    """(the reader as it is afterwards, transactions in the order of their ends)
    of files, one of each connection: what was not confirmed comes again"""
    reader, ended = Reader(), []
    for path in paths:
        reader.connect()
        with open(path, "rb") as f:
            came = [reader.batch(data) for data in delimited(f.read())]
        last = ended[-1].events[0].position if ended else (0,)
        ended += [t for t in came if t is not None and t.events and t.events[0].position > last]
    return reader, ended
