"""Dead letters as the clients write them (docs/clients.md): a batch with one event alone
and everything that is needed to read it, with its length in front."""

from cdc.v1 import cdc_pb2 as pb
from stream import fields, varint

TRANSACTION, END_LSN, SCHEMAS, EVENTS, SOURCE, SNAPSHOT = 1, 4, 6, 7, 9, 13
KEPT = (TRANSACTION, END_LSN, SNAPSHOT)


def frame(batch):
    return varint(len(batch)) + batch


class Letters:
    """Of one connection: what came before says what a batch leaves out."""

    def __init__(self):
        self.source, self.schemas = b"", {}

    def of_batch(self, data):
        """(the letter, the event) for each event of a batch."""
        kept, events = b"", []
        for number, _, value, raw in fields(data):
            if number in KEPT:
                kept += raw
            elif number == SOURCE:
                self.source = raw
            elif number == SCHEMAS:
                self.schemas[pb.SchemaVersion.FromString(value).fingerprint] = raw
            elif number == EVENTS:
                events.append((value, raw))
        for value, raw in events:
            schema = self.schemas.get(pb.ChangeEvent.FromString(value).schema, b"")
            yield frame(kept + self.source + schema + raw), value
