/*
 * typcodec.c
 *	  Resolves types: the table that maps them to encoders, and the rules for
 *	  those that are not in it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "values/builttext.h"
#include "values/encode.h"
#include "values/typcodec.h"
#include "wire/wire.h"

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
	{BOOLOID, CDC__V1__TYPE__TYPE_BOOL, CDC_WIRE_VARINT, cdc_encode_bool},
	{INT2OID, CDC__V1__TYPE__TYPE_INT32, CDC_WIRE_VARINT, cdc_encode_int2},
	{INT4OID, CDC__V1__TYPE__TYPE_INT32, CDC_WIRE_VARINT, cdc_encode_int4},
	{INT8OID, CDC__V1__TYPE__TYPE_INT64, CDC_WIRE_VARINT, cdc_encode_int8},
	{OIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, cdc_encode_uint32},
	{XIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, cdc_encode_uint32},
	{CIDOID, CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT, cdc_encode_uint32},
	{FLOAT4OID, CDC__V1__TYPE__TYPE_FLOAT, CDC_WIRE_FIXED32, cdc_encode_float4},
	{FLOAT8OID, CDC__V1__TYPE__TYPE_DOUBLE, CDC_WIRE_FIXED64, cdc_encode_float8},
	{NUMERICOID, CDC__V1__TYPE__TYPE_NUMERIC, CDC_WIRE_LEN, cdc_encode_numeric},
	{TEXTOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_varlena_text},
	{VARCHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_varlena_text},
	{BPCHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_varlena_text},
	{NAMEOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_output},
	{CHAROID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_char},
	{XMLOID, CDC__V1__TYPE__TYPE_TEXT, CDC_WIRE_LEN, cdc_encode_output},
	{JSONOID, CDC__V1__TYPE__TYPE_JSON, CDC_WIRE_LEN, cdc_encode_varlena_text},
	{JSONBOID, CDC__V1__TYPE__TYPE_JSON, CDC_WIRE_LEN, cdc_encode_jsonb},
	{BYTEAOID, CDC__V1__TYPE__TYPE_BYTES, CDC_WIRE_LEN, cdc_encode_varlena_bytes},
	{UUIDOID, CDC__V1__TYPE__TYPE_UUID, CDC_WIRE_LEN, cdc_encode_uuid},
	{TIMESTAMPOID, CDC__V1__TYPE__TYPE_TIMESTAMP, CDC_WIRE_FIXED64, cdc_encode_timestamp},
	{TIMESTAMPTZOID, CDC__V1__TYPE__TYPE_TIMESTAMPTZ, CDC_WIRE_FIXED64, cdc_encode_timestamp},
	{DATEOID, CDC__V1__TYPE__TYPE_DATE, CDC_WIRE_VARINT, cdc_encode_int4},
	{TIMEOID, CDC__V1__TYPE__TYPE_TIME, CDC_WIRE_VARINT, cdc_encode_time},
	{TIMETZOID, CDC__V1__TYPE__TYPE_TIMETZ, CDC_WIRE_LEN, cdc_encode_timetz},
	{INTERVALOID, CDC__V1__TYPE__TYPE_INTERVAL, CDC_WIRE_LEN, cdc_encode_interval},
};

/* Elements that an array has as they are in rows; the others are text. */
static const struct
{
	Cdc__V1__Type type;
	CdcArrayKind kind;
	int			zero_len;
}			element_kinds[] =
{
	{CDC__V1__TYPE__TYPE_BOOL, CDC_ARRAY_PACKED, 1},
	{CDC__V1__TYPE__TYPE_INT32, CDC_ARRAY_PACKED, 1},
	{CDC__V1__TYPE__TYPE_INT64, CDC_ARRAY_PACKED, 1},
	{CDC__V1__TYPE__TYPE_UINT32, CDC_ARRAY_PACKED, 1},
	{CDC__V1__TYPE__TYPE_FLOAT, CDC_ARRAY_PACKED, 4},
	{CDC__V1__TYPE__TYPE_DOUBLE, CDC_ARRAY_PACKED, 8},
	{CDC__V1__TYPE__TYPE_BYTES, CDC_ARRAY_LEN, 0},
	{CDC__V1__TYPE__TYPE_UUID, CDC_ARRAY_LEN, 0},
	{CDC__V1__TYPE__TYPE_NUMERIC, CDC_ARRAY_LEN, 0},
	{CDC__V1__TYPE__TYPE_TEXT, CDC_ARRAY_LEN, 0},
	{CDC__V1__TYPE__TYPE_JSON, CDC_ARRAY_LEN, 0},
	{CDC__V1__TYPE__TYPE_OTHER, CDC_ARRAY_LEN, 0},
};

/* Can the output function of a type raise an ERROR for a stored value? Those
 * of core's own types do not, except for two that look at characters and meet
 * bytes that are none; those of others are not known. */
static bool
output_may_raise(Oid typid)
{
	switch (get_typtype(typid))
	{
		case TYPTYPE_ENUM:
			return false;
		case TYPTYPE_BASE:
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			if (typid == TSVECTOROID || typid == TSQUERYOID)
				return pg_database_encoding_max_length() > 1;
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

static void
set_tag(CdcCodec *codec, uint32 field, CdcWireType wire)
{
	codec->taglen = (int) (cdc_varint(codec->tag, CDC_TAG(field, wire)) - codec->tag);
}

bool
cdc_type_is_json(Oid typid)
{
	Oid			base = cdc_base_type(typid);

	return base == JSONOID || base == JSONBOID;
}

Oid
cdc_array_element(Oid typid)
{
	Oid			element = get_element_type(typid);

	return OidIsValid(element) && get_array_type(element) == typid ? element : InvalidOid;
}

/* Goes through the type's output function, or what stands for it. */
static void
use_output(CdcCodec *codec, Oid typid)
{
	Oid			element = cdc_array_element(typid);
	Oid			output;

	if (cdc_is_built(typid))
	{
		codec->built = cdc_built_create(typid);
		codec->encode = cdc_encode_built;
		codec->varlena = true;
		codec->may_raise = codec->needs_settings = true;
		return;
	}
	getTypeOutputInfo(typid, &output, &codec->varlena);
	fmgr_info(output, &codec->output);
	if (codec->type == CDC__V1__TYPE__TYPE_OTHER && codec->output.fn_addr == textout)
	{
		/* stored as text and shown as it is: citext and its like */
		codec->type = CDC__V1__TYPE__TYPE_TEXT;
		codec->encode = cdc_encode_varlena_text;
		return;
	}
	if (codec->encode != cdc_encode_jsonb)
		codec->encode = cdc_encode_output;
	if (OidIsValid(element))
		typid = cdc_base_type(element);
	codec->may_raise = output_may_raise(typid);
	codec->needs_settings = output_needs_settings(typid);
}

/* Text in a SQL_ASCII database may be anything: it is sent as bytes. */
static void
use_text_rules(CdcCodec *codec)
{
	codec->may_raise |= conversion_may_raise();
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		return;
	codec->type = CDC__V1__TYPE__TYPE_BYTES;
	if (codec->encode == cdc_encode_varlena_text)
		codec->encode = cdc_encode_varlena_bytes;
	else if (codec->encode == cdc_encode_output || codec->encode == cdc_encode_jsonb)
		codec->encode = cdc_encode_output_bytes;
	else if (codec->encode == cdc_encode_built)
		codec->encode = cdc_encode_built_bytes;
}

/* Elements that have no kind of their own: times, and what is an array itself (by way of
 * a domain). */
static void
init_text_element(CdcCodec *codec, Oid typid)
{
	Cdc__V1__Type type = codec->type;

	use_output(codec, typid);
	codec->type = type;
	if (OidIsValid(cdc_array_element(typid)))
	{
		codec->type = CDC__V1__TYPE__TYPE_OTHER;
		use_text_rules(codec);
	}
	set_tag(codec, CDC_ARRAY_VALUES, CDC_WIRE_LEN);
}

static void
init_array(CdcCodec *codec, Oid element)
{
	CdcArrayCodec *array = palloc0(sizeof(CdcArrayCodec));
	Oid			base = cdc_base_type(element);
	int			i = lengthof(element_kinds);

	/* types may be nested without end: what an array within an array is made of is no matter */
	if (!OidIsValid(cdc_array_element(base)))
	{
		cdc_codec_init(&array->element, CDC_ARRAY_VALUES, base);
		for (i = 0; i < lengthof(element_kinds); i++)
			if (element_kinds[i].type == array->element.type)
				break;
	}
	if (i < lengthof(element_kinds))
	{
		array->kind = element_kinds[i].kind;
		array->zero_len = element_kinds[i].zero_len;
	}
	else
	{
		array->kind = CDC_ARRAY_LEN;
		init_text_element(&array->element, base);
	}
	if (array->kind == CDC_ARRAY_PACKED)
		array->element.taglen = 0;
	array->typid = element;
	get_typlenbyvalalign(element, &array->typlen, &array->typbyval, &array->typalign);

	codec->type = CDC__V1__TYPE__TYPE_ARRAY;
	codec->encode = cdc_encode_array;
	codec->array = array;
	codec->may_raise = array->element.may_raise;
	codec->needs_settings = array->element.needs_settings;
}

void
cdc_codec_init(CdcCodec *codec, uint32 field, Oid typid)
{
	Oid			base = cdc_base_type(typid);
	Oid			element = cdc_array_element(base);
	CdcWireType wire = CDC_WIRE_LEN;

	memset(codec, 0, sizeof(*codec));
	codec->type = CDC__V1__TYPE__TYPE_OTHER;
	codec->encode = cdc_encode_output;
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

	if (OidIsValid(element))
		init_array(codec, element);
	else if (codec->encode == cdc_encode_output || codec->encode == cdc_encode_jsonb)
		use_output(codec, base);
	if (IS_TEXT(codec->type))
		use_text_rules(codec);
	set_tag(codec, field, wire);
}

void
cdc_codec_narrow(CdcCodec *codec)
{
	codec->type = CDC__V1__TYPE__TYPE_INT32;
	codec->encode = cdc_encode_int8_as_int4;
	codec->may_raise = true;
}

void
cdc_codec_init_text(CdcCodec *codec, uint32 field, Oid typid)
{
	Oid			base = cdc_base_type(typid);

	memset(codec, 0, sizeof(*codec));
	codec->type = CDC__V1__TYPE__TYPE_TEXT;
	if (base == TEXTOID || base == VARCHAROID || base == BPCHAROID || base == JSONOID)
		codec->encode = cdc_encode_varlena_text;
	else
	{
		codec->encode = cdc_encode_output;
		use_output(codec, base);
	}
	/* a string it is in a SQL_ASCII database, too */
	codec->may_raise |= conversion_may_raise() || GetDatabaseEncoding() == PG_SQL_ASCII;
	cdc_codec_set_tag(codec, field);
}

struct CdcBuilt *
cdc_codec_built(const CdcCodec *codec)
{
	if (codec->plain != NULL)
		codec = codec->plain;
	return codec->array != NULL ? codec->array->element.built : codec->built;
}

void
cdc_codec_set_tag(CdcCodec *codec, uint32 field)
{
	set_tag(codec, field, CDC_WIRE_LEN);
}
