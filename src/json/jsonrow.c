/*
 * jsonrow.c
 *	  Takes lines of JSON apart, whatever they hold: jsonb has limits that json,
 *	  and so the stream, has not.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "json/jsonrow.h"
#include "json/jsontokens.h"
#include "json/jsonvalue.h"
#include "util/guard.h"

/* The longest string in jsonb. */
#define MAX_JSONB_STRING JENTRY_OFFLENMASK

static Datum
as_text(const char *json)
{
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbValue	scalar;

	if (!JsonbExtractScalar(&jsonb->root, &scalar) || scalar.type != jbvString)
		cdc_json_damaged("member of a line is not a string");
	return PointerGetDatum(cstring_to_text_with_len(scalar.val.string.val, scalar.val.string.len));
}

static Datum
as_xid(const char *json)
{
	return DirectFunctionCall1(xidin, CStringGetDatum(json));
}

static Datum
as_timestamptz(const char *json)
{
	return DirectFunctionCall3(timestamptz_in, CStringGetDatum(TextDatumGetCString(as_text(json))),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static Datum
as_jsonb(const char *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/* A string of the JSON's text; of its size where that is too long as well. */
static Datum
string_instead(const char *json)
{
	size_t		len = strlen(json);
	JsonbValue	string = {.type = jbvString};

	string.val.string.val = unconstify(char *, json);
	if (len > MAX_JSONB_STRING)
		string.val.string.val = psprintf("%zu bytes of JSON, more than jsonb can hold", len);
	string.val.string.len = strlen(string.val.string.val);
	return JsonbPGetDatum(JsonbValueToJsonb(&string));
}

/* The text with its escapes: the database's encoding lacks a character. */
static Datum
escaped_instead(const char *json)
{
	return PointerGetDatum(cstring_to_text_with_len(json + 1, strlen(json) - 2));
}

static Datum
none_instead(const char *json)
{
	cdc_json_damaged("number or time of a transaction is out of range");
}

static const struct
{
	const char *member;			/* NULL: all of the line */
	Datum		(*convert) (const char *json);
	Datum		(*instead) (const char *json);	/* where that raises */
}			columns[CDC_ROW_COLUMNS] =
{
	[CDC_ROW_POSITION] = {"position", as_text, escaped_instead},
	[CDC_ROW_XID] = {"xid", as_xid, none_instead},
	[CDC_ROW_COMMIT_TIME] = {"commit_time", as_timestamptz, none_instead},
	[CDC_ROW_OP] = {"op", as_text, escaped_instead},
	[CDC_ROW_RELATION] = {"relation", as_text, escaped_instead},
	[CDC_ROW_FINGERPRINT] = {"fingerprint", as_text, escaped_instead},
	[CDC_ROW_KEY] = {"key", as_jsonb, string_instead},
	[CDC_ROW_NEW_KEY] = {"new_key", as_jsonb, string_instead},
	[CDC_ROW_OLD] = {"old", as_jsonb, string_instead},
	[CDC_ROW_NEW] = {"new", as_jsonb, string_instead},
	[CDC_ROW_METADATA] = {"metadata", as_jsonb, string_instead},
	[CDC_ROW_EVENT] = {NULL, as_jsonb, string_instead},
};

/* A member's JSON; NULL when there is none. */
typedef struct Row
{
	char	   *json[CDC_ROW_COLUMNS];
	Datum	   *values;
	int			column;			/* the one to convert; -1: all of them */
} Row;

static void
convert(void *arg)
{
	Row		   *row = arg;

	for (int i = 0; i < CDC_ROW_COLUMNS; i++)
		if (row->json[i] != NULL && (row->column < 0 || row->column == i))
			row->values[i] = columns[i].convert(row->json[i]);
}

/* The code unit of an escape \uXXXX at p; -1 if there is none. */
static int
escaped_unit(const char *p, const char *end)
{
	int			unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++)
		unit = unit << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return unit;
}

/* Replaces escapes that no text can have, in place, by U+FFFD: \u0000, and half a
 * surrogate pair. */
static void
replace_impossible(char *json, int len)
{
	char	   *end = json + len;

	for (char *p = memchr(json, '\\', len); p != NULL && p < end; p = memchr(p, '\\', end - p))
	{
		int			unit = escaped_unit(p, end);

		if (unit < 0)
		{
			p += 2;
			continue;
		}
		if (unit >= 0xD800 && unit < 0xDC00)
		{
			int			low = escaped_unit(p + 6, end);

			if (low >= 0xDC00 && low < 0xE000)
			{
				p += 12;
				continue;
			}
		}
		if (unit == 0 || (unit >= 0xD800 && unit < 0xE000))
			memcpy(p + 2, "fffd", 4);
		p += 6;
	}
}

bool
cdc_json_row(const char *line, int len, Datum *values, bool *isnull)
{
	Row			row = {.values = values, .column = -1};
	char	   *text = pnstrdup(line, len);
	int			count_len;

	/* every outcome has it, no event does */
	if (cdc_json_member(text, text + len, "event_count", &count_len) != NULL)
		return false;
	replace_impossible(text, len);
	for (int i = 0; i < CDC_ROW_COLUMNS; i++)
	{
		const char *json = text;
		int			json_len = len;

		if (columns[i].member != NULL)
			json = cdc_json_member(text, text + len, columns[i].member, &json_len);
		isnull[i] = json == NULL;
		row.json[i] = json == NULL ? NULL : json == text ? text : pnstrdup(json, json_len);
	}
	if (cdc_guarded(convert, &row) == NULL)
		return true;
	/* some column was refused: each for itself */
	for (row.column = 0; row.column < CDC_ROW_COLUMNS; row.column++)
	{
		if (isnull[row.column] || cdc_guarded(convert, &row) == NULL)
			continue;
		values[row.column] = columns[row.column].instead(row.json[row.column]);
	}
	return true;
}
