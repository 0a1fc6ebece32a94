"""Values of a row, from the wire to PostgreSQL's input syntax."""

import math
import struct
import uuid

from cdc.v1 import cdc_pb2 as pb
from stream import FIXED32, FIXED64, LEN, VARINT, Damaged, fields, read_varint

DAY = 86400 * 1000000


def zigzag(n):
    return (n >> 1) ^ -(n & 1)


def sint(bits):
    def decode(raw):
        value = zigzag(raw)
        if not -1 << (bits - 1) <= value < 1 << (bits - 1):
            raise Damaged("%d is no int%d" % (value, bits // 8))
        return str(value)
    return decode


def uint32(raw):
    if raw >= 1 << 32:
        raise Damaged("%d is no uint32" % raw)
    return str(raw)


def boolean(raw):
    return {0: "f", 1: "t"}[raw]


def floating(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def date_of(days):
    """(text, BC or not) of a number of days since 2000-01-01."""
    days += 730425                      # since 0000-03-01
    era, of_era = divmod(days, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (month <= 2)
    return "%04d-%02d-%02d" % (year if year > 0 else 1 - year, month, day), year <= 0


def date(raw):
    days = zigzag(raw)
    if days in (0x7FFFFFFF, -0x80000000):
        return "infinity" if days > 0 else "-infinity"
    text, bc = date_of(days)
    return text + (" BC" if bc else "")


def time_of(us):
    seconds, us = divmod(us, 1000000)
    return "%02d:%02d:%02d.%06d" % (seconds // 3600, seconds // 60 % 60, seconds % 60, us)


def time(raw):
    if raw > DAY:
        raise Damaged("%d is no time of day" % raw)
    return time_of(raw)


def timestamp(zone):
    def decode(raw):
        us = struct.unpack("<q", raw)[0]
        if us in ((1 << 63) - 1, -1 << 63):
            return "infinity" if us > 0 else "-infinity"
        days, us = divmod(us, DAY)
        text, bc = date_of(days)
        return text + " " + time_of(us) + zone + (" BC" if bc else "")
    return decode


def string(raw):
    return raw.decode("utf-8")


def of_uuid(raw):
    return str(uuid.UUID(bytes=raw))


def message(raw, names):
    """The varint fields of a small message, by number; 0 where absent."""
    values = dict.fromkeys(names, 0)
    for number, wire, value, _ in fields(raw):
        if number not in values or wire != VARINT:
            raise Damaged("field %d" % number)
        values[number] = value
    return [values[number] for number in names]


def timetz(raw):
    us, offset = message(raw, (1, 2))
    east = zigzag(offset)
    sign, east = ("-", -east) if east < 0 else ("+", east)
    return "%s%s%02d:%02d:%02d" % (time(us), sign, east // 3600, east // 60 % 60, east % 60)


def interval(raw):
    months, days, us = (zigzag(value) for value in message(raw, (1, 2, 3)))
    if (months, days, us) == (0x7FFFFFFF, 0x7FFFFFFF, (1 << 63) - 1):
        return "infinity"
    if (months, days, us) == (-0x80000000, -0x80000000, -1 << 63):
        return "-infinity"
    return "%d mons %d days %s%d.%06d secs" % (
        months, days, "-" if us < 0 else "", abs(us) // 1000000, abs(us) % 1000000)


# Elements that stand in an array as they do in a row, and the wire type of
# one. All others are text.
ELEMENTS = {pb.TYPE_BOOL: VARINT, pb.TYPE_INT32: VARINT, pb.TYPE_INT64: VARINT,
            pb.TYPE_UINT32: VARINT, pb.TYPE_FLOAT: FIXED32, pb.TYPE_DOUBLE: FIXED64,
            pb.TYPE_BYTES: LEN, pb.TYPE_UUID: LEN}


def varints(raw):
    out, at = [], 0
    while at < len(raw):
        value, at = read_varint(raw, at)
        out.append(value)
    return out


def unpacked(wire, raw):
    """Elements of a packed field."""
    if wire == VARINT:
        return varints(raw)
    size = {FIXED32: 4, FIXED64: 8}[wire]
    if len(raw) % size:
        raise Damaged("packed elements of another size")
    return [raw[i:i + size] for i in range(0, len(raw), size)]


def parse_array(element, raw):
    """(values with None for NULL, sizes and lower bounds of the dimensions)"""
    element_wire = ELEMENTS.get(element, LEN)
    values, numbers = [], {2: [], 3: [], 4: []}
    for number, wire, value, _ in fields(raw):
        if wire != LEN:
            raise Damaged("array has wire type %d" % wire)
        if number != 1:
            numbers[number] += varints(value)
        elif element_wire == LEN:
            values.append(value)
        else:
            values += unpacked(element_wire, value)
    nulls, dims, bounds = numbers[2], numbers[3], [zigzag(b) for b in numbers[4]]
    if nulls != sorted(set(nulls)) or any(n >= len(values) or values[n] not in (0, b"") and
                                          any(values[n]) for n in nulls):
        raise Damaged("NULLs of an array")
    if bounds == [1] or len(dims) != len(bounds):
        raise Damaged("dimensions of an array that need not be there, or are incomplete")
    if not dims and values:
        dims, bounds = [len(values)], [1]
    if len(dims) > 6 or math.prod(dims) != len(values) and dims:
        raise Damaged("array of dimensions %s has %d elements" % (dims, len(values)))
    return [None if i in set(nulls) else v for i, v in enumerate(values)], dims, bounds


def nested(dims, texts, left, right, delimiter=","):
    for size in reversed(dims):
        texts = [left + delimiter.join(texts[i:i + size]) + right
                 for i in range(0, len(texts), size)]
    return texts[0]


def element_text(element, raw):
    return (DECODERS[element][1] if element in ELEMENTS else string)(raw)


def array(element, delimiter=","):
    """Decodes to an array literal with every element quoted."""
    def decode(raw):
        values, dims, bounds = parse_array(element, raw)
        if not values:
            return "{}"
        texts = ["NULL" if v is None else '"%s"' % element_text(element, v).replace(
            "\\", "\\\\").replace('"', '\\"') for v in values]
        ranges = "".join("[%d:%d]" % (b, b + d - 1) for b, d in zip(bounds, dims))
        return ranges + "=" + nested(dims, texts, "{", "}", delimiter)
    return decode


DECODERS = {
    pb.TYPE_BOOL: (VARINT, boolean),
    pb.TYPE_INT32: (VARINT, sint(32)),
    pb.TYPE_INT64: (VARINT, sint(64)),
    pb.TYPE_UINT32: (VARINT, uint32),
    pb.TYPE_FLOAT: (FIXED32, lambda raw: floating(struct.unpack("<f", raw)[0])),
    pb.TYPE_DOUBLE: (FIXED64, lambda raw: floating(struct.unpack("<d", raw)[0])),
    pb.TYPE_NUMERIC: (LEN, string),
    pb.TYPE_TEXT: (LEN, string),
    pb.TYPE_JSON: (LEN, string),
    pb.TYPE_BYTES: (LEN, lambda raw: "\\x" + raw.hex()),
    pb.TYPE_UUID: (LEN, of_uuid),
    pb.TYPE_TIMESTAMP: (FIXED64, timestamp("")),
    pb.TYPE_TIMESTAMPTZ: (FIXED64, timestamp("+00")),
    pb.TYPE_DATE: (VARINT, date),
    pb.TYPE_TIME: (VARINT, time),
    pb.TYPE_TIMETZ: (LEN, timetz),
    pb.TYPE_INTERVAL: (LEN, interval),
    pb.TYPE_OTHER: (LEN, string),
}


def decoder(column):
    if column.type != pb.TYPE_ARRAY:
        return DECODERS[column.type]
    # the only built-in type with another delimiter
    return LEN, array(column.element, ";" if column.pg_type == "pg_catalog.box[]" else ",")


def row(schema, data):
    """{attnum: text} of a row; the fields must ascend."""
    out = {}
    last = 0
    for number, wire, raw, _ in fields(data):
        column = schema.columns.get(number)
        if column is None or number <= last:
            raise Damaged("field %d in a row of %s" % (number, schema.table.name))
        last = number
        expected, decode = decoder(column)
        if wire != expected:
            raise Damaged("column %s has wire type %d" % (column.name, wire))
        out[number] = decode(raw)
    return out


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def literal(column, text):
    """A value as an SQL expression of the column's type."""
    if text is None:
        return "NULL"
    if column.pg_type == 'pg_catalog."char"' and len(text) == 4:
        # \ooo, which servers before 16 print otherwise and do not read
        byte = int(text[1:], 8)
        return '(%d)::pg_catalog."char"' % (byte - 256)
    return quote(text) + "::" + column.pg_type
