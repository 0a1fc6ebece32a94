"""The JSON form of a batch, from the specification alone."""

import json
import math
import re
import struct
from fractions import Fraction

import values
from cdc.v1 import cdc_pb2 as pb
from stream import fields, text

ESCAPES = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
           '"': '\\"', "\\": "\\\\"}


def string(s):
    return '"%s"' % re.sub(r'[\x00-\x1f"\\]',
                           lambda m: ESCAPES.get(m[0], "\\u%04x" % ord(m[0])), s)


def hexadecimal(data):
    return string("\\x" + data.hex())


def lsn(n):
    return '"%X/%X"' % (n >> 32, n & 0xFFFFFFFF)


def shortest_float4(value):
    """Digits and exponent of the shortest decimal that reads back, and of
    those the nearest."""
    for n in range(9):
        found = "%.*e" % (n, value)
        try:
            if struct.pack("<f", float(found)) == struct.pack("<f", value):
                return found
        except OverflowError:           # rounded up beyond the greatest
            pass
    raise ValueError(value)


def floating(value, digits, limit):
    """digits: the number, in Python's exponent form."""
    special = values.floating(value)
    if special in ("NaN", "Infinity", "-Infinity"):
        return string(special)
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    sign, body = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    mantissa, exponent = body.split("e")
    mantissa, exponent = mantissa.replace(".", "").rstrip("0"), int(exponent)
    if not -4 <= exponent < limit:
        point = "." + mantissa[1:] if len(mantissa) > 1 else ""
        return "%s%s%se%s%02d" % (sign, mantissa[0], point, "-" if exponent < 0 else "+",
                                  abs(exponent))
    if exponent < 0:
        return sign + "0." + "0" * (-exponent - 1) + mantissa
    whole, fraction = mantissa[:exponent + 1], mantissa[exponent + 1:]
    return sign + whole.ljust(exponent + 1, "0") + ("." + fraction if fraction else "")


def double(raw):
    value = struct.unpack("<d", raw)[0]
    return floating(value, shortest_float8(value) if math.isfinite(value) else "", 15)


def shortest_float8(value):
    """Python's are the shortest that read back; of those that lie half way to the
    next number PostgreSQL takes more."""
    digits = repr(value).lower().split("e")[0].replace("-", "").replace(".", "").strip("0")
    for n in range(len(digits) or 1, 18):
        text = "%.*e" % (n - 1, value)
        if not any(Fraction(text) * 2 == Fraction(value) + Fraction(math.nextafter(value, to))
                   for to in (-math.inf, math.inf) if math.isfinite(math.nextafter(value, to))):
            return text
    return text


def single(raw):
    value = struct.unpack("<f", raw)[0]
    finite = value == value and abs(value) != float("inf")
    return floating(value, shortest_float4(value) if finite else "", 6)


def time(raw):
    return string(trimmed(values.time(raw)))


def trimmed(s):
    return re.sub(r"\.?0*$", "", s) if "." in s else s


def timestamp(zone):
    decode = values.timestamp("")

    def render(raw):
        s = decode(raw)
        if s.endswith("infinity"):
            return string(s)
        s, bc = (s[:-3], " BC") if s.endswith(" BC") else (s, "")
        return string(trimmed(s.replace(" ", "T")) + zone + bc)
    return render


def numeric(raw):
    s = raw.decode()
    return s if s[-1].isdigit() else string(s)


def embedded(raw):
    """Blanks outside of strings removed."""
    s = raw.decode()
    json.loads(s)
    return "".join(re.sub(r"[ \t\r\n]", "", part) if i % 2 == 0 else part
                   for i, part in enumerate(re.split(r'("(?:[^"\\]|\\.)*")', s)))


def timetz(raw):
    us, offset = values.message(raw, (1, 2))
    east = values.zigzag(offset)
    sign, east = ("-", -east) if east < 0 else ("+", east)
    seconds = ":%02d" % (east % 60) if east % 60 else ""
    return string("%s%s%02d:%02d%s" % (trimmed(values.time(us)), sign, east // 3600,
                                       east // 60 % 60, seconds))


def interval(raw):
    if values.interval(raw).endswith("infinity"):
        return string(values.interval(raw))
    parts = (values.zigzag(v) for v in values.message(raw, (1, 2, 3)))
    return '{"months":%d,"days":%d,"microseconds":%d}' % tuple(parts)


VALUES = {
    pb.TYPE_BOOL: lambda raw: "true" if raw else "false",
    pb.TYPE_INT32: values.sint(32), pb.TYPE_INT64: values.sint(64),
    pb.TYPE_UINT32: values.uint32,
    pb.TYPE_FLOAT: single, pb.TYPE_DOUBLE: double, pb.TYPE_NUMERIC: numeric,
    pb.TYPE_TEXT: lambda raw: string(raw.decode()),
    pb.TYPE_OTHER: lambda raw: string(raw.decode()),
    pb.TYPE_JSON: embedded, pb.TYPE_BYTES: hexadecimal,
    pb.TYPE_UUID: lambda raw: string(values.of_uuid(raw)),
    pb.TYPE_TIMESTAMP: timestamp(""), pb.TYPE_TIMESTAMPTZ: timestamp("+00:00"),
    pb.TYPE_DATE: lambda raw: string(values.date(raw)), pb.TYPE_TIME: time,
    pb.TYPE_TIMETZ: timetz, pb.TYPE_INTERVAL: interval,
}


def literal_element(element, raw):
    """As PostgreSQL prints it in an array."""
    if element in (pb.TYPE_FLOAT, pb.TYPE_DOUBLE):
        s = VALUES[element](raw).strip('"')
    else:
        s = values.element_text(element, raw)
    if s and s.upper() != "NULL" and not re.search(r'["\\{}, \t\n\r\v\f]', s):
        return s
    return '"%s"' % s.replace("\\", "\\\\").replace('"', '\\"')


def array(element, raw):
    elements, dims, bounds = values.parse_array(element, raw)
    if not elements:
        return "[]"
    shifted = any(b != 1 for b in bounds)
    # an element that is null is not NULL
    ambiguous = element == pb.TYPE_JSON and any(
        v is not None and v.strip(b" \t\n\r") == b"null" for v in elements)
    if shifted or ambiguous:
        texts = ["NULL" if v is None else literal_element(element, v) for v in elements]
        ranges = "".join("[%d:%d]" % (b, b + d - 1) for b, d in zip(bounds, dims)) + "="
        return string((ranges if shifted else "") + values.nested(dims, texts, "{", "}"))
    in_row = element in values.ELEMENTS or element in (pb.TYPE_NUMERIC, pb.TYPE_JSON)
    render = VALUES[element if in_row else pb.TYPE_TEXT]
    return values.nested(dims, ["null" if v is None else render(v) for v in elements], "[", "]")


def value(column, raw):
    if column.type == pb.TYPE_ARRAY:
        return array(column.element, raw)
    return VALUES[column.type](raw)


def row(schema, data, nulls=()):
    by_number = {number: raw for number, _, raw, _ in fields(data)}
    members = []
    for c in schema.table.columns:
        if c.number in nulls:
            members.append((c.name, "null"))
        elif c.number in by_number:
            members.append((c.name, value(c, by_number[c.number])))
    return members


def obj(members):
    return "{%s}" % ",".join("%s:%s" % (string(k), v) for k, v in members)


def name(*parts):
    return ".".join(p if re.fullmatch("[a-z_][a-z0-9_]*", p) else
                    '"%s"' % p.replace('"', '""') for p in parts)


def of_transaction(batch):
    if not batch.HasField("transaction"):
        return []
    t = batch.transaction
    since_2000 = struct.pack("<q", t.commit_time - 946684800000000)
    return [("xid", str(t.xid)), ("commit_time", VALUES[pb.TYPE_TIMESTAMPTZ](since_2000))]


def metadata(batch):
    entries = batch.transaction.metadata
    return [("metadata", obj([(k, string(entries[k])) for k in
                              sorted(entries, key=str.encode)]))] if entries else []


def schema_change(change):
    kind = pb.SchemaChangeKind.Name(change.kind)[len("SCHEMA_CHANGE_KIND_"):]
    members = [("change", string(kind.lower())), ("command", string(change.command_tag))]
    if change.former_name:
        members.append(("former_relation", string(name(change.former_schema, change.former_name))))
    return members


def event_line(batch, event):
    e, schema = event.pb, event.schema
    line = [("position", string(text(event.position)))] + of_transaction(batch)
    line.append(("op", string(pb.Op.Name(e.op)[3:])))
    if schema is not None:
        line.append(("relation", string(name(schema.table.schema, schema.table.name))))
        line.append(("fingerprint", string("%016x" % schema.fingerprint)))
        for member, data, nulls in (("key", e.key, ()), ("new_key", e.new_key, ()),
                                    ("old", e.old, ()), ("new", e.new, set(e.nulls))):
            members = row(schema, data, nulls)
            if members:
                line.append((member, obj(members)))
        nulls = [c.name for c in schema.table.columns
                 if c.type == pb.TYPE_JSON and c.number in e.nulls]
        if nulls:
            line.append(("nulls", "[%s]" % ",".join(map(string, nulls))))
    line += metadata(batch)
    line += [(flag, "true") for flag in ("cascade", "restart_identity")
             if getattr(e.truncate, flag)]
    if e.HasField("message"):
        line += [("transactional", "true" if e.message.transactional else "false"),
                 ("prefix", string(e.message.prefix)),
                 ("content", hexadecimal(e.message.content))]
    if e.HasField("schema_change"):
        line += schema_change(e.schema_change)
    if e.rewrite_start:
        line.append(("rewrite_start", "true"))
    return obj(line)


def lines(batches):
    for batch in batches:
        for event in batch.events:
            yield event_line(batch.pb, event)
        if batch.outcome is not None:
            t = batch.pb.transaction
            line = of_transaction(batch.pb)
            line.append(("op", string(pb.Outcome.Name(batch.outcome)[8:])))
            if t.origin:
                line.append(("origin", string(t.origin)))
            line += metadata(batch.pb)
            line += [("commit_lsn", lsn(t.commit_lsn)), ("end_lsn", lsn(batch.pb.end_lsn)),
                     ("event_count", str(batch.pb.event_count))]
            yield obj(line)
