"""Compares the tables of two databases exactly."""

import collections

from target import ident

TABLES = """
SELECT c.oid, n.nspname, c.relname,
       array(SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
              AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = '%s' AND NOT (c.relkind = 'p' AND c.relispartition)
  AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
"""


def tables(connection, relkind="r"):
    cursor = connection.cursor()
    cursor.execute(TABLES % relkind)
    return {(schema, name): columns for _, schema, name, columns in cursor}


def rows(connection, schema, name, relkind="r"):
    """The rows as a multiset of texts."""
    cursor = connection.cursor()
    cursor.execute('SELECT "the row"::text FROM %s %s.%s AS "the row"' %
                   ("" if relkind == "p" else "ONLY", ident(schema), ident(name)))
    return collections.Counter(row for row, in cursor)


def differences(source, target, skip, relkind="r"):
    """(number of tables, lines that say what differs). Tables that are only
    in the target were dropped, which a stream does not tell."""
    ours, theirs = tables(source, relkind), tables(target)
    out = []
    for schema, name in sorted(ours):
        if (schema, name) in skip:
            continue
        title = "%s.%s" % (schema, name)
        if (schema, name) not in theirs:
            out.append(title + " is not in the target")
            continue
        if ours[schema, name] != theirs[schema, name]:
            out.append("%s has columns %s, in the target %s" %
                       (title, ours[schema, name], theirs[schema, name]))
            continue
        a, b = rows(source, schema, name, relkind), rows(target, schema, name)
        for which, only in (("source", a - b), ("target", b - a)):
            if only:
                out.append("%s: %d of %d rows only in the %s" %
                           (title, sum(only.values()), sum(a.values()), which))
                out += ["    %.300s" % row for row in sorted(only)[:3]]
    return len(ours), out
