"""What was noted of the source after each of its transactions, without a look at the stream,
and what was done to its types, of which a stream says nothing: the target does the same at
the same place."""

import collections

import compare
import target
from tap import Failed

# xid: None where a command that ran by itself has none that is known; types: (LSN, statement),
# what: for messages
Note = collections.namedtuple("Note", "xid state types what")


class Source:
    """Looks at the source whenever a transaction has ended."""

    def __init__(self, database):
        self.connection = target.connect(database)
        self.connection.cursor().execute("SET lock_timeout = 3")
        self.connection.commit()
        self.notes = []

    def committed(self, xid, types, what):
        self.notes.append(Note(xid, compare.state(self.connection), types, what))

    def close(self):
        self.connection.close()
        return self.notes


class Noted:
    """Follows the notes while the stream is applied."""

    def __init__(self, notes, replica):
        self.notes = collections.deque(notes)
        self.replica = replica
        self.known = {note.xid for note in notes if note.xid is not None}
        self.types = collections.deque()
        self.compared = 0
        self.what = "what was not noted"
        replica.before = self.before

    def begin(self, batch):
        """Transactions of which the stream has nothing have changed nothing."""
        if not self.notes or batch.pb.part or not batch.pb.transaction.xid:
            return
        xid = batch.pb.transaction.xid
        if xid not in self.known:
            if any(event.schema for event in batch.events):
                raise Failed("transaction %d was not noted, or ended before" % xid)
            return
        while self.notes[0].xid != xid:
            self.done(self.notes.popleft())
        self.types.extend(self.notes[0].types)
        self.what = self.notes[0].what

    def before(self, event):
        """Statements that stand before an event."""
        while self.types and event.position[1] >= self.types[0][0]:
            self.replica.flush()
            self.replica.run(self.types.popleft()[1])

    def end(self, batch):
        if batch.outcome is None or not self.notes or \
                batch.pb.transaction.xid != self.notes[0].xid:
            return
        note = self.notes.popleft()
        self.done(note._replace(types=list(self.types)))
        self.types.clear()

    def done(self, note):
        if note.xid is not None:
            self.known.discard(note.xid)
        for _, statement in note.types:
            self.replica.run(statement)
        lines = compare.different_states(note.state, self.replica)
        self.replica.connection.commit()
        self.compared += 1
        if lines:
            raise Failed("after transaction %s\n%s" % (note.xid, "\n".join(lines)))

    def rest(self):
        while self.notes:
            self.what = self.notes[0].what
            self.done(self.notes.popleft())

    def __str__(self):
        return ", compared after %d transactions" % self.compared if self.compared else ""
