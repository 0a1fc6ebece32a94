"""Keeps the rows of keyed tables by the overlay rule, on bytes alone, and
compares them with the former rows that old = 'full' sends."""

from cdc.v1 import cdc_pb2 as pb
from stream import Damaged, fields, text


def split(row):
    """{number: the field's bytes}"""
    return {number: raw for number, _, _, raw in fields(row)}


def overlay(base, delta, nulls):
    kept = {n: raw for n, raw in base.items() if n not in delta and n not in nulls}
    return {**kept, **delta}


def forget(images, change, schema):
    """Another table may have the name now, or had it."""
    images.pop((change.former_schema, change.former_name), None)
    if schema is not None:
        images.pop((schema.table.schema, schema.table.name), None)


def check(batches):
    """Returns how many former rows were compared."""
    images = {}                         # {fingerprint: {key: row}}
    compared = 0
    for event in (e for batch in batches for e in batch.events):
        e, schema = event.pb, event.schema
        if e.op == pb.OP_SCHEMA:
            forget(images, e.schema_change, schema)
            continue
        if schema is None or not schema.keys:
            continue
        if schema.table.replica_identity != pb.REPLICA_IDENTITY_FULL:
            continue
        rows = images.setdefault((schema.table.schema, schema.table.name), {})
        if rows.get(None) != schema.fingerprint or e.op == pb.OP_TRUNCATE or e.rewrite_start:
            rows.clear()
            rows[None] = schema.fingerprint
        if e.op in (pb.OP_UPDATE, pb.OP_DELETE):
            former = {**split(e.key), **split(e.old)}
            known = rows.pop(e.key, former)
            if known != former:
                raise Damaged("%s: the former row is not what came before: %s" %
                              (text(event.position), sorted(known.items() ^ former.items())[:3]))
            compared += known is not former
            if e.op == pb.OP_UPDATE:
                after = overlay(former, {**split(e.new_key), **split(e.new)}, e.nulls)
                rows[e.new_key or e.key] = after
        elif e.op in (pb.OP_INSERT, pb.OP_REWRITE):
            rows[e.key] = split(e.key + e.new)
    return compared
