/*
 * jsonbtext.c
 *	  Writes the text of jsonb values.
 *
 * JsonbToCString() looks at values one by one through an iterator, and appends strings
 * character by character. Here the containers are walked as they are stored, see
 * utils/jsonb.h: entries with type and length or end, then the values.
 */
#include "postgres.h"

#include "compat.h"
#include "values/jsonbtext.h"
#include "values/numerictext.h"
#include "wire/wire.h"

/* Containers within containers that are written by recursion; deeper ones are left to
 * the server, which does not need the stack. */
#define MAX_DEPTH 500

#define BYTES(b) (UINT64CONST(0x0101010101010101) * (b))
/* Has a word a byte that is zero, or below n (up to 128)? */
#define HAS_ZERO(w) (((w) - BYTES(1)) & ~(w) & BYTES(0x80))
#define HAS_LESS(w, n) (((w) - BYTES(n)) & ~(w) & BYTES(0x80))

/* Does JSON have these eight bytes of a string as they are? */
static inline bool
plain_word(const char *p)
{
	uint64		w;

	memcpy(&w, p, sizeof(w));
	return (HAS_LESS(w, 0x20) | HAS_ZERO(w ^ BYTES('"')) | HAS_ZERO(w ^ BYTES('\\'))) == 0;
}

static inline bool
plain_char(char c)
{
	return (unsigned char) c >= 0x20 && c != '"' && c != '\\';
}

static void
put_escape(StringInfo out, char c)
{
	static const char *const shorts[] = {
		['\b'] = "\\b",['\t'] = "\\t",['\n'] = "\\n",['\f'] = "\\f",['\r'] = "\\r",
		['"'] = "\\\"",['\\'] = "\\\\",
	};
	unsigned char u = (unsigned char) c;

	if (shorts[u] != NULL)
		appendBinaryStringInfo(out, shorts[u], 2);
	else
		appendStringInfo(out, "\\u%04x", u);
}

static void
put_string(StringInfo out, const char *text, int len)
{
	const char *end = text + len;
	char	   *p = cdc_reserve(out, len + 2);

	*p++ = '"';
	cdc_advance(out, p);
	while (text < end)
	{
		const char *start = text;

		while (end - text >= 8 && plain_word(text))
			text += 8;
		while (text < end && plain_char(*text))
			text++;
		p = cdc_reserve(out, (int) (text - start) + 1);
		memcpy(p, start, text - start);
		cdc_advance(out, p + (text - start));
		if (text < end)
			put_escape(out, *text++);
	}
	p = cdc_reserve(out, 1);
	*p++ = '"';
	cdc_advance(out, p);
}

static inline void
put_literal(StringInfo out, const char *text, int len)
{
	char	   *p = cdc_reserve(out, len);

	memcpy(p, text, len);
	cdc_advance(out, p + len);
}

#define PUT(out, literal) put_literal((out), (literal), (int) sizeof(literal) - 1)

static void put_container(StringInfo out, JsonbContainer *container, int depth);

/* A value of an array or object: its entry, and where the values of the container are, of
 * which it begins at `offset`. Returns where the next one begins. */
static uint32
put_value(StringInfo out, JEntry entry, char *base, uint32 offset, int depth)
{
	uint32		next = offset;

	JBE_ADVANCE_OFFSET(next, entry);
	if (JBE_ISSTRING(entry))
		put_string(out, base + offset, (int) (next - offset));
	else if (JBE_ISNUMERIC(entry))
		cdc_numeric_text(out, (struct varlena *) (base + INTALIGN(offset)));
	else if (JBE_ISCONTAINER(entry))
		put_container(out, (JsonbContainer *) (base + INTALIGN(offset)), depth + 1);
	else if (JBE_ISNULL(entry))
		PUT(out, "null");
	else if (JBE_ISBOOL_TRUE(entry))
		PUT(out, "true");
	else
		PUT(out, "false");
	return next;
}

static void
put_array(StringInfo out, JsonbContainer *array, int depth)
{
	int			count = JsonContainerSize(array);
	char	   *base = (char *) &array->children[count];
	uint32		offset = 0;

	if (!JsonContainerIsScalar(array))
		PUT(out, "[");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			PUT(out, ", ");
		offset = put_value(out, array->children[i], base, offset, depth);
	}
	if (!JsonContainerIsScalar(array))
		PUT(out, "]");
}

static void
put_object(StringInfo out, JsonbContainer *object, int depth)
{
	int			count = JsonContainerSize(object);
	char	   *base = (char *) &object->children[2 * count];
	uint32		key = 0;
	uint32		value = getJsonbOffset(object, count);

	PUT(out, "{");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			PUT(out, ", ");
		key = put_value(out, object->children[i], base, key, depth);
		PUT(out, ": ");
		value = put_value(out, object->children[count + i], base, value, depth);
	}
	PUT(out, "}");
}

static void
put_container(StringInfo out, JsonbContainer *container, int depth)
{
	if (unlikely(depth > MAX_DEPTH))
		(void) JsonbToCString(out, container, -1);
	else if (JsonContainerIsObject(container))
		put_object(out, container, depth);
	else
		put_array(out, container, depth);
}

void
cdc_jsonb_text(StringInfo out, Jsonb *jsonb)
{
	/* most of it is not escaped */
	(void) cdc_reserve(out, (int) VARSIZE(jsonb));
	put_container(out, &jsonb->root, 0);
}
