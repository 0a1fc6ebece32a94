/*
 * typcodec.c
 *	  Encoders of values and the table that maps types to them.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "typcodec.h"
#include "wire.h"

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

/* Text in the server's encoding. */
static inline void
put_text(StringInfo out, const CdcCodec *codec, const char *text, int len)
{
	const char *utf8 = text;

	if (unlikely(GetDatabaseEncoding() != PG_UTF8 && len > 0))
	{
		utf8 = (const char *)
			pg_do_encoding_conversion((unsigned char *) unconstify(char *, text), len,
									  GetDatabaseEncoding(), PG_UTF8);
		if (utf8 != text)
			len = strlen(utf8);
	}
	put_bytes(out, codec, utf8, len);
}

static void
encode_bool(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, DatumGetBool(value) ? 1 : 0);
}

static void
encode_int2(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt16(value)));
}

/* int4, and date: days since 2000-01-01 */
static void
encode_int4(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt32(value)));
}

static void
encode_int8(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, cdc_zigzag(DatumGetInt64(value)));
}

static void
encode_uint32(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, DatumGetUInt32(value));
}

/* time: microseconds since midnight */
static void
encode_time(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_varint(out, codec, (uint64) DatumGetTimeADT(value));
}

static void
encode_float4(StringInfo out, const CdcCodec *codec, Datum value)
{
	float4		f = DatumGetFloat4(value);
	uint32		bits;
	char	   *p = start(out, codec, 4);

	memcpy(&bits, &f, sizeof(bits));
	cdc_advance(out, cdc_fixed32(p, bits));
}

static void
encode_float8(StringInfo out, const CdcCodec *codec, Datum value)
{
	float8		f = DatumGetFloat8(value);
	uint64		bits;

	memcpy(&bits, &f, sizeof(bits));
	put_fixed64(out, codec, bits);
}

/* timestamp, timestamptz: microseconds since 2000-01-01 */
static void
encode_timestamp(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_fixed64(out, codec, (uint64) DatumGetTimestamp(value));
}

static void
encode_uuid(StringInfo out, const CdcCodec *codec, Datum value)
{
	put_bytes(out, codec, (const char *) DatumGetUUIDP(value)->data, UUID_LEN);
}

/* bytea; and text in a SQL_ASCII database */
static void
encode_varlena_bytes(StringInfo out, const CdcCodec *codec, Datum value)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

	put_bytes(out, codec, VARDATA_ANY(v), (int) VARSIZE_ANY_EXHDR(v));
}

/* text, varchar, bpchar, json, and others that are stored as text */
static void
encode_varlena_text(StringInfo out, const CdcCodec *codec, Datum value)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

	put_text(out, codec, VARDATA_ANY(v), (int) VARSIZE_ANY_EXHDR(v));
}

/* "char": a byte. One that is not ASCII alone is no text in any encoding, so
 * it is written as PostgreSQL 16 and later print it, \ooo, on all servers. */
static void
encode_char(StringInfo out, const CdcCodec *codec, Datum value)
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

/* Everything else: the type's text output. */
static void
encode_output(StringInfo out, const CdcCodec *codec, Datum value)
{
	char	   *text = OutputFunctionCall(unconstify(FmgrInfo *, &codec->output), value);

	put_text(out, codec, text, strlen(text));
}

static void
encode_output_bytes(StringInfo out, const CdcCodec *codec, Datum value)
{
	char	   *text = OutputFunctionCall(unconstify(FmgrInfo *, &codec->output), value);

	put_bytes(out, codec, text, strlen(text));
}

/* Is the field a `string` of text in the server's encoding? Then a SQL_ASCII
 * database sends bytes instead. */
#define IS_TEXT(type) \
	((type) == CDC__V1__TYPE__TYPE_TEXT || \
	 (type) == CDC__V1__TYPE__TYPE_JSON || \
	 (type) == CDC__V1__TYPE__TYPE_OTHER)

/* Built-in types. Those that are not here are written as their text. */
static const struct
{
	Oid			typid;
	Cdc__V1__Type type;
	CdcWireType wire;
	CdcEncoder	encode;
}			builtin[] =
{
	{BOOLOID, CDC__V1__TYPE__TYPE_BOOL, CDC_WIRE_VARINT, encode_bool},
	{INT2OID, CDC__V1__TYPE__TYPE_INT32, CDC_WIRE_VARINT, encode_int2},
	{INT4OID, CDC__V1__TYPE__TYPE_INT32, CDC_WIRE_VARINT, encode_int4},
	{INT8OID, CDC__V1__TYPE__TYPE_INT64, CDC_WIRE_VARINT, encode_int8},
	{OIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, encode_uint32},
	{XIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, encode_uint32},
	{CIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, encode_uint32},
	{FLOAT4OID, CDC__V1__TYPE__TYPE_FLOAT, CDC_WIRE_FIXED32, encode_float4},
	{FLOAT8OID, CDC__V1__TYPE__TYPE_DOUBLE, CDC_WIRE_FIXED64, encode_float8},
	{NUMERICOID, CDC__V1__TYPE__TYPE_NUMERIC, CDC_WIRE_LEN, encode_output},
	{TEXTOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_varlena_text},
	{VARCHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_varlena_text},
	{BPCHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_varlena_text},
	{NAMEOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_output},
	{CHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_char},
	{XMLOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, encode_output},
	{JSONOID, CDC__V1__TYPE__TYPE_JSON, CDC_WIRE_LEN, encode_varlena_text},
	{JSONBOID, CDC__V1__TYPE__TYPE_JSON, CDC_WIRE_LEN, encode_output},
	{BYTEAOID, CDC__V1__TYPE__TYPE_BYTES, CDC_WIRE_LEN, encode_varlena_bytes},
	{UUIDOID, CDC__V1__TYPE__TYPE_UUID, CDC_WIRE_LEN, encode_uuid},
	{TIMESTAMPOID, CDC__V1__TYPE__TYPE_TIMESTAMP, CDC_WIRE_FIXED64, encode_timestamp},
	{TIMESTAMPTZOID, CDC__V1__TYPE__TYPE_TIMESTAMPTZ, CDC_WIRE_FIXED64, encode_timestamp},
	{DATEOID, CDC__V1__TYPE__TYPE_DATE, CDC_WIRE_VARINT, encode_int4},
	{TIMEOID, CDC__V1__TYPE__TYPE_TIME, CDC_WIRE_VARINT, encode_time},
};

/* Can the output function of a type raise an ERROR for a stored value? Those
 * of core's own types do not; those of others are not known. */
static bool
output_may_raise(Oid typid)
{
	Oid			elem;

	typid = getBaseType(typid);
	if (OidIsValid(elem = get_element_type(typid)))
		return output_may_raise(elem);
	switch (get_typtype(typid))
	{
		case TYPTYPE_ENUM:
			return false;
		case TYPTYPE_BASE:
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			return typid >= FirstNormalObjectId;
		default:
			return true;
	}
}

/* Does the text output of a type depend on settings? Only types that are known
 * not to are trusted. */
static bool
output_needs_settings(Oid typid)
{
	Oid			elem;

	typid = getBaseType(typid);
	if (OidIsValid(elem = get_element_type(typid)))
		return output_needs_settings(elem);
	switch (typid)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case XIDOID:
		case CIDOID:
		case TIDOID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case XMLOID:
		case JSONOID:
		case JSONBOID:
		case UUIDOID:
		case TIMEOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case MACADDR8OID:
		case BITOID:
		case VARBITOID:
		case TSVECTOROID:
		case INT2VECTOROID:
		case OIDVECTOROID:
			return false;
		default:
			return get_typtype(typid) != TYPTYPE_ENUM;
	}
}

/* Can text of this server's encoding have characters that UTF-8 lacks? */
static bool
conversion_may_raise(void)
{
	int			encoding = GetDatabaseEncoding();

	return encoding != PG_UTF8 && encoding != PG_SQL_ASCII && encoding != PG_LATIN1;
}

void
cdc_codec_init(CdcCodec *codec, uint32 field, Oid typid)
{
	Oid			base = getBaseType(typid);
	Oid			output;
	bool		isvarlena;
	CdcWireType wire = CDC_WIRE_LEN;

	memset(codec, 0, sizeof(*codec));
	codec->type = CDC__V1__TYPE__TYPE_OTHER;
	codec->encode = encode_output;
	for (int i = 0; i < lengthof(builtin); i++)
	{
		if (builtin[i].typid == base)
		{
			codec->type = builtin[i].type;
			codec->encode = builtin[i].encode;
			wire = builtin[i].wire;
			break;
		}
	}
	if (get_typtype(base) == TYPTYPE_ENUM)
		codec->type = CDC__V1__TYPE__TYPE_TEXT;

	if (codec->encode == encode_output)
	{
		getTypeOutputInfo(base, &output, &isvarlena);
		fmgr_info(output, &codec->output);
		if (codec->type == CDC__V1__TYPE__TYPE_OTHER &&
			codec->output.fn_addr == textout)
		{
			/* stored as text and shown as it is: citext and its like */
			codec->type = CDC__V1__TYPE__TYPE_TEXT;
			codec->encode = encode_varlena_text;
		}
		else
		{
			codec->may_raise = output_may_raise(base);
			codec->needs_settings = output_needs_settings(base);
		}
	}

	if (IS_TEXT(codec->type))
	{
		codec->may_raise |= conversion_may_raise();
		if (GetDatabaseEncoding() == PG_SQL_ASCII)
		{
			codec->type = CDC__V1__TYPE__TYPE_BYTES;
			if (codec->encode == encode_varlena_text)
				codec->encode = encode_varlena_bytes;
			else if (codec->encode == encode_output)
				codec->encode = encode_output_bytes;
		}
	}

	codec->taglen = (int) (cdc_varint(codec->tag, CDC_TAG(field, wire)) - codec->tag);
}

char *
cdc_utf8(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	int			len = strlen(text);
	Oid			conversion = InvalidOid;
	StringInfoData out;

	if (pg_is_ascii(text))
		return unconstify(char *, text);
	if ((encoding == PG_UTF8 || encoding == PG_SQL_ASCII) &&
		pg_encoding_verifymbstr(PG_UTF8, text, len) == len)
		return unconstify(char *, text);

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII)
		conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	initStringInfo(&out);
	while (len > 0)
	{
		int			done = 0;

		if (OidIsValid(conversion))
		{
			int			room = len * MAX_CONVERSION_GROWTH + 1;

			enlargeStringInfo(&out, room);
			done = pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8,
												 (unsigned char *) unconstify(char *, text), len,
												 (unsigned char *) out.data + out.len, room, true);
			out.len += strlen(out.data + out.len);
		}
		else if (!IS_HIGHBIT_SET(*text))
		{
			appendStringInfoChar(&out, *text);
			done = 1;
		}
		if (done == 0)
		{
			/* a byte that is no text in any encoding, or has no counterpart */
			appendStringInfo(&out, "\\x%02X", (unsigned char) *text);
			done = 1;
		}
		text += done;
		len -= done;
	}
	return out.data;
}
