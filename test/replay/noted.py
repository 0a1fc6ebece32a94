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


# Tables with columns of a type, or of one that is made of it.
USERS = """
WITH RECURSIVE made(part, whole) AS MATERIALIZED (
  SELECT typelem, oid FROM pg_type WHERE typtype = 'b' AND oid >= 16384 UNION ALL
  SELECT typbasetype, oid FROM pg_type WHERE typtype = 'd' AND oid >= 16384 UNION ALL
  SELECT a.atttypid, p.oid FROM pg_type p JOIN pg_attribute a ON a.attrelid = p.typrelid
  WHERE p.oid >= 16384 AND p.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
types(oid) AS (
  SELECT %s::regtype::oid UNION SELECT m.whole FROM types t JOIN made m ON m.part = t.oid)
SELECT DISTINCT n.nspname, c.relname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM types)
"""


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
        self.untold = set()             # tables of which a value may read otherwise
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
            self.alter_type(self.types.popleft()[1])
        change = event.pb.schema_change
        if event.schema is not None and change.kind:
            self.untold.discard((event.schema.table.schema, event.schema.table.name))
        self.untold.discard((change.former_schema, change.former_name))

    def alter_type(self, statement):
        if statement.startswith(("ALTER TYPE", "ALTER DOMAIN")):
            cursor = self.replica.connection.cursor()
            cursor.execute(USERS, (statement.split()[2],))
            self.untold.update(cursor)
        self.replica.run(statement)

    def end(self, batch):
        if batch.outcome is None or not self.notes or \
                batch.pb.transaction.xid != self.notes[0].xid:
            return
        note = self.notes.popleft()
        self.done(note._replace(types=list(self.types)))
        self.types.clear()

    def done(self, note):
        self.what = note.what
        if note.xid is not None:
            self.known.discard(note.xid)
        for _, statement in note.types:
            self.alter_type(statement)
        untold, self.untold = self.untold, set()
        if untold:
            raise Failed("nothing tells that values of %s may read otherwise" % sorted(untold))
        lines = compare.different_states(note.state, self.replica)
        self.replica.connection.commit()
        self.compared += 1
        if lines:
            raise Failed("after transaction %s\n%s" % (note.xid, "\n".join(lines)))

    def rest(self):
        while self.notes:
            self.done(self.notes.popleft())

    def __str__(self):
        return ", compared after %d transactions" % self.compared if self.compared else ""
