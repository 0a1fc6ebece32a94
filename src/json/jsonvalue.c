/*
 * jsonvalue.c
 *	  Renders values as JSON, by a table from type to function.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "json/jsontokens.h"
#include "json/jsonvalue.h"

void
cdc_json_damaged(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("cdc data is damaged: %s", what)));
}

/* Appends text that needs no check, with JSON's escapes. */
static void
append_escaped(StringInfo out, const char *text, size_t len)
{
	static const char named[] = "\b\f\n\r\t\"\\";
	static const char letters[] = "bfnrt\"\\";
	size_t		done = 0;

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];
		const char *at;

		if (likely(c >= 0x20 && c != '"' && c != '\\'))
			continue;
		appendBinaryStringInfo(out, text + done, (int) (i - done));
		done = i + 1;
		if (c != '\0' && (at = strchr(named, c)) != NULL)
		{
			appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, letters[at - named]);
		}
		else
			appendStringInfo(out, "\\u%04x", c);
	}
	appendBinaryStringInfo(out, text + done, (int) (len - done));
}

void
cdc_json_string(StringInfo out, const char *text, size_t len)
{
	if (len > MaxAllocSize || pg_encoding_verifymbstr(PG_UTF8, text, (int) len) != (int) len)
		cdc_json_damaged("text is not valid UTF-8");
	appendStringInfoChar(out, '"');
	append_escaped(out, text, len);
	appendStringInfoChar(out, '"');
}

void
cdc_json_hex(StringInfo out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8 *bytes = data;
	char	   *p;

	if (len > MaxAllocSize / 2 - 8)
		cdc_json_damaged("bytes are too long for JSON");
	appendStringInfoString(out, "\"\\\\x");
	p = cdc_reserve(out, (int) len * 2);
	for (size_t i = 0; i < len; i++)
	{
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
	cdc_advance(out, p);
	appendStringInfoChar(out, '"');
}

void
cdc_json_lsn(StringInfo out, uint64 lsn)
{
	appendStringInfo(out, "%X/%X", (uint32) (lsn >> 32), (uint32) lsn);
}

/* Days since 2000-01-01 as yyyy-mm-dd; returns whether it is before Christ. */
static bool
append_date(StringInfo out, int64 days)
{
	int			year;
	int			month;
	int			day;

	if (days < -(int64) POSTGRES_EPOCH_JDATE || days > INT_MAX - POSTGRES_EPOCH_JDATE)
		cdc_json_damaged("date out of range");
	j2date((int) (days + POSTGRES_EPOCH_JDATE), &year, &month, &day);
	appendStringInfo(out, "%04d-%02d-%02d", year > 0 ? year : 1 - year, month, day);
	return year <= 0;
}

/* Microseconds since midnight as hh:mm:ss.ffffff, zeros at the end left out. */
static void
append_time(StringInfo out, int64 time)
{
	int			fraction = (int) (time % USECS_PER_SEC);

	appendStringInfo(out, "%02d:%02d:%02d", (int) (time / USECS_PER_HOUR),
					 (int) (time / USECS_PER_MINUTE % MINS_PER_HOUR),
					 (int) (time / USECS_PER_SEC % SECS_PER_MINUTE));
	if (fraction == 0)
		return;
	appendStringInfo(out, ".%06d", fraction);
	while (out->data[out->len - 1] == '0')
		out->len--;
}

static void
append_timestamp(StringInfo out, int64 time, const char *zone)
{
	int64		days;
	int64		rest;
	bool		bc;

	if (time == PG_INT64_MAX || time == PG_INT64_MIN)
	{
		appendStringInfoString(out, time < 0 ? "\"-infinity\"" : "\"infinity\"");
		return;
	}
	days = time / USECS_PER_DAY;
	rest = time % USECS_PER_DAY;
	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	appendStringInfoChar(out, '"');
	bc = append_date(out, days);
	appendStringInfoChar(out, 'T');
	append_time(out, rest);
	appendStringInfo(out, "%s%s\"", zone, bc ? " BC" : "");
}

void
cdc_json_unix_time(StringInfo out, int64 microseconds)
{
	int64		epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	if (microseconds < PG_INT64_MIN + epoch)
		cdc_json_damaged("time out of range");
	append_timestamp(out, microseconds - epoch, "+00:00");
}

static void
render_bool(StringInfo out, const CdcField *f)
{
	appendStringInfoString(out, f->value != 0 ? "true" : "false");
}

static void
render_sint(StringInfo out, const CdcField *f)
{
	appendStringInfo(out, INT64_FORMAT, cdc_unzigzag(f->value));
}

static void
render_uint32(StringInfo out, const CdcField *f)
{
	appendStringInfo(out, "%u", (uint32) f->value);
}

/* Numbers that JSON does not have are strings. */
static void
append_float(StringInfo out, const char *digits, double value)
{
	const char *quote = isnan(value) || isinf(value) ? "\"" : "";

	appendStringInfo(out, "%s%s%s", quote, digits, quote);
}

static void
render_float(StringInfo out, const CdcField *f)
{
	uint32		bits = (uint32) f->value;
	float		value;
	char		digits[FLOAT_SHORTEST_DECIMAL_LEN];

	memcpy(&value, &bits, sizeof(value));
	float_to_shortest_decimal_buf(value, digits);
	append_float(out, digits, value);
}

static void
render_double(StringInfo out, const CdcField *f)
{
	double		value;
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	memcpy(&value, &f->value, sizeof(value));
	double_to_shortest_decimal_buf(value, digits);
	append_float(out, digits, value);
}

/* Digits, with a sign and a fraction perhaps: no leading zero, no exponent. */
static bool
is_decimal(const char *p, const char *end)
{
	const char *start;

	if (p < end && *p == '-')
		p++;
	start = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p == start || (*start == '0' && p - start > 1))
		return false;
	if (p == end)
		return true;
	if (*p++ != '.')
		return false;
	start = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p == end && p > start;
}

static void
render_numeric(StringInfo out, const CdcField *f)
{
	static const char *const special[] = {"NaN", "Infinity", "-Infinity"};

	if (is_decimal(f->data, f->data + f->len))
	{
		appendBinaryStringInfo(out, f->data, (int) f->len);
		return;
	}
	for (int i = 0; i < lengthof(special); i++)
	{
		if (f->len == strlen(special[i]) && memcmp(f->data, special[i], f->len) == 0)
		{
			appendStringInfo(out, "\"%s\"", special[i]);
			return;
		}
	}
	cdc_json_damaged("text of a numeric is not a number");
}

static void
render_string(StringInfo out, const CdcField *f)
{
	cdc_json_string(out, f->data, f->len);
}

static void
render_bytes(StringInfo out, const CdcField *f)
{
	cdc_json_hex(out, f->data, f->len);
}

static void
render_uuid(StringInfo out, const CdcField *f)
{
	if (f->len != 16)
		cdc_json_damaged("uuid is not 16 bytes long");
	appendStringInfoChar(out, '"');
	for (int i = 0; i < 16; i++)
		appendStringInfo(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
						 (uint8) f->data[i]);
	appendStringInfoChar(out, '"');
}

static void
render_timestamp(StringInfo out, const CdcField *f)
{
	append_timestamp(out, (int64) f->value, "");
}

static void
render_timestamptz(StringInfo out, const CdcField *f)
{
	append_timestamp(out, (int64) f->value, "+00:00");
}

static void
render_date(StringInfo out, const CdcField *f)
{
	int64		days = cdc_unzigzag(f->value);

	if (days == PG_INT32_MAX || days == PG_INT32_MIN)
		appendStringInfoString(out, days < 0 ? "\"-infinity\"" : "\"infinity\"");
	else
	{
		appendStringInfoChar(out, '"');
		appendStringInfoString(out, append_date(out, days) ? " BC\"" : "\"");
	}
}

/* A time of day, checked. */
static void
append_time_of_day(StringInfo out, uint64 time)
{
	if (time > USECS_PER_DAY)
		cdc_json_damaged("time of day out of range");
	append_time(out, (int64) time);
}

static void
render_time(StringInfo out, const CdcField *f)
{
	appendStringInfoChar(out, '"');
	append_time_of_day(out, f->value);
	appendStringInfoChar(out, '"');
}

/* Reads the varint fields 1 to n of a small message. */
static void
read_varints(const CdcField *f, uint64 *values, int n)
{
	CdcCursor	cursor = cdc_cursor(f->data, f->len);
	CdcField	field;

	memset(values, 0, sizeof(uint64) * n);
	while (cdc_read_field(&cursor, &field))
	{
		if (field.number > n)
			continue;
		if (field.type != CDC_WIRE_VARINT)
			cdc_json_damaged("unexpected wire type");
		values[field.number - 1] = field.value;
	}
	if (cursor.error != NULL)
		cdc_json_damaged(cursor.error);
}

static void
render_timetz(StringInfo out, const CdcField *f)
{
	uint64		parts[2];
	int64		offset;
	int64		east;

	read_varints(f, parts, lengthof(parts));
	offset = cdc_unzigzag(parts[1]);
	if (offset < -SECS_PER_DAY || offset > SECS_PER_DAY)
		cdc_json_damaged("time zone out of range");
	east = offset < 0 ? -offset : offset;
	appendStringInfoChar(out, '"');
	append_time_of_day(out, parts[0]);
	appendStringInfo(out, "%c%02d:%02d", offset < 0 ? '-' : '+',
					 (int) (east / SECS_PER_HOUR), (int) (east / SECS_PER_MINUTE % MINS_PER_HOUR));
	if (east % SECS_PER_MINUTE != 0)
		appendStringInfo(out, ":%02d", (int) (east % SECS_PER_MINUTE));
	appendStringInfoChar(out, '"');
}

static void
render_interval(StringInfo out, const CdcField *f)
{
	uint64		parts[3];
	int64		months;
	int64		days;
	int64		time;

	read_varints(f, parts, lengthof(parts));
	months = cdc_unzigzag(parts[0]);
	days = cdc_unzigzag(parts[1]);
	time = cdc_unzigzag(parts[2]);
	/* PostgreSQL 17 and later */
	if (months == PG_INT32_MAX && days == PG_INT32_MAX && time == PG_INT64_MAX)
		appendStringInfoString(out, "\"infinity\"");
	else if (months == PG_INT32_MIN && days == PG_INT32_MIN && time == PG_INT64_MIN)
		appendStringInfoString(out, "\"-infinity\"");
	else
		appendStringInfo(out, "{\"months\":" INT64_FORMAT ",\"days\":" INT64_FORMAT
						 ",\"microseconds\":" INT64_FORMAT "}", months, days, time);
}

static void
render_json(StringInfo out, const CdcField *f)
{
	if (pg_encoding_verifymbstr(PG_UTF8, f->data, (int) f->len) != (int) f->len)
		cdc_json_damaged("text is not valid UTF-8");
	if (!cdc_json_compact(out, f->data, f->data + f->len))
		cdc_json_damaged("text of a json value is not JSON");
}

static const struct
{
	CdcWireType wire;
	void		(*render) (StringInfo out, const CdcField *field);
}			renderers[] =
{
	[CDC__V1__TYPE__TYPE_BOOL] = {CDC_WIRE_VARINT, render_bool},
	[CDC__V1__TYPE__TYPE_INT32] = {CDC_WIRE_VARINT, render_sint},
	[CDC__V1__TYPE__TYPE_INT64] = {CDC_WIRE_VARINT, render_sint},
	[CDC__V1__TYPE__TYPE_UINT32] = {CDC_WIRE_VARINT, render_uint32},
	[CDC__V1__TYPE__TYPE_FLOAT] = {CDC_WIRE_FIXED32, render_float},
	[CDC__V1__TYPE__TYPE_DOUBLE] = {CDC_WIRE_FIXED64, render_double},
	[CDC__V1__TYPE__TYPE_NUMERIC] = {CDC_WIRE_LEN, render_numeric},
	[CDC__V1__TYPE__TYPE_TEXT] = {CDC_WIRE_LEN, render_string},
	[CDC__V1__TYPE__TYPE_JSON] = {CDC_WIRE_LEN, render_json},
	[CDC__V1__TYPE__TYPE_BYTES] = {CDC_WIRE_LEN, render_bytes},
	[CDC__V1__TYPE__TYPE_UUID] = {CDC_WIRE_LEN, render_uuid},
	[CDC__V1__TYPE__TYPE_TIMESTAMP] = {CDC_WIRE_FIXED64, render_timestamp},
	[CDC__V1__TYPE__TYPE_TIMESTAMPTZ] = {CDC_WIRE_FIXED64, render_timestamptz},
	[CDC__V1__TYPE__TYPE_DATE] = {CDC_WIRE_VARINT, render_date},
	[CDC__V1__TYPE__TYPE_TIME] = {CDC_WIRE_VARINT, render_time},
	[CDC__V1__TYPE__TYPE_TIMETZ] = {CDC_WIRE_LEN, render_timetz},
	[CDC__V1__TYPE__TYPE_INTERVAL] = {CDC_WIRE_LEN, render_interval},
	[CDC__V1__TYPE__TYPE_OTHER] = {CDC_WIRE_LEN, render_string},
};

/* Text as it is, of types that are no text in rows but in arrays. */
static bool
is_text_in_arrays(Cdc__V1__Type type)
{
	switch (type)
	{
		case CDC__V1__TYPE__TYPE_TIMESTAMP:
		case CDC__V1__TYPE__TYPE_TIMESTAMPTZ:
		case CDC__V1__TYPE__TYPE_DATE:
		case CDC__V1__TYPE__TYPE_TIME:
		case CDC__V1__TYPE__TYPE_TIMETZ:
		case CDC__V1__TYPE__TYPE_INTERVAL:
			return true;
		default:
			return false;
	}
}

void
cdc_json_scalar(StringInfo out, Cdc__V1__Type type, const CdcField *field)
{
	if ((int) type < 0 || type >= lengthof(renderers) || renderers[type].render == NULL)
		cdc_json_damaged("column has a type that this version does not know");
	if (field->type != renderers[type].wire)
		cdc_json_damaged("field of a row does not have its column's wire type");
	renderers[type].render(out, field);
}

void
cdc_json_element(StringInfo out, Cdc__V1__Type type, const CdcField *field)
{
	cdc_json_scalar(out, is_text_in_arrays(type) ? CDC__V1__TYPE__TYPE_OTHER : type, field);
}
