"""What must not be seen by whom, by the definition in docs/security.md.

A column is (relid, attnum) here, its place (schema, table, column). Time is counted in
steps: one statement is one step, and the WAL says in which step a change was made. What
an open transaction has done is tentative, and forgotten when it is rolled back.

The answer is MUST (it may not be seen), MAY (the definition leaves it open, or timing
does) or NO (nothing protects it, so that it has to arrive)."""

import collections
import re

NO, MAY, MUST = 0, 1, 2
ALWAYS = -1                             # before all steps
JSON = ("json", "jsonb")

# homes: where it stands, {(relid, attnum)}; a default can stand in several columns.
# path: the member of a json value, or None. lsn, commit: of the step in which it was
# written, and committed. arrives: a change of its own carries it; inserted: an INSERT.
class Marker:
    def __init__(self, number, homes, path, step, session, arrives, inserted):
        self.number, self.homes, self.path = number, set(homes), path
        self.step, self.session, self.arrives = step, session, arrives
        self.inserted = inserted
        self.commit = self.begun = None


def like(pattern):
    """The regular expression of a pattern of redact_matching()."""
    text = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern)
    return re.compile(text + r"\Z", re.I | re.S)


class Rule:
    def __init__(self, number, step, what, target=None, pattern=None, path=None):
        self.number = number            # the id that the extension gave
        self.what = what                # for messages
        self.target = target
        self.pattern = pattern and like(pattern)
        self.path = path
        self.step = step
        self.committed = None           # the step of its commit
        self.removed = None             # the step of unredact()
        self.ending = None              # the step in which COMMIT of that was called
        self.removal = None             # the step in which that was committed, and seen
        self.joined = {}                # column: the step since when it is protected
        self.names = {}                 # place: step
        self.tags = {}                  # ("column" or "name", which): sessions, None = committed
        self.near = set()               # places that may be taken for protected: see follow()
        self.dead = False               # rolled back
        self.restored = False           # by a dump

    def there(self, step, commit, session):
        """Whether it counts for a change of a step, which was committed in another (None:
        not yet), and is read now. session: whose change it is."""
        level = NO
        if self.committed is None:
            # from the moment that its row is there
            level = MUST
        elif self.removal is None:
            level = MUST
        if commit is not None and self.committed is not None:
            if self.committed <= commit and (self.ending is None or commit < self.ending):
                level = MUST
            elif self.removal is None or step <= self.removal:
                # one that was removed may count for all that was committed before, and
                # for transactions that are sent before it is known where they commit
                level = max(level, MAY)
        return level

    def __str__(self):
        return "rule %s (%s), made in step %s, committed in %s, removed in %s, gone in %s" % (
            self.number, self.what, self.step, self.committed, self.removed, self.removal)


class Oracle:
    def __init__(self):
        self.rules = []
        self.markers = {}
        self.tentative = collections.defaultdict(list)  # session: [frame: [undo, ...]]
        self.places = collections.defaultdict(set)      # column: all places that it had
        self.parents = collections.defaultdict(set)     # column: those of tables that it came from
        self.tables = collections.defaultdict(set)      # relid: (schema, table), all that it had
        self.above = collections.defaultdict(set)       # relid: tables that it was a part of
        self.would = collections.defaultdict(set)       # column: places that it would have in tables above
        self.types = {}                 # column: its type when it was seen last
        self.made_json = {}             # column: the step in which it became json
        self.known = {}                 # what of_home() has said since the last forget()

    # --- transactions

    def begin(self, session):
        self.tentative[session] = [[]]

    def savepoint(self, session):
        self.tentative[session].append([])

    def depth(self, session):
        return len(self.tentative[session])

    def rollback_to(self, session, depth):
        """What was done since there were depth frames."""
        frames = self.tentative.get(session, [])
        while len(frames) > depth:
            for undo in reversed(frames.pop()):
                undo()

    def savepoint_again(self, session):
        """After ROLLBACK TO the savepoint itself is still there."""
        self.tentative[session].append([])

    def release(self, session, depth):
        frames = self.tentative[session]
        while len(frames) > depth:
            last = frames.pop()
            frames[-1].extend(last)

    def rollback(self, session):
        self.rollback_to(session, 0)
        self.tentative.pop(session, None)

    def ends(self, session, step):
        """COMMIT is called, and may take its time."""
        for rule in self.rules:
            if rule.removed is not None and rule.ending is None and rule.remover == session:
                rule.ending = step

    def commit(self, session, step):
        self.ends(session, step)
        self.tentative.pop(session, None)
        for rule in self.rules:
            if rule.dead:
                continue
            if rule.committed is None and rule.session == session:
                rule.committed = step
            if rule.removed is not None and rule.removal is None and rule.remover == session:
                rule.removal = step
            for tags in rule.tags.values():
                if session in tags:
                    tags.clear()
                    tags.add(None)

    def undo(self, session, function):
        if session in self.tentative:
            self.tentative[session][-1].append(function)

    # --- rules

    def redact(self, rule, session, view):
        rule.session = session
        self.rules.append(rule)

        def forget():
            rule.dead = True
        if session in self.tentative:
            self.undo(session, forget)
        else:
            rule.committed = rule.step
        if rule.target is not None:
            self.join(rule, rule.target, ALWAYS, session)
            self.follow_rule(rule, view, ALWAYS, session)

    def unredact(self, rule, session, step):
        rule.removed, rule.remover = step, session

        def back():
            rule.removed = rule.ending = rule.removal = None
        if session in self.tentative:
            self.undo(session, back)
        else:
            rule.ending = rule.removal = step

    def live(self):
        return [r for r in self.rules if not r.dead and r.removed is None]

    def tag(self, rule, key, entries, step, session):
        """Takes a column or a place into a rule; whether it is new."""
        kind, which = key
        tags = rule.tags.setdefault(key, set())
        owner = session if session in self.tentative else None
        if None in tags or owner in tags:
            return False
        new = which not in entries
        if new:
            entries[which] = step
        tags.add(owner)
        if owner is None:
            tags.intersection_update({None})
        else:
            def forget():
                tags.discard(owner)
                if not tags:
                    entries.pop(which, None)
                    rule.tags.pop(key, None)
            self.undo(session, forget)
        return True

    def join(self, rule, column, step, session):
        return self.tag(rule, ("column", column), rule.joined, step, session)

    def name(self, rule, place, step, session):
        return self.tag(rule, ("name", place), rule.names, step, session)

    def follow_rule(self, rule, view, step, session):
        """The closure of the definition over what a session sees."""
        def known(kind, which):
            """What others have not committed is nothing yet."""
            return not rule.tags[kind, which].isdisjoint((None, session))

        again = True
        while again:
            again = False
            for column in sorted(rule.joined):
                place = view.place(column)
                if place is None or not known("column", column):
                    continue
                again |= self.name(rule, place, step, session)
                for child in view.children.get(column[0], ()):
                    other = view.tables[child].by_name.get(place[2]) if child in view.tables else None
                    if other is not None:
                        again |= self.join(rule, (child, other.number), step, session)
            for place in sorted(rule.names):
                column = view.places.get(place)
                if column is not None and known("name", place):
                    again |= self.join(rule, column, step, session)

    def follow(self, view, step, session):
        for table in view.tables.values():
            self.tables[table.oid].add((table.schema, table.name))
            self.above[table.oid].update(table.parents)
        for place, column in view.places.items():
            self.places[column].add(place)
            for parent in view.tables[column[0]].parents:
                above = view.tables.get(parent)
                if above is not None and place[2] in above.by_name:
                    self.parents[column].add((parent, above.by_name[place[2]].number))
                elif above is not None:
                    # the definition leaves open what a name means there that only the child has
                    self.would[column].add((above.schema, above.name, place[2]))
            kind = view.column(column).type
            if kind in JSON and self.types.get(column, kind) not in JSON:
                self.made_json[column] = step
            self.types[column] = kind
        for rule in self.rules:
            if not rule.dead and rule.removal is None and rule.pattern is None:
                self.follow_rule(rule, view, step, session)
                for column, places in self.would.items():
                    if not places.isdisjoint(rule.names) or not places.isdisjoint(rule.near):
                        rule.near |= self.places[column]

    # --- verdicts

    def covers(self, rule, home, marker, step, view, session, path):
        """Whether a rule covers what stands in a column, as of a step with that view."""
        column = view and view.column(home)
        if rule.pattern is not None:
            if column is not None and rule.pattern.match(column.name):
                return MUST
            if any(rule.pattern.match(place[2]) for place in self.places[home]):
                return MAY
            return NO
        if home in rule.joined:
            level = MUST if rule.joined[home] <= step else MAY
        elif any(above in rule.joined or not self.places[above].isdisjoint(rule.names) or
                 not self.places[above].isdisjoint(rule.near) for above in self.lineage(home)):
            level = MAY
        else:
            return NO
        if rule.path is None:
            return level
        if column is None or marker.step < self.made_json.get(home, ALWAYS):
            return min(level, MAY)
        return level if column.type not in JSON or path == rule.path else NO

    def lineage(self, home):
        """A column, and those of all tables that its table has ever been a partition of."""
        found, todo = {home}, [home]
        while todo:
            for above in self.parents[todo.pop()] - found:
                found.add(above)
                todo.append(above)
        return found

    def misses(self, rule, home):
        """Whether a rule that a restore has brought finds the table by its name, or one
        that it is a part of, and none of its columns there: then all may be withheld."""
        tables = {place[:2] for place in rule.names}
        columns = {column[0] for column in rule.joined}
        found, todo = {home[0]}, [home[0]]
        while todo:
            relid = todo.pop()
            if relid not in columns and self.tables[relid] & tables:
                return True
            todo += self.above[relid] - found
            found |= self.above[relid]
        return False

    def of_home(self, home, marker, step, commit, view, session, begun):
        """(level, the rule that says so) for one column."""
        best, why, several = NO, None, 0
        for rule in self.rules:
            if rule.dead:
                continue
            there = rule.there(begun, commit, session)
            if not there:
                continue
            level = min(there, self.covers(rule, home, marker, step, view, session, marker.path))
            # a rule with a path may withhold all of the value beside another one
            several += bool(level or self.covers(rule, home, marker, step, view, session, rule.path))
            if level > best:
                best, why = level, rule
        if best == NO and several > 1:
            best = MAY
        if best == NO and any(self.misses(rule, home) for rule in self.rules
                              if rule.restored and rule.there(begun, commit, session)):
            best = MAY
        return best, why

    def forget(self):
        """Rules or columns may have changed."""
        self.known.clear()

    def of_home_again(self, home, marker, step, commit, view, session, begun):
        """A rewrite has all rows of a table at one place: they have one verdict."""
        key = (home, marker.path, marker.step < self.made_json.get(home, ALWAYS), step, commit, id(view), session, begun)
        if key not in self.known:
            self.known[key] = self.of_home(home, marker, step, commit, view, session, begun)
        return self.known[key]

    def verdict(self, number, step, commit, view, session, begun=None, of=min):
        """For a marker that is met in a change. The least of its columns: it may
        be seen where one of them may; of=max where it must be seen. begun: the step in which
        the transaction began."""
        marker = self.markers.get(number)
        if marker is None:
            return NO, None
        return of((self.of_home_again(home, marker, max(step, marker.step), commit, view, session,
                                       step if begun is None else begun)
                    for home in sorted(marker.homes)),
                   key=lambda verdict: verdict[0], default=(MAY, None))
