/*
 * encode.c
 *	  Writes values.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/tupmacs.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/ascii.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "util/utf8.h"
#include "values/builttext.h"
#include "values/encode.h"
#include "values/jsonbtext.h"
#include "values/numerictext.h"
#include "wire/wire.h"

/* Room for a tag and a short value; writes the tag. */
static inline char *
start(StringInfo out, const CdcCodec *codec, int valuelen)
{
	char	   *p = cdc_reserve(out, (int) sizeof(codec->tag) + valuelen);

	memcpy(p, codec->tag, sizeof(codec->tag));
	return p + codec->taglen;
}

static inline void
put_varint(StringInfo out, const CdcCodec *codec, uint64 v)
{
	char	   *p = start(out, codec, CDC_MAX_VARINT);

	cdc_advance(out, cdc_varint(p, v));
}

static inline void
put_fixed64(StringInfo out, const CdcCodec *codec, uint64 v)
{
	char	   *p = start(out, codec, 8);

	cdc_advance(out, cdc_fixed64(p, v));
}

static inline void
put_bytes(StringInfo out, const CdcCodec *codec, const char *data, int len)
{
	char	   *p = start(out, codec, CDC_MAX_VARINT + len);

	p = cdc_varint(p, (uint64) len);
	memcpy(p, data, len);
	cdc_advance(out, p + len);
}

/* Tag and length of a nested message, for cdc_msg_end(). */
static inline int
begin_message(StringInfo out, const CdcCodec *codec)
{
	char	   *p = start(out, codec, 1);

	cdc_advance(out, p + 1);
	return out->len;
}

/*
 * Bytes that are no text: a server with UTF8 may have them from a time when
 * they were not checked, or in a damaged row. Each becomes the character U+10FE00
 * plus its value, of a private use area; where the text itself has one of these
 * characters, its four bytes are taken for such bytes, so that the text can be
 * told again. A zero byte is no text either.
 */
#define ESCAPE_BASE 0x10FE00

/* What is_valid_ascii() takes at a time, on any server. */
#define ASCII_CHUNK 16

/* Is p, where at least 4 bytes are, one of those characters? */
#define IS_ESCAPE(p) \
	((unsigned char) (p)[0] == 0xF4 && (unsigned char) (p)[1] == 0x8F && \
	 ((unsigned char) (p)[2] & 0xFC) == 0xB8)

/* All bytes are ASCII, and none is zero. */
static inline bool
is_ascii_text(const char *text, int len)
{
	const unsigned char *p = (const unsigned char *) text;
	int			bits = 0;

	/* the server checks multiples of ASCII_CHUNK; the last ones overlap */
	if (len >= ASCII_CHUNK)
		return is_valid_ascii(p, len - len % ASCII_CHUNK) &&
			is_valid_ascii(p + len - ASCII_CHUNK, ASCII_CHUNK);
	for (int i = 0; i < len; i++)
		bits |= p[i] | (p[i] - 1);
	return (bits & ~0x7F) == 0;
}

/* Valid UTF-8 that has no character which stands for a byte. */
static bool
is_plain_utf8(const char *text, int len)
{
	const char *end = text + len;

	if (pg_encoding_verifymbstr(PG_UTF8, text, len) != len)
		return false;
	for (const char *p = text; (p = memchr(p, 0xF4, end - p)) != NULL; p++)
		if (IS_ESCAPE(p))
			return false;
	return true;
}

/* Appends text with the escapes. */
static void
append_escaped_text(StringInfo out, const char *text, int len)
{
	const char *end = text + len;

	while (text < end)
	{
		int			charlen = cdc_utf8_char(text, (int) (end - text));
		unsigned char escape[4];

		if (charlen > 0 && *text != '\0' && !(charlen == 4 && IS_ESCAPE(text)))
		{
			appendBinaryStringInfo(out, text, charlen);
			text += charlen;
			continue;
		}
		unicode_to_utf8(ESCAPE_BASE + (unsigned char) *text, escape);
		appendBinaryStringInfo(out, (char *) escape, sizeof(escape));
		text++;
	}
}

/* Text that is not all ASCII, in the server's encoding. */
static void
put_text_slowly(StringInfo out, const CdcCodec *codec, const char *text, int len)
{
	const char *utf8 = text;
	int			body;

	if (GetDatabaseEncoding() != PG_UTF8)
	{
		utf8 = (const char *)
			pg_do_encoding_conversion((unsigned char *) unconstify(char *, text), len,
									  GetDatabaseEncoding(), PG_UTF8);
		put_bytes(out, codec, utf8, utf8 != text ? (int) strlen(utf8) : len);
	}
	else if (is_plain_utf8(text, len))
		put_bytes(out, codec, text, len);
	else
	{
		body = begin_message(out, codec);
		append_escaped_text(out, text, len);
		cdc_msg_end(out, body);
	}
}

/* Text in the server's encoding. */
static inline void
put_text(StringInfo out, const CdcCodec *codec, const char *text, int len)
{
	if (likely(is_ascii_text(text, len)))
		put_bytes(out, codec, text, len);
	else
		put_text_slowly(out, codec, text, len);
}

/*
 * Where an event may not become larger than memory allows, see attempt.c: a value that
 * would alone is not unpacked.
 */
static void
require_room(StringInfo out, Datum value)
{
	if (out->cursor > 0 && toast_raw_datum_size(value) > (Size) (out->cursor - out->len))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg(CDC_TOO_LARGE)));
}

/* Of types with a varlena header. */
static inline void
check_room(StringInfo out, Datum value)
{
	Pointer		v = DatumGetPointer(value);

	if (unlikely(VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v)))
		require_room(out, value);
}

static inline struct varlena *
unpack(StringInfo out, Datum value)
{
	check_room(out, value);
	return cdc_packed(value);
}

void
cdc_encode_bool(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, DatumGetBool(value) ? 1 : 0);
}

void
cdc_encode_int2(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt16(value)));
}

/* int4, and date: days since 2000-01-01 */
void
cdc_encode_int4(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt32(value)));
}

void
cdc_encode_int8(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt64(value)));
}

/* int8, for readers of a version in which the column was narrower */
void
cdc_encode_int8_as_int4(StringInfo out, const CdcCodec *codec, Datum value)
{
	int64		v = DatumGetInt64(value);

	if (v < PG_INT32_MIN || v > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value does not fit the narrower type of the version that is asked for")));
	put_varint(out, codec, cdc_zigzag(v));
}

void
cdc_encode_uint32(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, DatumGetUInt32(value));
}

/* time: microseconds since midnight */
void
cdc_encode_time(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, (uint64) DatumGetTimeADT(value));
}

void
cdc_encode_float4(StringInfo out, const CdcCodec *codec, Datum value)
{
	float4		f = DatumGetFloat4(value);
	uint32		bits;
	char	   *p = start(out, codec, 4);

	memcpy(&bits, &f, sizeof(bits));
	cdc_advance(out, cdc_fixed32(p, bits));
}

void
cdc_encode_float8(StringInfo out, const CdcCodec *codec, Datum value)
{
	float8		f = DatumGetFloat8(value);
	uint64		bits;

	memcpy(&bits, &f, sizeof(bits));
	put_fixed64(out, codec, bits);
}

/* timestamp, timestamptz: microseconds since 2000-01-01 */
void
cdc_encode_timestamp(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_fixed64(out, codec, (uint64) DatumGetTimestamp(value));
}

void
cdc_encode_uuid(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_bytes(out, codec, (const char *) DatumGetUUIDP(value)->data, UUID_LEN);
}

/* bytea; and text in a SQL_ASCII database */
void
cdc_encode_varlena_bytes(StringInfo out, const CdcCodec *codec, Datum value)
{
	struct varlena *v = unpack(out, value);

	put_bytes(out, codec, VARDATA_ANY(v), (int) VARSIZE_ANY_EXHDR(v));
}

/* text, varchar, bpchar, json, and others that are stored as text */
void
cdc_encode_varlena_text(StringInfo out, const CdcCodec *codec, Datum value)
{
	struct varlena *v = unpack(out, value);

	put_text(out, codec, VARDATA_ANY(v), (int) VARSIZE_ANY_EXHDR(v));
}

/* Puts the escapes into the text from `start` on. */
static void
escape_text(StringInfo out, int start)
{
	const char *text = out->data + start;
	int			len = out->len - start;
	char	   *copy;

	if (is_ascii_text(text, len) || is_plain_utf8(text, len))
		return;
	copy = palloc(len);
	memcpy(copy, text, len);
	out->len = start;
	append_escaped_text(out, copy, len);
	pfree(copy);
}

/* jsonb: its text is made in place. */
void
cdc_encode_jsonb(StringInfo out, const CdcCodec *codec, Datum value)
{
	Jsonb	   *jsonb;
	int			body;

	if (unlikely(GetDatabaseEncoding() != PG_UTF8))
	{
		cdc_encode_output(out, codec, value);
		return;
	}
	check_room(out, value);
	jsonb = DatumGetJsonbP(value);
	body = begin_message(out, codec);
	cdc_jsonb_text(out, jsonb);
	escape_text(out, body);
	cdc_msg_end(out, body);
}

/* numeric: likewise. */
void
cdc_encode_numeric(StringInfo out, const CdcCodec *codec, Datum value)
{
	int			body = begin_message(out, codec);

	cdc_numeric_text(out, cdc_packed(value));
	cdc_msg_end(out, body);
}

/* "char": a byte. One that is not ASCII alone is no text in any encoding, so
 * it is written as PostgreSQL 16 and later print it, \ooo, on all servers. */
void
cdc_encode_char(StringInfo out, const CdcCodec *codec, Datum value)
{
	unsigned char c = (unsigned char) DatumGetChar(value);
	char		octal[5];

	if (IS_HIGHBIT_SET(c))
	{
		snprintf(octal, sizeof(octal), "\\%03o", c);
		put_bytes(out, codec, octal, 4);
	}
	else
		put_bytes(out, codec, (const char *) &c, c == '\0' ? 0 : 1);
}

static inline char *
output_text(StringInfo out, const CdcCodec *codec, Datum value)
{
	if (codec->varlena)
		check_room(out, value);
	return OutputFunctionCall(unconstify(FmgrInfo *, &codec->output), value);
}

/* Everything else: the type's text output. */
void
cdc_encode_output(StringInfo out, const CdcCodec *codec, Datum value)
{
	char	   *text = output_text(out, codec, value);

	put_text(out, codec, text, strlen(text));
}

/* time with time zone; PostgreSQL counts seconds west */
void
cdc_encode_timetz(StringInfo out, const CdcCodec *codec, Datum value)
{
	TimeTzADT  *timetz = DatumGetTimeTzADTP(value);
	int			body;

	body = begin_message(out, codec);
	cdc_field_uint_opt(out, 1, (uint64) timetz->time);
	cdc_field_uint_opt(out, 2, cdc_zigzag(-(int64) timetz->zone));
	cdc_msg_end(out, body);
}

void
cdc_encode_interval(StringInfo out, const CdcCodec *codec, Datum value)
{
	Interval   *interval = DatumGetIntervalP(value);
	int			body;

	body = begin_message(out, codec);
	cdc_field_uint_opt(out, 1, cdc_zigzag(interval->month));
	cdc_field_uint_opt(out, 2, cdc_zigzag(interval->day));
	cdc_field_uint_opt(out, 3, cdc_zigzag(interval->time));
	cdc_msg_end(out, body);
}

/* The positions of NULL elements. */
static void
put_null_positions(StringInfo out, const uint8 *bitmap, int n)
{
	int			body = -1;

	for (int i = 0; i < n; i++)
	{
		if (!att_isnull(i, bitmap))
			continue;
		if (body < 0)
			body = cdc_msg_begin(out, CDC_ARRAY_NULLS);
		cdc_put_varint(out, i);
	}
	if (body >= 0)
		cdc_msg_end(out, body);
}

/* What stands in the place of a NULL element. */
static void
put_null_element(StringInfo out, const CdcArrayCodec *ac)
{
	char	   *p;

	if (ac->kind == CDC_ARRAY_LEN)
	{
		cdc_field_bytes(out, CDC_ARRAY_VALUES, "", 0);
		return;
	}
	p = cdc_reserve(out, ac->zero_len);
	memset(p, 0, ac->zero_len);
	cdc_advance(out, p + ac->zero_len);
}

/* One of the *Array messages. */
void
cdc_encode_array(StringInfo out, const CdcCodec *codec, Datum value)
{
	const CdcArrayCodec *ac = codec->array;
	ArrayType  *array;
	int			ndim;
	int			n;
	const uint8 *bitmap;
	char	   *p;
	int			body;
	int			values = 0;

	check_room(out, value);
	array = DatumGetArrayTypeP(value);
	ndim = ARR_NDIM(array);
	n = ArrayGetNItems(ndim, ARR_DIMS(array));
	bitmap = ARR_NULLBITMAP(array);
	p = ARR_DATA_PTR(array);
	body = begin_message(out, codec);
	if (ac->kind == CDC_ARRAY_PACKED && n > 0)
		values = cdc_msg_begin(out, CDC_ARRAY_VALUES);
	for (int i = 0; i < n; i++)
	{
		if (bitmap != NULL && att_isnull(i, bitmap))
		{
			put_null_element(out, ac);
			continue;
		}
		ac->element.encode(out, &ac->element, fetch_att(p, ac->typbyval, ac->typlen));
		p = att_addlength_pointer(p, ac->typlen, p);
		p = (char *) att_align_nominal(p, ac->typalign);
	}
	if (values > 0)
		cdc_msg_end(out, values);
	if (bitmap != NULL)
		put_null_positions(out, bitmap, n);
	if (ndim > 1 || (ndim == 1 && ARR_LBOUND(array)[0] != 1))
	{
		uint32		bounds[MAXDIM];

		cdc_field_packed(out, CDC_ARRAY_DIMENSIONS, (uint32 *) ARR_DIMS(array), ndim);
		for (int i = 0; i < ndim; i++)
			bounds[i] = (uint32) cdc_zigzag(ARR_LBOUND(array)[i]);
		cdc_field_packed(out, CDC_ARRAY_LOWER_BOUNDS, bounds, ndim);
	}
	cdc_msg_end(out, body);
}

void
cdc_encode_output_bytes(StringInfo out, const CdcCodec *codec, Datum value)
{
	char	   *text = output_text(out, codec, value);

	put_bytes(out, codec, text, strlen(text));
}

/* The text of what is written without an output function of its own. */
static StringInfoData
built_text(StringInfo out, const CdcCodec *codec, Datum value)
{
	StringInfoData text;

	check_room(out, value);
	initStringInfo(&text);
	text.cursor = out->cursor;
	cdc_built_text(&text, codec->built, value);
	return text;
}

void
cdc_encode_built(StringInfo out, const CdcCodec *codec, Datum value)
{
	StringInfoData text = built_text(out, codec, value);

	*cdc_reserve(&text, 1) = '\0';
	put_text(out, codec, text.data, text.len);
}

void
cdc_encode_built_bytes(StringInfo out, const CdcCodec *codec, Datum value)
{
	StringInfoData text = built_text(out, codec, value);

	put_bytes(out, codec, text.data, text.len);
}
