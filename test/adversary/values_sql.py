"""Values with fresh markers, as SQL, for the types that columns have."""

TYPES = ["text"] * 6 + ["character varying(200)", "jsonb", "jsonb", "json", "bytea", "text[]",
                        "wtypes.dom", "wtypes.comp"]
PATHS = ["$.secret", "$.open", "$.list[*]"]


def quoted(text):
    return "'%s'" % text.replace("'", "''")


def value(rng, kind, new):
    """(the SQL of a value, [(marker, path)]). new: makes a marker's number and text."""
    if kind in ("json", "jsonb"):
        markers = [(new(), path) for path in PATHS]
        texts = tuple(m[0][1] for m in markers)
        return ("'{\"secret\": \"%s\", \"open\": \"%s\", \"list\": [\"%s\", 1]}'" % texts,
                [(number, path) for (number, _), path in markers])
    number, text = new()
    made = {
        "bytea": "convert_to('%s', 'UTF8')",
        "text[]": "ARRAY['%s', NULL]",
        "wtypes.comp": "ROW('%s', 1)::wtypes.comp",
        "wtypes.dom": "'d %s'",
        "text": rng.choice(["'%s'"] * 6 + ["'v %s.' || repeat('z', 3000)", "'%s@b.c'",
                           "'%s' || (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100) i)"]),
    }.get(kind, "'%s'" if kind.startswith("character varying") else None)
    if made is None:
        return None, []
    return made % text, [(number, None)]


# to each type: (another, the expression that makes it). What would grow each time is cut, or
# columns that go to and fro would have megabytes in the end; markers stand in front.
CHANGES = {
    "text": [("character varying(200)", "left(%s, 200)"), ("jsonb", "to_jsonb(left(%s, 4000))"),
             ("bytea", "convert_to(%s, 'UTF8')"), ("text[]", "ARRAY[%s]"), ("wtypes.dom", "%s")],
    "character varying(200)": [("text", "%s"), ("character varying(300)", "%s")],
    "jsonb": [("text", "%s::text"), ("json", "%s::json")],
    "json": [("text", "%s::text"), ("jsonb", "%s::jsonb")],
    "bytea": [("text", "left(encode(%s, 'hex'), 8000)")],
    "text[]": [("text", "array_to_string(%s, ',')")],
    "wtypes.dom": [("text", "%s")],
    "wtypes.comp": [("text", "(%s).x")],
}
