"""What the players do, at random. An operation is a tuple: what World.do() does, the
session, and the rest. A statement may fail: nothing here has to be possible."""

import search
import values_sql

COLUMNS = ["a", "b", "c", "d", "e", "email", "secret_k", "mail_token"]
TABLES = ["t%d" % i for i in range(10)]
SCHEMAS = ["w0", "w1", "w2", "w3"]
PATTERNS = ["%secret%", "e_ail", "%token", "email", "d"]
METHODS = ["'drop'", "'null'", "'constant', value => 'x'", "'mask', length => 3", "'mask'", "'hash'",
           "'partial', prefix => 1, suffix => 1", "'email'", "'truncate', length => 2"]
MAX_TABLES, MAX_RULES, MAX_AGE = 16, 8, 15
ARRIVES = 0.2                           # how likely in a step
# What is done in a transaction that others see late.
LATE = ["rename_column", "swap_columns", "replace_column", "swap_tables", "set_schema", "rename_table",
        "attach", "detach", "unredact", "redact_matching", "helper"]
LATE_RIGHTS = ["grant", "revoke", "grant_select", "secure"]

# kind: how often
KINDS = {
    "insert": 34, "update": 16, "delete": 4, "bulk": 1,
    "create_table": 5, "create_like": 3, "create_partitioned": 2, "create_partition": 4,
    "create_typed": 2, "create_inheritor": 2, "create_schema": 2, "create_as": 3,
    "rename_column": 6, "rename_table": 5, "rename_schema": 1, "rename_by_index": 2, "rename_by_view": 1,
    "rename_attribute": 3, "add_attribute": 2, "drop_attribute": 1,
    "set_schema": 3, "extension": 1, "swap_tables": 4, "swap_columns": 3, "replace_column": 4,
    "replace_table": 3, "drop_table": 3, "drop_column": 2, "add_column": 4, "change_type": 4,
    "attach": 4, "detach": 2, "inherit": 2, "truncate": 1, "vacuum": 1, "identity": 4,
    "drop_schema": 1, "not_null": 1,
    "begin": 10, "end": 12, "savepoint": 5, "rollback_to": 4,
    "redact": 9, "redact_path": 3, "redact_matching": 1, "unredact": 3, "redact_inside": 2, "redact_bulk": 1,
    "confirm": 1,
    "grant": 4, "revoke": 2, "grant_select": 2, "helper": 2, "register": 1,
    "secure": 3,
}


class One:
    """A view of one table alone."""

    def __init__(self, view, table):
        self.tables, self.schemas = {table.oid: table}, view.schemas


class Play:
    def __init__(self, world, rng, without=()):
        self.world, self.rng = world, rng
        self.kinds = [k for k in KINDS if k not in without]
        self.weights = [KINDS[k] for k in self.kinds]
        self.concurrent = "concurrent" not in without
        self.serial = 0
        self.ages = {}

    def ops(self):
        """The operations of one step."""
        for _ in range(20):
            ops = self.one()
            if ops:
                return ops
        return []

    def one(self):
        if self.world.sessions["L"].away and self.rng.random() < ARRIVES:
            return [("arrive", "L")]
        kind = self.rng.choices(self.kinds, self.weights)[0]
        self.session = self.choose_session()
        if self.session is None:
            return self.end_of(self.oldest)
        self.view = self.world.look(self.world.sessions[self.session])
        done = getattr(self, kind)()
        return [op for op in done or () if op is not None]

    # --- choosing

    def choose_session(self):
        """Mostly who has a transaction open already; None where one has lasted."""
        sessions = self.world.sessions
        if not self.concurrent:
            return "A"
        busy = [n for n in "ABS" if sessions[n].label is not None]
        self.ages = {n: self.ages.get(n, 0) + 1 for n in busy}
        self.oldest = max(busy, key=self.ages.get, default=None)
        if busy and self.ages[self.oldest] > MAX_AGE:
            return None
        if busy and self.rng.random() < 0.8:
            return self.rng.choice(busy)
        return self.rng.choices("ABS", (8, 3, 2))[0]

    def pick(self, things):
        return self.rng.choice(things) if things else None

    def table(self, want=lambda t: True):
        return self.pick([t for t in self.view.tables.values() if want(t)])

    def column(self, table, want=lambda c: True):
        return table and self.pick([c for c in table.columns if c.name not in ("id", "p") and want(c)])

    def name(self):
        self.serial += 1
        return self.pick(TABLES)

    def free_name(self):
        """A table's name, seldom one that is taken."""
        taken = {t.name for t in self.view.tables.values()}
        free = [n for n in TABLES if n not in taken]
        self.serial += 1
        return self.pick(free) if free and self.rng.random() < 0.8 else \
            "x%d" % self.rng.randint(0, 40) if self.rng.random() < 0.5 else self.pick(TABLES)

    def column_name(self):
        return self.pick(COLUMNS) if self.rng.random() < 0.85 else "n%d" % self.rng.randint(0, 40)

    def schema(self):
        return self.pick(self.view.schemas) or "w0"

    def marker(self):
        number = self.world.new_marker()
        return number, search.marker(number)

    def sql(self, text, *args):
        return ("sql", self.session, text % args if args else text)

    def columns(self, first="id int"):
        names = self.rng.sample(COLUMNS, self.rng.randint(2, 4))
        parts = ["%s %s" % (n, self.pick(values_sql.TYPES)) for n in names]
        if self.rng.random() < 0.3:
            parts = parts[:1] + [first] + parts[1:]
        else:
            parts = [first] + parts
        return ", ".join(parts)

    def key(self, columns):
        kind = self.rng.random()
        if kind < 0.5:
            return columns + ", PRIMARY KEY (id)"
        name = columns.split(", ")[-1].split(" ")
        return columns + ", PRIMARY KEY (%s)" % name[0] if kind < 0.65 and name[1] == "text" else columns

    def together(self, ops):
        """Several statements, often in one transaction."""
        if self.world.sessions[self.session].label is None and self.rng.random() < 0.5:
            return [("begin", self.session), *ops,
                    (("commit" if self.rng.random() < 0.85 else "rollback"), self.session)]
        return ops

    # --- rows

    def row(self, table, bound=None):
        """(names, values, [(marker, column, path)]) of a row"""
        names, values, written = [], [], []
        for c in table.columns:
            if c.name == "id":
                value = str(self.world.new_id())
            elif c.name == "p":
                value = bound or str(self.rng.randint(0, 4))
            elif c.default and self.rng.random() < 0.5:
                continue
            else:
                value, markers = values_sql.value(self.rng, c.type, self.marker)
                if value is None:
                    continue
                written += [(n, c.name, path) for n, path in markers]
            names.append(c.name)
            values.append(value)
        return names, values, written

    def writer(self):
        return "W" if self.world.sessions[self.session].label is None else self.session

    def insert(self):
        table = self.table(lambda t: t.columns)
        if table is None:
            return None
        if self.writer() == "W":
            self.view = self.world.look(None)
            table = self.view.tables.get(table.oid, table)
        rows = [self.row(table, table.bound) for _ in range(self.rng.choice([1, 1, 2, 4]))]
        rows = [r for r in rows if r[0] == rows[0][0]]
        return [("dml", self.writer(), "INSERT INTO %s (%s) VALUES %s RETURNING tableoid::bigint" % (
            table.sql(), ", ".join(rows[0][0]), ", ".join("(%s)" % ", ".join(r[1]) for r in rows)),
            [r[2] for r in rows])] if rows[0][0] else None

    def bulk(self):
        """More than is decoded in memory: it is streamed before it ends."""
        table = self.table(lambda t: t.by_name.get("id") and t.kind == "r" and not t.is_partition)
        if table is None:
            return None
        names, values, written = self.row(table)
        at = names.index("id")
        values = [v for i, v in enumerate(values) if i != at]
        names = [n for i, n in enumerate(names) if i != at]
        first = self.world.new_id()
        self.world.last_id += 1000
        return [("begin", self.session),
                ("dml", self.session, "WITH r AS (INSERT INTO %s (id%s) SELECT i%s FROM generate_series(%d, %d) i "
                 "RETURNING tableoid::bigint) SELECT * FROM r LIMIT 1" % (
                     table.sql(), "".join(", " + n for n in names), "".join(", " + v for v in values),
                     first, first + 1000), [written])]

    def update(self):
        table = self.table(lambda t: t.columns)
        column = self.column(table)
        if column is None:
            return None
        value, markers = values_sql.value(self.rng, column.type, self.marker)
        if value is None:
            return None
        return [("dml", self.writer(), "UPDATE {0} SET {1} = {2} WHERE (tableoid, ctid) = "
                 "(SELECT tableoid, ctid FROM {0} LIMIT 1) RETURNING tableoid::bigint".format(
                     table.sql(), column.name, value), [[(n, column.name, path) for n, path in markers]])]

    def delete(self):
        table = self.table()
        return table and [("plain", self.writer(), "DELETE FROM {0} WHERE (tableoid, ctid) IN "
                           "(SELECT tableoid, ctid FROM {0} LIMIT 2)".format(table.sql()))]

    # --- tables

    def full(self):
        return len(self.view.tables) >= MAX_TABLES

    def create_table(self):
        if self.full():
            return self.drop_table()
        return [self.sql("CREATE TABLE %s.%s (%s)", self.schema(), self.free_name(), self.key(self.columns()))]

    def create_like(self):
        table = self.table()
        if table is None or self.full():
            return None
        return [self.sql("CREATE TABLE %s.%s (LIKE %s INCLUDING %s)", self.schema(), self.free_name(),
                         table.sql(), self.pick(["ALL", "DEFAULTS"]))]

    def create_partitioned(self):
        if self.full():
            return None
        columns = self.columns("id int, p int")
        return [self.sql("CREATE TABLE %s.%s (%s%s) PARTITION BY LIST (p)", self.schema(), self.free_name(), columns,
                         self.pick(["", ", PRIMARY KEY (id, p)"]))]

    def create_partition(self):
        root = self.table(lambda t: t.kind == "p")
        if root is None or self.full():
            return None
        below = " PARTITION BY LIST (p)" if self.rng.random() < 0.15 else ""
        return [self.sql("CREATE TABLE %s.%s PARTITION OF %s %s%s", self.schema(), self.free_name(), root.sql(),
                         self.part_bound(), below)]

    def part_bound(self):
        return self.pick(["FOR VALUES IN (%d)" % self.rng.randint(0, 4)] * 6 + ["DEFAULT"])

    def attach(self):
        root = self.table(lambda t: t.kind == "p")
        names = root and sorted(c.name for c in root.columns)
        other = root and self.table(lambda t: t.oid != root.oid and not t.parents and
                                    sorted(c.name for c in t.columns) == names)
        if root is None or self.rng.random() < 0.5 and self.full():
            return None
        if other is None:
            name = "%s.%s" % (self.schema(), self.free_name())
            return self.together([
                self.sql("CREATE TABLE %s (LIKE %s INCLUDING ALL)", name, root.sql()),
                self.sql("ALTER TABLE %s ATTACH PARTITION %s %s", root.sql(), name, self.part_bound())])
        return [self.sql("ALTER TABLE %s ATTACH PARTITION %s %s", root.sql(), other.sql(), self.part_bound())]

    def detach(self):
        part = self.table(lambda t: t.is_partition)
        parent = part and self.view.tables.get(part.parents[0])
        return parent and [self.sql("ALTER TABLE %s DETACH PARTITION %s%s", parent.sql(), part.sql(),
                                    self.pick(["", "", " CONCURRENTLY"]))]

    def create_inheritor(self):
        parent = self.table(lambda t: t.kind == "r" and not t.is_partition and not t.of_type)
        return parent and not self.full() and [self.sql(
            "CREATE TABLE %s.%s (%s) INHERITS (%s)", self.schema(), self.free_name(),
            self.pick(["", "own text", self.column_name() + " text"]), parent.sql())]

    def inherit(self):
        child = self.table(lambda t: t.kind == "r" and not t.is_partition)
        parent = self.table(lambda t: t.kind == "r" and not t.is_partition)
        if child is None:
            return None
        if child.parents:
            parent = self.view.tables.get(child.parents[0])
            return parent and [self.sql("ALTER TABLE %s NO INHERIT %s", child.sql(), parent.sql())]
        return [self.sql("ALTER TABLE %s INHERIT %s", child.sql(), parent.sql())]

    def create_typed(self):
        if self.full():
            return None
        kind = "%s.ty%d" % (self.schema(), self.rng.randint(0, 3))
        columns = ", ".join(["id int"] + ["%s text" % n for n in self.rng.sample(COLUMNS, 2)])
        return [self.sql("CREATE TYPE %s AS (%s)", kind, columns) if self.rng.random() < 0.8 else None,
                self.sql("CREATE TABLE %s.%s OF %s%s", self.schema(), self.free_name(), kind,
                         self.pick(["", " (PRIMARY KEY (id))"]))]

    def typed(self):
        """(a typed table, its type's name)"""
        table = self.table(lambda t: t.of_type)
        if table is None:
            return None, None
        self.world.observer.run("SELECT %s::regtype::text", (table.of_type,))
        name = self.world.observer.cursor.fetchone()[0]
        return (None, None) if name.isdigit() or name == "-" else (table, name)

    def rename_attribute(self):
        table, kind = self.typed()
        column = self.column(table)
        return column and [self.sql("ALTER TYPE %s RENAME ATTRIBUTE %s TO %s CASCADE", kind, column.name,
                                    self.column_name())]

    def add_attribute(self):
        table, kind = self.typed()
        return table and [self.sql("ALTER TYPE %s ADD ATTRIBUTE %s text CASCADE", kind, self.column_name())]

    def drop_attribute(self):
        table, kind = self.typed()
        column = self.column(table)
        return column and [self.sql("ALTER TYPE %s DROP ATTRIBUTE %s CASCADE", kind, column.name)]

    def create_schema(self):
        free = [s for s in SCHEMAS if s not in self.view.schemas]
        if not free:
            return self.drop_schema()
        return [self.sql("CREATE SCHEMA %s CREATE TABLE %s (%s)", self.pick(free), self.name(), self.columns())]

    def drop_schema(self):
        if len(self.view.schemas) < 3:
            return None
        return [self.sql("DROP SCHEMA %s CASCADE", self.pick(self.view.schemas[1:]))]

    def create_as(self):
        if self.full():
            return None
        schema, name = self.schema(), self.free_name()
        parts, written = ["%d AS id" % self.world.new_id()], []
        for column in self.rng.sample(COLUMNS, 2):
            value, markers = values_sql.value(self.rng, "text", self.marker)
            parts.append("%s::text AS %s" % (value, column))
            written += [(n, column, path) for n, path in markers]
        text = self.pick(["CREATE TABLE %s.%s AS SELECT %s", "EXPLAIN ANALYZE CREATE TABLE %s.%s AS SELECT %s",
                          "EXPLAIN (ANALYZE, TIMING off) CREATE TABLE %s.%s AS SELECT %s"])
        return [("create_as", self.session, text % (schema, name, ", ".join(parts)), schema, name, written)]

    # --- names

    def rename_column(self):
        table = self.table()
        column = self.column(table)
        return column and [self.sql("ALTER TABLE %s RENAME %s TO %s", table.sql(), column.name, self.column_name())]

    def rename_table(self):
        table = self.table()
        return table and [self.sql("ALTER TABLE %s RENAME TO %s", table.sql(), self.free_name())]

    def rename_by_index(self):
        table = self.table()
        return table and [self.sql("ALTER INDEX %s RENAME TO %s", table.sql(), self.free_name())]

    def rename_by_view(self):
        table = self.table()
        return table and [self.sql("ALTER VIEW %s RENAME TO %s", table.sql(), self.free_name())]

    def rename_schema(self):
        free = [s for s in SCHEMAS if s not in self.view.schemas]
        return free and [self.sql("ALTER SCHEMA %s RENAME TO %s", self.schema(), self.pick(free))]

    def set_schema(self):
        table = self.table()
        return table and [self.sql("ALTER TABLE %s SET SCHEMA %s", table.sql(), self.schema())]

    def extension(self):
        """Whatever belongs to an extension moves with it."""
        table = self.table(lambda t: not t.parents)
        if table is None:
            return None
        return [self.sql("CREATE EXTENSION hstore SCHEMA %s", table.schema),
                self.sql("ALTER EXTENSION hstore ADD TABLE %s", table.sql()),
                self.sql("ALTER EXTENSION hstore SET SCHEMA %s", self.schema()),
                *[self.sql("ALTER EXTENSION hstore DROP TABLE %s.%s", s, table.name) for s in self.view.schemas],
                self.sql("DROP EXTENSION hstore")]

    def swap_tables(self):
        """A copy takes a table's place."""
        old = self.table(lambda t: not t.is_partition and not t.of_type)
        if old is None:
            return None
        schema, rename = old.schema, "ALTER TABLE %s.%s RENAME TO %s"
        copy = self.pick([t.name for t in self.view.tables.values() if t.schema == schema and t.oid != old.oid])
        make = None
        if copy is None or self.rng.random() < 0.6:
            copy = old.name.split("_")[0] + "_new"
            make = self.sql("CREATE TABLE %s.%s (LIKE %s INCLUDING ALL)", schema, copy, old.sql())
        return self.together([make, self.sql(rename, schema, old.name, old.name.split("_")[0] + "_old"),
                              self.sql(rename, schema, copy, old.name),
                              self.sql("DROP TABLE %s.%s_old", schema, old.name.split("_")[0]) if self.rng.random() < 0.5 else
                              self.sql(rename, schema, old.name.split("_")[0] + "_old", self.pick([copy, self.free_name()]))])

    def swap_columns(self):
        table = self.table(lambda t: not t.of_type and len(t.columns) > 2)
        one, two = self.column(table), self.column(table)
        if one is None or one == two:
            return None
        rename = "ALTER TABLE %s RENAME %s TO %s"
        return self.together([self.sql(rename, table.sql(), one.name, "tmp"),
                              self.sql(rename, table.sql(), two.name, one.name),
                              self.sql(rename, table.sql(), "tmp", two.name)])

    def replace_column(self):
        """Add, copy, drop, rename."""
        table = self.table(lambda t: not t.of_type and not t.parents)
        column = self.column(table, lambda c: not c.name.endswith("_new"))
        if column is None:
            return None
        kind = self.pick(["text", "character varying(200)"])
        value, markers = values_sql.value(self.rng, kind, self.marker)
        t = table.sql()
        return self.together([
            self.sql("ALTER TABLE %s ADD %s_new %s", t, column.name, kind),
            ("dml", self.session, "UPDATE {0} SET {1}_new = {2} WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM "
             "{0} LIMIT 1) RETURNING tableoid::bigint".format(t, column.name, value),
             [[(n, column.name + "_new", path) for n, path in markers]]),
            self.sql("ALTER TABLE %s DROP %s", t, column.name),
            self.sql("ALTER TABLE %s RENAME %s_new TO %s", t, column.name, column.name)])

    def replace_table(self):
        """DROP and CREATE at the same name."""
        table = self.table(lambda t: not t.is_partition)
        if table is None:
            return None
        columns = ", ".join("%s %s" % (c.name, c.type) for c in table.columns if self.rng.random() < 0.9)
        return self.together([self.sql("DROP TABLE %s CASCADE", table.sql()),
                              self.sql("CREATE TABLE %s (%s)%s", table.sql(), columns, "")])

    def drop_table(self):
        table = self.table()
        return table and [self.sql("DROP TABLE %s CASCADE", table.sql())]

    # --- columns

    def drop_column(self):
        table = self.table(lambda t: len(t.columns) > 3)
        column = self.column(table)
        return column and [self.sql("ALTER TABLE %s DROP %s", table.sql(), column.name)]

    def add_column(self):
        table = self.table(lambda t: len(t.columns) < 8)
        if table is None:
            return None
        if self.rng.random() < 0.4:
            number, text = self.marker()
            return [("default", self.session, "ALTER TABLE %s ADD %s text DEFAULT '%s'" % (
                table.sql(), self.column_name(), text), number)]
        return [self.sql("ALTER TABLE %s ADD %s %s", table.sql(), self.column_name(), self.pick(values_sql.TYPES))]

    def change_type(self):
        table = self.table()
        column = self.column(table)
        change = column and self.pick(values_sql.CHANGES.get(column.type, []))
        return change and [self.sql("ALTER TABLE %s ALTER %s DROP DEFAULT, ALTER %s TYPE %s USING %s", table.sql(),
                                    column.name, column.name, change[0], change[1].replace("%s", column.name))]

    def not_null(self):
        table = self.table()
        column = self.column(table)
        return column and [self.sql("ALTER TABLE %s ALTER %s DROP NOT NULL", table.sql(), column.name)]

    def identity(self):
        table = self.table(lambda t: t.kind == "r")
        return table and [self.sql("ALTER TABLE %s REPLICA IDENTITY %s", table.sql(),
                                   self.pick(["FULL", "FULL", "DEFAULT", "NOTHING"]))]

    def truncate(self):
        table = self.table()
        return table and [self.sql("TRUNCATE %s CASCADE", table.sql())]

    def vacuum(self):
        table = self.table(lambda t: t.kind == "r")
        return table and [self.sql("VACUUM FULL %s", table.sql())]

    # --- transactions

    def begin(self):
        return [("begin", self.session)]

    def end(self):
        if self.world.prepared and self.rng.random() < 0.6:
            gid = self.pick(sorted(self.world.prepared))
            return [("finish", "S" if self.world.sessions["S"].label is None else "A", gid,
                     self.pick(["COMMIT", "COMMIT", "ROLLBACK"]))]
        return self.end_of(self.session)

    def end_of(self, session):
        self.serial += 1
        how = self.rng.choices(["commit", "rollback", "prepare"], (8, 3, 1))[0]
        if how == "prepare" and len(self.world.prepared) < 2:
            return [("prepare", session, "%s g%d" % (self.world.database, self.serial))]
        return [(how if how != "prepare" else "commit", session)]

    def savepoint(self):
        return [("savepoint", self.session, "s%d" % self.rng.randint(0, 3))]

    def rollback_to(self):
        names = [n for n, _ in self.world.sessions[self.session].savepoints]
        return names and [(self.pick(["rollback_to", "rollback_to", "release"]), self.session, self.pick(names))]

    # --- rules

    def redact(self, session="M", want=lambda c: True):
        if len(self.world.oracle.live()) >= MAX_RULES:
            return self.unredact(session)
        self.view = self.world.look(self.world.sessions[session])
        table = self.table()
        column = self.column(table, want)
        if column is None:
            return None
        path = self.pick(values_sql.PATHS) if column.type in ("json", "jsonb") and self.rng.random() < 0.6 else None
        return [("redact", session, self.rule_key(), table.schema, table.name, column.name, self.pick(METHODS), path)]

    def rule_key(self):
        self.serial += 1
        return "r%d" % self.serial

    def redact_path(self):
        return self.redact(want=lambda c: c.type in ("json", "jsonb"))

    def redact_matching(self):
        if len(self.world.oracle.live()) >= MAX_RULES:
            return self.unredact()
        return [("redact_matching", "M", self.rule_key(), self.pick(PATTERNS), self.pick(METHODS))]

    def redact_inside(self):
        """In a transaction of a superuser, beside changes and DDL."""
        self.session = "S"
        self.view = self.world.look(self.world.sessions["S"])
        ops = [("begin", "S"), *(self.insert() or ()), *(self.redact("S") or ()), *(self.insert() or ()),
               *(self.rename_column() or ()), *(self.insert() or ())]
        ops = [op[:1] + ("S",) + op[2:] for op in ops if op is not None]
        return ops + [(self.rng.choices(["commit", "rollback"], (4, 1))[0], "S")]

    def redact_bulk(self):
        """A rule, and so many changes that they are sent before the transaction ends."""
        self.session = "S"
        self.view = self.world.look(self.world.sessions["S"])
        table = self.table(lambda t: t.by_name.get("id") and t.kind == "r" and not t.is_partition)
        column = self.column(table)
        if column is None or len(self.world.oracle.live()) > MAX_RULES:
            return None
        self.view = One(self.view, table)
        bulk = self.bulk()
        return bulk and [bulk[0], ("redact", "S", self.rule_key(), table.schema, table.name, column.name,
                                   self.pick(METHODS), None), *bulk[1:],
                         self.pick([None, ("commit", "S"), ("read", "-")])]

    def unredact(self, session="M"):
        live = self.world.oracle.live()
        keys = [k for k, r in self.world.rules.items() if r in live]
        return keys and [("unredact", session, self.pick(keys))]

    def confirm(self):
        """Nothing changes but for rules that a restore has brought."""
        return [("confirm", "S", self.pick(sorted(self.world.rules)))] if self.world.rules else None

    def late(self):
        """A rule and changes of a table, and whatever else, in a transaction that is read
        before others can see that it has been committed."""
        session = self.world.sessions["L"]
        if not self.world.standby_away or session.label is not None:
            return [("arrive", "L")]
        self.session = "L"
        whole = self.world.look(session)
        self.view = whole
        granted = {grant.oid for grant in self.world.grants if grant.gone is None}
        table = self.table(lambda t: t.oid in granted) if self.rng.random() < 0.5 else None
        table = table or self.table()
        column = self.column(table)
        ops = []
        for kind in ["insert", self.pick(LATE_RIGHTS), *self.rng.choices(LATE, k=self.rng.randint(0, 2)), "insert"]:
            self.view = One(whole, table) if table and kind not in LATE else whole
            ops += getattr(self, kind)() or ()
        if column and self.rng.random() < 0.7:
            ops.insert(self.rng.randint(0, len(ops)), (
                "redact", "L", self.rule_key(), table.schema, table.name, column.name, self.pick(METHODS), None))
        ops = [op[:1] + ("L",) + op[2:] for op in ops if op and op[0] not in ("begin", "commit", "rollback")]
        return [("begin", "L"), *ops, ("leave", "L")]

    # --- privileges

    def grant(self):
        table = self.table()
        if table is None:
            return None
        columns = [c.name for c in table.columns if self.rng.random() < 0.6] if self.rng.random() < 0.3 else None
        return [("grant", self.rng.choices("AH", (4, 1))[0], self.pick(["c1", "c2", "c3"]), table.schema, table.name,
                 columns)]

    def revoke(self):
        table = self.table()
        session = self.pick("AH")
        if table is None:
            return None
        # rather what was given
        granted = [grant.role for grant in self.world.grants if grant.oid == table.oid and grant.gone is None]
        role = self.pick(granted) if granted and self.rng.random() < 0.8 else self.pick(["c1", "c2", "c3"])
        return [("revoke", session, role, table.schema, table.name)]

    def grant_select(self):
        table = self.table()
        if table is None:
            return None
        role = self.pick(["c1", "c2"])
        return [("privilege", "A", self.pick(["GRANT SELECT ON %s TO %s", "REVOKE SELECT ON %s FROM %s"]) % (
            table.sql(), self.world.roles[role]), role, table.oid)]

    def helper(self):
        """Somebody who may give what it was given."""
        table = self.table()
        role = self.world.roles["helper"]
        return table and [("privilege", "A", self.pick([
            "GRANT SELECT ON %s TO %s WITH GRANT OPTION", "REVOKE SELECT ON %s FROM %s CASCADE"]) % (
                table.sql(), role), "helper", table.oid)]

    def secure(self):
        """Row security: the players may write on, a consumer could read some of the rows."""
        table = self.table()
        if table is None:
            return None
        what = self.pick(["ENABLE", "ENABLE", "DISABLE", "FORCE", "NO FORCE"])
        policy = "CREATE POLICY p%d ON %s TO %s USING (%s)"
        ops = [("secure", self.session, "ALTER TABLE %s %s ROW LEVEL SECURITY" % (table.sql(), what), table.oid)]
        if what == "ENABLE":
            players = "%(owner)s, %(writer)s" % self.world.roles
            ops.insert(0, ("plain", self.session, policy % (self.number(), table.sql(), players, "true")))
        if what == "ENABLE" and table.by_name.get("id"):
            consumer = self.world.roles[self.pick(["c1", "c2", "c3"])]
            ops.append(("plain", self.session, policy % (self.number(), table.sql(), consumer, "id % 2 = 0")))
        return ops

    def number(self):
        self.serial += 1
        return self.serial

    def register(self):
        table = self.table()
        return table and [("admin", "S", "SELECT cdc.register('%s')" % table.sql())]
