"""The roles, their sessions, and what each step does to the database and to the oracle."""

import bisect
import threading
import time

import psycopg2
import psycopg2.extensions

import search
from catalog import View
from oracle import Marker, Oracle, Rule
from tap import Failed

DDL_BOUND = 5.0                         # seconds
LOCK_TIMEOUT = 20                       # milliseconds
WRITERS = "ABSWM"

SETUP = """
CREATE EXTENSION cdc;
CREATE SCHEMA wtypes;
CREATE DOMAIN wtypes.dom AS text CHECK (length(VALUE) < 100000);
CREATE TYPE wtypes.comp AS (x text, y int);
GRANT USAGE ON SCHEMA wtypes TO PUBLIC;
GRANT USAGE ON SCHEMA cdc TO {owner}, {admin}, {helper}, {c1}, {c2}, {c3};
GRANT EXECUTE ON FUNCTION cdc.redact, cdc.redact_matching, cdc.unredact TO {admin};
GRANT EXECUTE ON FUNCTION cdc.grant_read, cdc.revoke_read TO {owner}, {helper};
GRANT EXECUTE ON FUNCTION cdc.fetch, cdc.snapshot, cdc.snapshot_chunks, cdc.fingerprint,
  cdc.table_schema, cdc.proto, cdc.decode, cdc.decode_json TO {c1}, {c2}, {c3};
GRANT CREATE ON DATABASE {database} TO {owner};
ALTER DATABASE {database} SET log_min_error_statement = panic;
ALTER ROLE {c1} SET log_min_messages = debug1;
ALTER ROLE {c2} SET log_min_messages = debug1;
ALTER ROLE {c3} SET log_min_messages = debug1;
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT ALL ON TABLES TO {writer};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE ON SCHEMAS TO {writer}, {admin}, {helper}, {c1}, {c2}, {c3};
SET ROLE {owner};
CREATE SCHEMA w0;
CREATE SCHEMA w1;
RESET ROLE;
CREATE PUBLICATION adversary FOR ALL TABLES WITH (publish_via_partition_root = true, publish = 'insert');
"""


class Violation(Failed):
    """A promise that was broken."""


class Session:
    """One connection of a role, with what its open transaction sees."""

    def __init__(self, name, database, user, role=None):
        self.name, self.role = name, role
        self.connection = psycopg2.connect(
            dbname=database, user=user, application_name="adversary " + name,
            options="-c lock_timeout=%d -c statement_timeout=30s -c client_min_messages=error" % LOCK_TIMEOUT)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.label = None               # of the open transaction
        self.begun = None               # the step in which it began
        self.savepoints = []            # (name, number of frames before it)
        self.view = None                # None: it has to be looked up
        self.away = None                # the thread that waits for its COMMIT

    def run(self, text, args=None):
        self.cursor.execute(text, args)

    def leave(self):
        def commit():
            try:
                self.run("COMMIT")
            except psycopg2.Error as e:
                self.failed = e

        self.failed = None
        self.away = threading.Thread(target=commit, daemon=True)
        self.away.start()


class World:
    """One database. Counters are shared with the one that it was restored from."""

    def __init__(self, database, seed, bound=DDL_BOUND, parent=None):
        self.database, self.seed, self.bound = database, seed, bound
        self.roles = {name: "adv%s_%s" % (seed, name)
                      for name in ("owner", "writer", "admin", "helper", "c1", "c2", "c3")}
        self.oracle = Oracle()
        self.parent = parent
        self.lsns, self.views, self.labels = [], [], []     # of each step
        self.last_marker = parent.last_marker if parent else 0
        self.last_id = parent.last_id if parent else 0
        self.last_txn = 0
        self.step = -1
        self.committed = None           # the view of what is committed
        self.rules = {}                 # by the name that the play gave it
        self.prepared = {}              # gid: label
        self.grants = []
        self.taken = []                 # (label, role or None for all, table): SELECT, not yet committed
        self.unarrived = []             # markers of open transactions, and those not looked for yet
        self.log = []                   # what was done
        self.errors = {}                # sqlstate: how often
        self.worst = (0, "")
        self.statements = 0
        self.slots = []

    # --- beginning and end

    def open(self):
        r = self.roles
        self.observer = Session("observer", self.database, None)
        self.sessions = {
            "A": Session("A", self.database, r["owner"]), "B": Session("B", self.database, r["owner"]),
            "S": Session("S", self.database, None, r["owner"]), "W": Session("W", self.database, r["writer"]),
            "M": Session("M", self.database, r["admin"]), "H": Session("H", self.database, r["helper"]),
            "L": Session("L", self.database, None, r["owner"])}
        self.observer.run("SHOW synchronous_standby_names")
        self.standby_away = self.observer.cursor.fetchone()[0] != ""
        self.mark_step(None)

    def setup(self):
        with psycopg2.connect(dbname="postgres") as c:
            cursor = c.cursor()
            for name, role in sorted(self.roles.items()):
                cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
                if not cursor.fetchall():
                    cursor.execute("CREATE ROLE %s LOGIN %s" % (role, "REPLICATION" if name == "c3" else ""))
        c.close()
        self.create()
        c = psycopg2.connect(dbname=self.database)
        c.autocommit = True
        c.cursor().execute(SETUP.format(database=self.database, **self.roles))
        c.close()
        self.open()

    def create(self):
        c = psycopg2.connect(dbname="postgres")
        c.autocommit = True
        cursor = c.cursor()
        cursor.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND database = %s", (self.database,))
        cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", (self.database,))
        cursor.execute("DROP DATABASE IF EXISTS %s WITH (FORCE)" % self.database)
        cursor.execute("CREATE DATABASE %s TEMPLATE template0" % self.database)
        c.close()

    def close(self):
        self.do_arrive(self.sessions["L"])
        for session in [self.observer, *self.sessions.values()]:
            session.connection.close()

    def drop(self):
        self.close()
        c = psycopg2.connect(dbname="postgres")
        c.autocommit = True
        cursor = c.cursor()
        cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (self.database,))
        gids = [gid for gid, in cursor.fetchall()]
        if gids:
            own = psycopg2.connect(dbname=self.database)
            own.autocommit = True
            for gid in gids:
                own.cursor().execute("ROLLBACK PREPARED '%s'" % gid)
            own.close()
        cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", (self.database,))
        cursor.execute("DROP DATABASE %s WITH (FORCE)" % self.database)
        c.close()

    # --- time

    def position(self):
        self.observer.run("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return int(self.observer.cursor.fetchone()[0])

    def mark_step(self, session):
        """What was written since the last step belongs to this one."""
        view = self.look(session)
        self.lsns.append(self.position())
        self.views.append(view)
        self.labels.append(session.label if session else None)

    def step_of(self, lsn):
        """The step in which the WAL record at a position was written."""
        return min(bisect.bisect_right(self.lsns, lsn), len(self.lsns) - 1)

    def look(self, session):
        if session is not None and session.label is not None:
            if session.view is None:
                session.view = View(session.cursor)
                self.oracle.follow(session.view, self.step + 1, session.label)
            return session.view
        if self.committed is None:
            self.committed = View(self.observer.cursor)
            self.oracle.follow(self.committed, self.step + 1, None)
            self.find_defaults(self.committed)
        return self.committed

    def find_defaults(self, view):
        for table in view.tables.values():
            for column in table.columns:
                for number in search.find(column.default):
                    if number in self.oracle.markers:
                        self.oracle.markers[number].homes.add((table.oid, column.number))

    def changed(self, session):
        """Something has been committed, or a session has changed what it sees."""
        if session.label is None:
            self.committed = None
            for other in self.sessions.values():
                other.view = None
        else:
            session.view = None

    def new_marker(self):
        self.last_marker += 1
        return self.last_marker

    def new_id(self):
        self.last_id += 1
        return self.last_id

    # --- steps

    def do(self, op):
        """Runs one operation; whether it did not fail. One that a former failure made
        impossible is left out."""
        session = self.sessions[op[1]]
        if session.away and op[0] != "arrive":
            return False
        if session.role is not None and not session.away:
            try:
                session.run("RESET ROLE" if op[0] in ("redact", "redact_matching", "unredact", "confirm", "admin")
                            else "SET ROLE " + session.role)
            except psycopg2.Error:
                pass
        begin = time.monotonic()
        self.statements += 1
        self.log.append((self.step + 1, op, ""))
        try:
            getattr(self, "do_" + op[0])(session, *op[2:])
            failed = None
        except psycopg2.Error as e:
            failed = e
            self.errors[e.pgcode] = self.errors.get(e.pgcode, 0) + 1
            self.log[-1] = self.step + 1, op, "ERROR " + str(e).split("\n")[0]
            if e.pgcode in (None, "XX000", "57P01", "57P02", "57014") or e.pgcode.startswith("XX"):
                raise Violation("a statement failed with %s: %s" % (e.pgcode, e)) from e
            self.after_error(session)
        took = time.monotonic() - begin
        if took > self.worst[0]:
            self.worst = took, "%s %s" % (op[0], op[2:3])
        if took > self.bound:
            raise Violation("a statement took %.1f s, with a lock_timeout of %d ms" % (took, LOCK_TIMEOUT))
        self.mark_step(session)
        self.step = len(self.lsns) - 1
        return failed is None

    def after_error(self, session):
        if session.label is None:
            return
        if session.savepoints:
            name, depth = session.savepoints[-1]
            session.run("ROLLBACK TO " + name)
            self.oracle.rollback_to(session.label, depth)
            self.oracle.savepoint_again(session.label)
            session.view = None
        else:
            self.do_rollback(session)

    def do_sql(self, session, text):
        session.run(text)
        self.changed(session)

    do_admin = do_sql

    def do_plain(self, session, text):
        """What changes no table's or column's place."""
        session.run(text)

    def do_default(self, session, text, number):
        """A column with a marker as its default."""
        self.oracle.markers[number] = Marker(number, [], None, self.step + 1, session.label, False, False)
        session.run(text)
        self.changed(session)

    def do_dml(self, session, text, rows):
        """rows: for each row that RETURNING tableoid gives, [(marker, column, path)]"""
        view = self.look(session)
        session.run(text)
        for (oid,), written in zip(session.cursor.fetchall(), rows):
            table = view.tables.get(oid)
            for number, name, path in written:
                column = table and table.by_name.get(name)
                if column is not None:
                    self.wrote(session, Marker(number, [(oid, column.number)], path, self.step + 1,
                                               session.label, True, not text.startswith("UPDATE")))

    def do_create_as(self, session, text, schema, name, written):
        """A table that is made with rows. written: [(marker, column, path)]"""
        session.run(text)
        self.changed(session)
        table = self.look(session).table(schema, name)
        for number, column, path in written:
            if table is not None and column in table.by_name:
                home = table.oid, table.by_name[column].number
                self.wrote(session, Marker(number, [home], path, self.step + 1, session.label, True, True))

    def wrote(self, session, marker):
        self.oracle.markers[marker.number] = marker
        self.unarrived.append(marker)
        marker.begun = session.begun if session.label else marker.step
        if session.label is None:
            marker.commit = self.step + 1

        def forget():
            marker.arrives = False
        self.oracle.undo(session.label, forget)

    def do_begin(self, session):
        if session.label is None:
            session.run("BEGIN")
            session.begun = self.step + 1
            self.last_txn += 1
            session.label = "%s%d" % (session.name, self.last_txn)
            session.savepoints = []
            session.view = None
            self.oracle.begin(session.label)

    def do_commit(self, session):
        if session.label is not None:
            session.run("COMMIT")
            self.committed_now(session.label)
            session.label = None
            self.changed(session)

    def written(self, label):
        """The commit is in the WAL."""
        for marker in self.unarrived:
            if marker.session == label and marker.arrives and marker.commit is None:
                marker.commit = self.step + 1

    def committed_now(self, label):
        self.written(label)
        self.taken = [entry for entry in self.taken if entry[0] != label]
        self.oracle.commit(label, self.step + 1)
        for grant in self.grants:
            if grant.label == label:
                grant.label = None

    def do_leave(self, session):
        """COMMIT where a synchronous standby is away: it is in the WAL, and decoded, and
        nobody else can see it until it arrives."""
        if session.label is None:
            return
        self.look(session)
        session.run("SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = 0")
        pid = session.connection.get_backend_pid()
        self.oracle.ends(session.label, self.step + 1)
        session.leave()
        while session.away.is_alive():
            self.observer.run("SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'", (pid,))
            if self.observer.cursor.fetchall():
                self.written(session.label)
                return
            time.sleep(0.001)
        self.do_arrive(session)

    def do_arrive(self, session):
        if session.away is None:
            return
        deadline = time.monotonic() + self.bound
        while session.away.is_alive():
            self.observer.run("SELECT pg_cancel_backend(%s)", (session.connection.get_backend_pid(),))
            session.away.join(0.1)
            if time.monotonic() > deadline:
                raise Violation("a COMMIT does not end")
        session.away = None
        if session.failed is not None:
            raise session.failed
        self.committed_now(session.label)
        session.label = None
        self.changed(session)

    def do_rollback(self, session):
        if session.label is not None:
            session.run("ROLLBACK")
            self.oracle.rollback(session.label)
            session.label = None
            self.changed(session)

    def do_savepoint(self, session, name):
        if session.label is not None:
            session.run("SAVEPOINT " + name)
            session.savepoints.append((name, self.oracle.depth(session.label)))
            self.oracle.savepoint(session.label)

    def do_rollback_to(self, session, name):
        names = [n for n, _ in session.savepoints]
        if session.label is not None and name in names:
            at = len(names) - 1 - names[::-1].index(name)
            session.run("ROLLBACK TO " + name)
            self.oracle.rollback_to(session.label, session.savepoints[at][1])
            self.oracle.savepoint_again(session.label)
            del session.savepoints[at + 1:]
            session.view = None

    def do_release(self, session, name):
        names = [n for n, _ in session.savepoints]
        if session.label is not None and name in names:
            at = len(names) - 1 - names[::-1].index(name)
            session.run("RELEASE " + name)
            self.oracle.release(session.label, session.savepoints[at][1])
            del session.savepoints[at:]

    def do_prepare(self, session, gid):
        if session.label is not None:
            try:
                session.run("PREPARE TRANSACTION '%s'" % gid)
            except psycopg2.Error:
                self.oracle.rollback(session.label)
                session.label = None
                self.changed(session)
                raise
            self.prepared[gid] = session.label
            session.label = None
            self.changed(session)

    def do_finish(self, session, gid, how):
        if gid in self.prepared and session.label is None:
            session.run("%s PREPARED '%s'" % (how, gid))
            label = self.prepared.pop(gid)
            if how == "COMMIT":
                self.committed_now(label)
            else:
                self.oracle.rollback(label)
            self.changed(session)

    # --- rules

    def do_redact(self, session, key, schema, name, column, arguments, path):
        table = self.look(session).table(schema, name)
        session.run("SELECT cdc.redact('%s.%s', '%s', %s%s, force => true)" % (
            schema, name, column, arguments, ", path => '%s'" % path if path else ""))
        number = session.cursor.fetchone()[0]
        # it may have waited for a lock, and seen what was committed meanwhile
        home = table.oid, table.by_name[column].number
        rule = Rule(number, self.step + 1, "%s.%s.%s %s" % (schema, name, column, path or ""),
                    target=home, path=path)
        self.rules[key] = rule
        self.oracle.redact(rule, session.label, self.look(session))

    def do_redact_matching(self, session, key, pattern, arguments):
        session.run("SELECT cdc.redact_matching(%%s, %s)" % arguments, (pattern,))
        rule = Rule(session.cursor.fetchone()[0], self.step + 1, pattern, pattern=pattern)
        self.rules[key] = rule
        self.oracle.redact(rule, session.label, self.look(session))

    def do_unredact(self, session, key):
        rule = self.rules.get(key)
        if rule is not None and not rule.dead and rule.removed is None:
            session.run("SELECT cdc.unredact(%s)", (rule.number,))
            self.oracle.unredact(rule, session.label, self.step + 1)

    def do_confirm(self, session, key):
        rule = self.rules.get(key)
        if rule is not None and not rule.dead and rule.removed is None and session.label is None:
            session.run("SELECT cdc.confirm_rule(%s)", (rule.number,))
            if rule.committed is not None:
                rule.restored = False

    # --- grants

    def do_grant(self, session, role, schema, name, columns):
        table = self.look(session).table(schema, name)
        session.run("SELECT cdc.grant_read('%s.%s', '%s'%s)" % (
            schema, name, self.roles[role],
            ", columns => '{%s}'" % ",".join(columns) if columns else ""))
        if table is not None:
            numbers = [table.by_name[c].number for c in columns or () if c in table.by_name]
            grant = Grant(role, table.oid, numbers if columns else None, session.name, session.label)
            self.grants.append(grant)
            self.oracle.undo(session.label, lambda: self.grants.remove(grant))

    def do_revoke(self, session, role, schema, name):
        """What it takes counts from now on, committed or not."""
        table = self.look(session).table(schema, name)
        session.run("SELECT cdc.revoke_read('%s.%s', '%s')" % (schema, name, self.roles[role]))
        for grant in self.grants:
            if (grant.role, grant.oid) == (role, table.oid):
                before = grant.gone

                def back(grant=grant, before=before):
                    grant.gone = before
                self.oracle.undo(session.label, back)
                # the owner takes all back; who was given the right its own
                grant.gone = grant.gone or ("surely" if session.name != "H" or grant.giver == "H" else "perhaps")

    def do_privilege(self, session, text, role, oid):
        """GRANT or REVOKE of SELECT."""
        session.run(text)
        if text.startswith("REVOKE"):
            self.take(session, role, oid)
        else:
            self.taken = [entry for entry in self.taken if entry != (session.label, role, oid)]

    def do_secure(self, session, text, oid):
        """Row security of a table."""
        session.run(text)
        if "ENABLE" in text:
            self.take(session, None, oid)

    def take(self, session, role, oid):
        """From whom a table is withheld although others do not see why: what takes a
        right away counts from the moment that it is written."""
        entry = session.label, role, oid
        if session.label is not None and entry not in self.taken:
            self.taken.append(entry)
            self.oracle.undo(session.label, lambda: self.taken.remove(entry) if entry in self.taken else None)


class Grant:
    def __init__(self, role, oid, numbers, giver, label):
        self.role, self.oid, self.numbers, self.giver, self.label = role, oid, numbers, giver, label
        self.gone = None
        self.name = None                # of one that a restore has brought
