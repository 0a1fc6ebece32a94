"""Compares the tables of two databases exactly: at the end, and what was noted of the source
after each transaction."""

import collections

import psycopg2

from cdc.v1 import cdc_pb2 as pb
from tables import ident

# With the columns of the key, as docs/protocol.md 6 has it.
TABLES = """
SELECT n.nspname, c.relname,
       array(SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ||
                    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END ||
                    CASE WHEN a.attgenerated = 's' THEN ' generated' ELSE '' END ||
                    CASE WHEN a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) THEN ' key' ELSE '' END
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
              AND NOT a.attisdropped ORDER BY a.attnum),
       c.relreplident
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indimmediate AND i.indisvalid
      AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
WHERE c.relkind = '%s' AND NOT (c.relkind = 'p' AND c.relispartition)
  AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
"""
IDENTITIES = {pb.REPLICA_IDENTITY_DEFAULT: "d", pb.REPLICA_IDENTITY_INDEX: "i",
              pb.REPLICA_IDENTITY_FULL: "f", pb.REPLICA_IDENTITY_NOTHING: "n"}
DIGEST = """
SELECT %%s, coalesce(sum(length(t)), 0), md5(string_agg(t, E'\\n' ORDER BY t COLLATE "C"))
FROM (SELECT "the row"::text AS t FROM %s %s AS "the row") s
"""


def tables(connection, relkind="r"):
    """What the catalogs have: {(schema, name): [columns, identity]}"""
    cursor = connection.cursor()
    cursor.execute(TABLES % relkind)
    return {(schema, name): [columns, identity] for schema, name, columns, identity in cursor}


def tables_of(replica):
    """What the catalogs of a target have, and of keys what the stream says."""
    found = {}
    there = tables(replica.connection)
    for key, relation in replica.tables.held.items():
        columns, _ = there.pop(key)
        said = ["%s%s%s%s" % (
            text, " not null" * c.not_null, " generated" * c.generated, " key" * c.key)
            for text, c in zip(columns, relation.schema.table.columns)]
        said += ["%d columns more" % (len(columns) - len(said))] * (len(said) != len(columns))
        found[key] = [said, IDENTITIES[relation.schema.table.replica_identity]]
    found.update((key, ["no table of the stream"]) for key in there)
    return found


def full_name(key):
    return ident(key[0]) + "." + ident(key[1])


def rows(connection, key, relkind="r"):
    """The rows as a multiset of texts."""
    cursor = connection.cursor()
    cursor.execute('SELECT "the row"::text FROM %s %s AS "the row"' %
                   ("" if relkind == "p" else "ONLY", full_name(key)))
    return collections.Counter(row for row, in cursor)


def differences(source, replica, relkind="r"):
    """(number of tables, lines that say what differs)"""
    ours, theirs = tables(source, relkind), tables_of(replica)
    out = different_tables(ours, theirs)
    for key in sorted(ours.keys() & theirs.keys() - replica.tables.lost()):
        a, b = rows(source, key, relkind), rows(replica.connection, key)
        for which, only in (("source", a - b), ("target", b - a)):
            if only:
                out.append("%s: %d of %d rows only in the %s" %
                           (full_name(key), sum(only.values()), sum(a.values()), which))
                out += ["    %.300s" % row for row in sorted(only)[:3]]
    return len(ours), out


def different_tables(ours, theirs):
    out = ["%s is not in the %s" % (full_name(key), "target" if key in ours else "source")
           for key in sorted(ours.keys() ^ theirs.keys())]
    return out + ["%s is %s, in the target %s" % (full_name(key), ours[key], theirs[key])
                  for key in sorted(ours.keys() & theirs.keys()) if ours[key] != theirs[key]]


# --- after each transaction ---------------------------------------------------

def digests(connection, keys):
    """{(schema, name): number and hash of the rows}; without those that another session has
    locked."""
    keys = sorted(keys)
    try:
        return read_digests(connection, keys)
    except psycopg2.errors.LockNotAvailable:
        connection.rollback()
    if len(keys) <= 1:
        return {}
    half = len(keys) // 2
    return {**digests(connection, keys[:half]), **digests(connection, keys[half:])}


def read_digests(connection, keys):
    cursor = connection.cursor()
    if not keys:
        return {}
    cursor.execute(" UNION ALL ".join(DIGEST % ("ONLY", full_name(key).replace("%", "%%"))
                                      for key in keys), range(len(keys)))
    return {keys[i]: (length, digest) for i, length, digest in cursor}


def state(connection):
    """Of the source, after a transaction."""
    found = tables(connection)
    result = found, digests(connection, found)
    connection.commit()
    return result


def different_states(noted, replica):
    """What differs from what was noted of the source, as far as that could be read."""
    ours, read = noted
    theirs = tables_of(replica)
    out = different_tables(ours, theirs)
    here = digests(replica.connection, read.keys() & theirs.keys() - replica.tables.lost())
    return out + ["%s has other rows: %s, in the target %s" % (full_name(key), read[key], digest)
                  for key, digest in here.items() if read[key] != digest]
