"""Reads by every way that leads out of the server, and holds what comes against the oracle."""

import re
import select
import time

import psycopg2
import psycopg2.extras

import search
from letters import Letters
from cdc.v1 import cdc_pb2 as pb
from oracle import MAY, MUST, NO
from stream import fields, read_varint
from world import Violation

DECODE = {
    "decode_json": "SELECT j::text FROM cdc.decode_json(%s) j",
    "decode": "SELECT format('\"position\":\"%%s\" %%s', d.\"position\", d) FROM cdc.decode(%s) d"}
PATIENCE = 20                           # seconds that a slot may stand still
POSITION = re.compile(rb'"position":"([0-9A-F]+)/([0-9A-F]+)/([0-9A-F]+)/([0-9A-F]+)/')
ROOTS = "adversary"                     # a publication of INSERT, partitions under their root
CONSUMERS = ("c1", "c2", "c3")           # the last has REPLICATION
SELECTIONS = {"c2": ("publication_names", ROOTS)}
LANGUAGES = ("sql", "go", "rust")
STREAMED = "-c logical_decoding_work_mem=64kB"
AS_TEXT = ("redaction_rules", "redaction_audit", "redaction_rule", "redaction_name", "redaction_column", "schema_versions", "schema_detail",
           "schema_audit", "registered_table", "readers", "slots", "read_grant", "slot_option")


def batches(data):
    at = 0
    while at < len(data):
        size, at = read_varint(data, at)
        yield data[at:at + size]
        at += size
        if data[at:at + 1] == b"\n":
            at += 1


def of_batch(data):
    """[(numbers of markers, LSN of the change, of the commit or None)] of a batch"""
    found = search.find(data)
    if not found:
        return []
    out, events, rest, transaction = [], [], b"", pb.Transaction()
    for number, _, value, raw in fields(data):
        if number == 1:
            transaction = pb.Transaction.FromString(value)
        if number == 7:
            events.append(value)
        else:
            rest += raw
    lsn = transaction.first_lsn
    for raw in events:
        here = search.find(raw)
        event = pb.ChangeEvent.FromString(raw)
        lsn = transaction.first_lsn + event.lsn_offset
        if here:
            out.append((here, lsn, transaction.commit_lsn or None, pb.Op.Name(event.op)))
    here = search.find(rest)
    if here:
        out.append((here, lsn, transaction.commit_lsn or None, "beside the events"))
    # cut over two fields, or in whatever is no field: nothing may hide
    seen = set().union(*[o[0] for o in out]) if out else set()
    if found - seen:
        out.append((found - seen, lsn, transaction.commit_lsn or None, "across fields"))
    return out


def of_line(line):
    """The same of a line of JSON."""
    found = search.find(line)
    if not found:
        return []
    position = POSITION.search(line)
    if position is None:
        raise Violation("a line without a position has a marker: %r" % line[:500])
    commit, lsn = ((int(position.group(i), 16) << 32) + int(position.group(i + 1), 16) for i in (1, 3))
    return [(found, lsn, commit, "JSON")]


def text(lsn):
    return "%X/%X" % (lsn >> 32, lsn & 0xFFFFFFFF)


class Readers:
    def __init__(self, world, rng, log=None, consumers=CONSUMERS):
        self.world, self.rng = world, rng
        self.name = "adversary reader %s %s" % (world.seed, world.database)
        self.connection = self.connect(None)
        self.cursor = self.connection.cursor()
        self.consumers = {}
        self.slots = {}
        self.seen = {}                  # slot: markers, of transactions that are streamed
        self.confirmed = {}
        self.rooted = {}                # the last step in which a slot was read as the publication says
        self.log, self.log_at = log, 0
        self.rounds = 0
        self.counts = {"must": 0, "may": 0, "no": 0, "arrived": 0, "failures": 0, "errors": {}}
        prefix = world.database + "_"
        # a server has not more slots than are needed, and there are two seeds at a time
        self.kinds = ["pb", "json", "streamed", "peek"] if consumers == CONSUMERS else ["pb", "peek"]
        for kind in self.kinds:
            self.create_slot(prefix + kind, kind, two_phase=kind == "streamed")
        for name in consumers:
            reader = None if name == "c3" else world.roles[name]
            self.create_slot(prefix + name, name, reader=reader, options=SELECTIONS.get(name, ()))
            self.consumers[name] = self.connect(world.roles[name])

    def connect(self, user, options="", **more):
        connection = psycopg2.connect(
            dbname=self.world.database, user=user, application_name=self.name,
            options="-c lock_timeout=50 -c statement_timeout=%ds -c client_min_messages=error %s %s" % (
                PATIENCE, "" if user else "-c log_min_messages=debug1", options), **more)
        if not more:
            connection.autocommit = True
        return connection

    def create_slot(self, slot, kind, two_phase=False, reader=None, options=()):
        copied = self.slots.get("pb")
        if copied and not two_phase:
            self.cursor.execute("SELECT cdc.copy_slot(%s, %s)", (copied, slot))
            self.cursor.execute("SELECT cdc.alter_slot(%s, %s::text[], %s)", (slot, list(options), reader))
        else:
            self.make_slot(slot, two_phase)
        if options:
            self.rooted[kind] = float("inf")
        self.slots[kind] = slot
        self.seen[kind] = set()

    def make_slot(self, slot, two_phase):
        # waits until transactions of other seeds have ended
        self.cursor.execute("SET lock_timeout = 0; SET statement_timeout = '10min'")
        self.cursor.execute("SELECT cdc.create_slot(%s, two_phase => %s)", (slot, two_phase))
        self.cursor.execute("RESET lock_timeout; RESET statement_timeout")

    def close(self):
        for slot in self.slots.values():
            self.cursor.execute("SELECT cdc.drop_slot(%s, true)", (slot,))
        for connection in [self.connection, *self.consumers.values()]:
            connection.close()

    # --- verdicts

    def violation(self, number, rule, where, step, commit, more=""):
        world, marker = self.world, self.world.oracle.markers[number]
        lines = ["%s is in %s%s" % (search.marker(number), where, more),
                 "it was written in step %d; the change is of step %s, committed in %s, read in %d" % (
                     marker.step, step, commit, world.step)]
        for home in sorted(marker.homes):
            lines.append("its column: relation %d, number %d, now %s, in that step %s; all its places: %s" % (
                *home, world.committed.place(home), world.views[step].place(home),
                sorted(world.oracle.places[home])))
        if rule is not None:
            lines.append("protected by " + str(rule))
            lines += ["  since step %s; the rule's names: %s" % (
                [rule.joined.get(h) for h in sorted(marker.homes)], sorted(rule.names))]
        raise Violation("\n".join(lines + self.recorded(marker)))

    def recorded(self, marker):
        """What the extension's own tables say of a marker's columns: for who reads the
        message, the oracle does not use it."""
        lines = []
        for home in sorted(marker.homes):
            for query, args in (
                    ("SELECT to_jsonb(t)::text FROM cdc.redaction_column t WHERE (relation, attnum) = (%s, %s)", home),
                    ("SELECT to_jsonb(t)::text FROM cdc.redaction_name t WHERE (schema_name, table_name, column_name) IN %s",
                     (tuple(sorted(self.world.oracle.places[home])) or (("", "", ""),),)),
                    ("SELECT to_jsonb(t)::text FROM cdc.read_grant t WHERE to_jsonb(t)->>'relation' IN (%s, %s::regclass::text)",
                     (str(home[0]), home[0]))):
                try:
                    self.cursor.execute(query, args)
                    lines += ["recorded: " + row for row, in self.cursor.fetchall()]
                except psycopg2.Error:
                    pass
        try:
            self.cursor.execute("SELECT to_jsonb(t)::text FROM cdc.redaction_rule t")
            lines += ["recorded: " + row for row, in self.cursor.fetchall()]
        except psycopg2.Error:
            pass
        return lines

    def met(self, where, found, consumer=None):
        """found: as of_batch() gives it, or None for the LSNs of what is as of now."""
        world, numbers = self.world, set()
        for here, lsn, commit_lsn, what in found:
            step = world.step if lsn is None else world.step_of(lsn)
            commit = world.step if lsn is None else commit_lsn and world.step_of(commit_lsn)
            for number in sorted(here):
                numbers.add(number)
                if number not in world.oracle.markers:
                    continue
                level, rule = world.oracle.verdict(number, step, commit, world.views[step], world.labels[step])
                if level == MUST:
                    self.violation(number, rule, where, step, commit, " (%s%s)" % (
                        what, " at " + text(lsn) if lsn else ""))
                if consumer is not None and self.shown(consumer, number, world.views[step]) == NO:
                    self.violation(number, None, where, step, commit, " (%s), which was not granted to %s%s" % (
                        what, consumer, self.grants_of(number)))
        return numbers

    def grants_of(self, number):
        homes = self.world.oracle.markers[number].homes
        return "".join("\ngrant to %s on %s%s by %s%s" % (
            g.role, g.oid, g.numbers or "", g.giver, ", taken back" if g.gone else "")
            for g in self.world.grants if any(g.oid == h[0] for h in homes))

    def look_at_privileges(self):
        """What each consumer may SELECT as of now, and what is given by whom may give."""
        world, self.selects, self.whole, self.allowed = self.world, {}, {}, {}
        self.cursor.execute("SELECT oid::bigint FROM pg_class WHERE relrowsecurity")
        secured = {oid for oid, in self.cursor.fetchall()}
        for name in self.consumers:
            self.cursor.execute(
                "SELECT a.attrelid::bigint, a.attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN "
                "pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ~ '^w[0-9]' AND a.attnum > 0 AND c.relkind "
                "IN ('r', 'p') AND (has_table_privilege(%s, c.oid, 'SELECT') OR NOT a.attisdropped AND "
                "has_column_privilege(%s, c.oid, a.attnum, 'SELECT'))", (self.world.roles[name],) * 2)
            # row security applies to all of them, and what is taken counts before it is committed
            kept = secured | {oid for _, role, oid in world.taken if role in (None, name)}
            self.selects[name] = {(oid, number) for oid, number in self.cursor.fetchall() if oid not in kept}
            self.cursor.execute("SELECT c.oid::bigint FROM pg_class c WHERE has_table_privilege(%s, c.oid, 'SELECT')",
                                (self.world.roles[name],))
            self.whole[name] = {oid for oid, in self.cursor.fetchall()} - kept
        self.cursor.execute("SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                            "n.nspname ~ '^w[0-9]' AND c.relkind IN ('r', 'p') AND has_table_privilege(%s, c.oid, "
                            "'SELECT WITH GRANT OPTION')", (self.world.roles["helper"],))
        self.helped = {oid for oid, in self.cursor.fetchall()} - secured - {
            oid for _, role, oid in world.taken if role in (None, "helper")}

    def shown_column(self, consumer, home, then):
        """then: what the catalogs were as of the change."""
        view = self.world.committed
        if home[0] not in view.tables:
            # what waits of a dropped table is sent to whom it was granted
            tables = {above[0] for above in self.world.oracle.lineage(home)}
            return MAY if any(g.role == consumer and g.oid in tables and g.gone != "surely"
                              for g in self.world.grants) else NO
        if home in self.selects[consumer]:
            return MUST
        if home[0] in self.whole[consumer]:
            return MAY                  # a column of a transaction that nobody sees yet
        ancestors = view.roots(home[0])
        # what was given of what it was a partition of counts for what was written then
        former = then.roots(home[0]) if then is not None and home[0] in then.tables else ()
        best = MAY if any(g.role == consumer and g.oid in former and g.gone != "surely"
                          for g in self.world.grants) else NO
        if any(oid in ancestors for oid, _ in self.selects[consumer]):
            best = MAY
        names = self.world.oracle.tables
        if any(g.role == consumer and g.name in names[oid] for g in self.world.grants for oid in {home[0], *ancestors}
               if g.oid is None and g.gone != "surely"):
            best = MAY                  # it has come by names, before the table
        for grant in self.world.grants:
            if grant.role != consumer or grant.oid != home[0] and grant.oid not in ancestors:
                continue
            if grant.label is not None:
                continue                # from the first that is read after it is committed
            if grant.gone == "surely" or grant.numbers is not None and grant.oid == home[0] and home[1] not in grant.numbers:
                continue
            if grant.giver == "H" and grant.oid not in self.helped:
                continue
            sure = grant.gone is None and grant.giver != "H" and grant.oid == home[0]
            best = max(best, MUST if sure else MAY)
        return best

    def shown_again(self, consumer, home, then):
        key = (consumer, home, id(then))
        if key not in self.allowed:
            self.allowed[key] = self.shown_column(consumer, home, then)
        return self.allowed[key]

    def shown(self, consumer, number, then=None):
        return max((self.shown_again(consumer, h, then) for h in self.world.oracle.markers[number].homes), default=MAY)

    def calm(self):
        return not self.world.prepared and all(s.label is None for s in self.world.sessions.values())

    def arrivals(self, kinds):
        """What nothing protects has come, by every reader."""
        world, rest = self.world, []
        for marker in world.unarrived:
            if not marker.arrives:
                continue
            if marker.commit is None:
                rest.append(marker)
                continue
            level, _ = world.oracle.verdict(marker.number, marker.step, marker.commit,
                                            world.views[marker.step], marker.session, marker.begun, of=max)
            self.counts[{NO: "no", MAY: "may", MUST: "must"}[level]] += 1
            if level != NO:
                continue
            for kind in kinds:
                if not marker.inserted and marker.step <= self.rooted.get(kind, -1):
                    continue
                if kind in self.consumers and (not self.calm() or self.shown(kind, marker.number) != MUST):
                    continue
                if marker.number not in self.seen[kind]:
                    self.violation(marker.number, None, "", marker.step, marker.commit,
                                   "the source and nothing protects it, but it did not come by " + kind)
                self.counts["arrived"] += 1
        world.unarrived = rest

    # --- ways to read

    def walsender(self, kind, options, user=None, settings=""):
        """All that a slot has now, by a walsender."""
        slot = self.slots[kind]
        target = self.flushed
        connection = self.connect(user, settings, connection_factory=psycopg2.extras.LogicalReplicationConnection)
        cursor = connection.cursor()
        out = []
        try:
            cursor.start_replication(slot_name=slot, decode=False, options=options, status_interval=60)
            deadline = time.monotonic() + PATIENCE
            while True:
                message = cursor.read_message()
                if message is not None:
                    out.append(bytes(message.payload))
                    continue
                if cursor.wal_end >= target:
                    break
                if time.monotonic() > deadline:
                    raise Violation("slot %s stands still before %s" % (slot, text(target)))
                if not select.select([cursor], [], [], 0.05)[0]:
                    cursor.send_feedback(reply=True)
            cursor.send_feedback(write_lsn=target, flush_lsn=target, apply_lsn=target, reply=True, force=True)
        except psycopg2.Error as e:
            raise Violation("slot %s cannot be read: %s" % (slot, e)) from e
        finally:
            connection.close()
        return out

    def settle(self):
        """Waits until walsenders have ended."""
        for _ in range(1000):
            self.cursor.execute("SELECT count(*) FROM pg_replication_slots WHERE active AND database = current_database()")
            if self.cursor.fetchone()[0] == 0:
                return
            time.sleep(0.002)
        raise Violation("a walsender does not end")

    def by_protobuf(self):
        options = self.rng.choice([{}, {"old": "full"}, {"batch_bytes": "700"}, {"schemas": "batch"},
                                   {"old": "full", "rewrites": "off"}])
        self.by_roots("pb", options)
        letters, events = Letters(), []
        for data in self.walsender("pb", options):
            for batch in batches(data):
                found = of_batch(batch)
                self.seen["pb"] |= self.met("the stream, with %s" % options, found)
                events += [(letter, event) for letter, event in letters.of_batch(batch) if found]
        self.by_letters(events)

    def by_roots(self, kind, options):
        """Every third time by a publication."""
        if (self.rounds + len(kind)) % 3 == 0:
            options["publication_names"] = ROOTS
            self.rooted[kind] = self.world.step

    def by_letters(self, events):
        """Reads dead letters of all that has come, as the manual says."""
        met = set()
        for function in ("decode_json", "decode"):
            if self.rounds % 2 and function == "decode":
                continue
            # not too many at once
            for start in range(0, len(events), 500):
                data = b"".join(letter for letter, _ in events[start:start + 500])
                self.cursor.execute(DECODE[function], (data,))
                for line, in self.cursor:
                    met |= self.met("a dead letter, by %s" % function, of_line(line.encode()))
        sent = set().union(*[search.find(event) for _, event in events])
        if sent - met:
            raise Violation("dead letters have markers that decode_json() does not show: %s" % sorted(sent - met))

    def by_json(self):
        options = {"format": "json", "old": self.rng.choice(["full", "changed"])}
        self.by_roots("json", options)
        for data in self.walsender("json", options):
            for line in data.split(b"\n"):
                self.seen["json"] |= self.met("the stream in JSON", of_line(line))

    def by_streaming(self):
        options = {"streaming": "on", "two_phase": "on", "old": "full"}
        self.by_roots("streamed", options)
        for data in self.walsender("streamed", options, settings=STREAMED):
            for batch in batches(data):
                self.seen["streamed"] |= self.met("the stream of transactions in progress", of_batch(batch))

    def by_replication_role(self):
        options = {}
        self.by_roots("c3", options)
        for data in self.walsender("c3", options, self.world.roles["c3"]):
            for batch in batches(data):
                self.seen["c3"] |= self.met("the stream of a role with REPLICATION", of_batch(batch), "c3")

    def by_fetch(self, name):
        cursor = self.consumers[name].cursor()
        confirmed = self.confirmed.get(name)
        while True:
            cursor.execute("SELECT lsn - '0/0', data FROM cdc.fetch(%s, confirmed_lsn => '0/0'::pg_lsn + %s::numeric, "
                           "max_bytes => %s)", (self.slots[name], confirmed, self.rng.choice([16777216, 20000])))
            rows = cursor.fetchall()
            for _, data in rows:
                for batch in batches(bytes(data or b"")):
                    self.seen[name] |= self.met("fetch by %s" % name, of_batch(batch), name)
            if not rows:
                raise Violation("fetch gives nothing")
            before, confirmed = confirmed, int(rows[-1][0])
            if len(rows) == 1 and (confirmed >= self.flushed or before == confirmed):
                break
        if confirmed < self.flushed:
            raise Violation("fetch by %s does not get beyond %s" % (name, text(confirmed)))
        self.confirmed[name] = confirmed

    def by_peek(self):
        """Without consuming; then the slot is moved on."""
        slot, how = self.slots["peek"], self.rounds % 3
        # What reads by SQL waits where the WAL ends in a part of a record, until somebody flushes
        # the rest: 15 seconds where nobody commits.
        self.cursor.execute("SELECT pg_logical_emit_message(true, 'adversary', '')")
        if how == 0:
            self.cursor.execute("SELECT p::text, p.\"position\" FROM cdc.peek(%s, options => '{old,full}') p", (slot,))
            for row, position in self.cursor.fetchall():
                line = b'"position":"%s" %s' % (position.encode(), row.encode())
                self.seen["peek"] |= self.met("peek", of_line(line))
        elif how == 1:
            self.cursor.execute("SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL, 'format', 'json')", (slot,))
            for line, in self.cursor.fetchall():
                self.seen["peek"] |= self.met("peek at JSON", of_line(line.encode()))
        else:
            self.cursor.execute("SELECT data, array(SELECT j::text FROM cdc.decode_json(data) j) FROM "
                                "pg_logical_slot_peek_binary_changes(%s, NULL, NULL, 'compression', 'lz4', 'schemas', "
                                "'batch')", (slot,))
            for data, lines in self.cursor.fetchall():
                for line in lines:
                    self.seen["peek"] |= self.met("compressed batches", of_line(line.encode()))
        self.cursor.execute("SELECT cdc.advance_slot(%s, '0/0'::pg_lsn + %s::numeric)", (slot, self.flushed))

    def now(self, where, data, consumer=None):
        """Of what is shown as of now."""
        numbers = search.find(data)
        return self.met(where, [(numbers, None, None, "as of now")], consumer)

    def try_sql(self, cursor, query, args=None):
        """Rows, or nothing where the statement may fail: a lock, a right, a table that is gone."""
        try:
            cursor.execute(query, args)
            return cursor.fetchall()
        except psycopg2.Error as e:
            if e.pgcode is None or e.pgcode[:2] in ("XX", "57"):
                raise Violation("%s failed: %s" % (query, e)) from e
            self.counts["errors"][e.pgcode] = self.counts["errors"].get(e.pgcode, 0) + 1
            # what an error says is read by whoever has asked
            self.now("an error of %s" % query, str(e).encode())
            return None

    def by_snapshot(self):
        tables = sorted(self.world.committed.tables)
        for oid in self.rng.sample(tables, min(3, len(tables))):
            rows = self.try_sql(self.cursor, "SELECT cdc.snapshot(%s::regclass)", (oid,))
            if rows is None:
                continue
            came = set()
            for data, in rows:
                came |= self.now("snapshot of %d" % oid, bytes(data))
            self.all_came(oid, came)
            for name, connection in sorted(self.consumers.items()):
                cursor = connection.cursor()
                for data, in self.try_sql(cursor, "SELECT cdc.snapshot(%s::regclass)", (oid,)) or ():
                    self.now("snapshot of %d by %s" % (oid, name), bytes(data), name)
            for who, cursor in [("a superuser", self.cursor)] + [(n, c.cursor()) for n, c in sorted(self.consumers.items())]:
                rows = self.try_sql(cursor, "SELECT c::text FROM cdc.snapshot_chunks(%s::regclass, 2) c", (oid,))
                self.now("chunks of %d by %s" % (oid, who), str(rows).encode(), None if cursor is self.cursor else who)

    def all_came(self, oid, came):
        table = self.world.committed.tables[oid]
        if self.world.committed.children.get(oid) or table.kind == "p":
            return
        rows = self.try_sql(self.cursor, "SELECT string_agg(t::text, ',') FROM ONLY %s t" % table.sql())
        for number in sorted(search.find(str(rows).encode()) - came):
            if number in self.world.oracle.markers:
                level, _ = self.world.oracle.verdict(number, self.world.step, self.world.step,
                                                     self.world.committed, None, of=max)
                if level == NO:
                    self.violation(number, None, "", self.world.step, self.world.step,
                                   "a table and nothing protects it, but it did not come by snapshot")

    def by_descriptions(self):
        tables = sorted(self.world.committed.tables)
        for oid in self.rng.sample(tables, min(4, len(tables))):
            for who, cursor in [(None, self.cursor)] + [(n, c.cursor()) for n, c in sorted(self.consumers.items())]:
                for function in ("table_schema", "proto"):
                    rows = self.try_sql(cursor, "SELECT cdc.%s(%%s::regclass)::text" % function, (oid,))
                    self.now("%s(%d) by %s" % (function, oid, who), str(rows).encode(), who)
        self.by_converters()
        for name in AS_TEXT:
            rows = self.try_sql(self.cursor, "SELECT string_agg(t::text, ' ') FROM cdc.%s t" % name)
            self.now("cdc." + name, str(rows).encode())
        for name in ("redaction_report", "security_report"):
            if self.rounds % 8 == 0:
                rows = self.try_sql(self.cursor, "SELECT string_agg(t::text, ' ') FROM cdc.%s() t" % name)
                self.now("cdc.%s()" % name, str(rows).encode())

    def by_converters(self):
        """Code that is generated for the versions of registered tables."""
        rows = self.try_sql(self.cursor, "SELECT relation::oid::bigint, min(major), max(major) FROM cdc.schema_versions "
                            "WHERE relation IS NOT NULL GROUP BY relation ORDER BY relation")
        for oid, first, last in self.rng.sample(rows or [], min(2, len(rows or []))):
            for language in LANGUAGES:
                text = self.try_sql(self.cursor, "SELECT cdc.converter(%s::regclass, %s, %s, %s)", (
                    oid, *self.rng.choice([(first, last), (last, first)]), language))
                self.now("converter(%d) in %s" % (oid, language), str(text).encode())
            for version in {first, last}:
                text = self.try_sql(self.cursor, "SELECT cdc.proto(%s::regclass, %s)", (oid, version))
                self.now("proto(%d, %d)" % (oid, version), str(text).encode())
        files = self.try_sql(self.cursor, "SELECT string_agg(content, '') FROM cdc.proto_files()")
        self.now("proto_files()", str(files).encode())

    def by_log(self):
        """What the readers' backends have logged."""
        if self.log is None:
            return
        with open(self.log, "rb") as f:
            f.seek(self.log_at)
            data = f.read()
            self.log_at = f.tell()
        ours, mine = [], self.name.encode()
        for line in data.split(b"\n"):
            if not line.startswith(b"\t"):
                keep = mine in line
            if keep:
                ours.append(line)
        self.now("the server's log", b"\n".join(ours))

    def round(self):
        """Reads by all ways what there is."""
        world = self.world
        world.log.append((world.step, ("read", "-"), ""))
        world.look(None)
        world.oracle.forget()
        world.mark_step(None)
        world.step = len(world.lsns) - 1
        # Behind the last commit that is read: a walsender gives every message of a large
        # transaction its end, so that only what lies further says that all of it has come.
        self.cursor.execute("SELECT pg_logical_emit_message(true, 'adversary', '')")
        self.cursor.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")
        self.flushed = int(self.cursor.fetchone()[0])
        kinds = list(self.kinds)
        self.by_protobuf()
        if "json" in kinds:
            self.by_json()
            self.by_streaming()
        self.by_peek()
        self.look_at_privileges()
        for name in self.consumers:
            self.by_replication_role() if name == "c3" else self.by_fetch(name)
        kinds += self.consumers
        self.by_snapshot()
        self.by_descriptions()
        self.by_log()
        self.settle()
        world.oracle.forget()
        self.arrivals(kinds)
        for kind in self.seen:
            if kind != "streamed":
                self.seen[kind] = set()
        self.rounds += 1
