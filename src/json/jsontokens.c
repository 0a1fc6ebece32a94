/*
 * jsontokens.c
 *	  Checks and compacts JSON, and finds members, one token after the other.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"

#include "json/jsontokens.h"

const char *
cdc_json_scan_string(const char *p, const char *end)
{
	for (p++; p < end; p++)
	{
		if (*p == '"')
			return p + 1;
		if ((unsigned char) *p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		if (++p == end)
			return NULL;
		if (*p == 'u')
		{
			if (end - p < 5)
				return NULL;
			for (int i = 0; i < 4; i++)
				if (!isxdigit((unsigned char) *++p))
					return NULL;
		}
		else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL)
			return NULL;
	}
	return NULL;
}

static const char *
scan_digits(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : NULL;
}

static const char *
scan_number(const char *p, const char *end)
{
	const char *start;

	if (*p == '-')
		p++;
	start = p;
	if ((p = scan_digits(p, end)) == NULL || (*start == '0' && p - start > 1))
		return NULL;
	if (p < end && *p == '.' && (p = scan_digits(p + 1, end)) == NULL)
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = scan_digits(p, end);
	}
	return p;
}

const char *
cdc_json_scan_scalar(const char *p, const char *end)
{
	static const char *const words[] = {"true", "false", "null"};

	if (*p == '"')
		return cdc_json_scan_string(p, end);
	for (int i = 0; i < lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		if (end - p >= len && memcmp(p, words[i], len) == 0)
			return p + len;
	}
	return scan_number(p, end);
}

const char *
cdc_json_skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

bool
cdc_json_compact(StringInfo out, const char *p, const char *end)
{
	StringInfoData nesting;		/* a byte for each open { or [ */
	enum
	{
		VALUE,					/* a value must follow */
		FIRST_VALUE,			/* a value or ] */
		KEY,					/* a key */
		FIRST_KEY,				/* a key or } */
		AFTER					/* a value has ended */
	}			expect = VALUE;

	initStringInfo(&nesting);
	for (p = cdc_json_skip_space(p, end); p < end; p = cdc_json_skip_space(p, end))
	{
		char		top = nesting.len > 0 ? nesting.data[nesting.len - 1] : '\0';
		const char *token = p;

		if (expect == AFTER && *p == ',' && top != '\0')
		{
			p++;
			expect = top == '{' ? KEY : VALUE;
		}
		else if (((expect == AFTER || expect == FIRST_KEY) && *p == '}' && top == '{') ||
				 ((expect == AFTER || expect == FIRST_VALUE) && *p == ']' && top == '['))
		{
			p++;
			nesting.len--;
			expect = AFTER;
		}
		else if (expect == AFTER)
			return false;
		else if (expect == KEY || expect == FIRST_KEY)
		{
			if (*p != '"' || (p = cdc_json_scan_string(p, end)) == NULL)
				return false;
			appendBinaryStringInfo(out, token, (int) (p - token));
			p = cdc_json_skip_space(p, end);
			if (p == end || *p != ':')
				return false;
			token = p++;
			expect = VALUE;
		}
		else if (*p == '{' || *p == '[')
		{
			appendStringInfoChar(&nesting, *p);
			expect = *p == '{' ? FIRST_KEY : FIRST_VALUE;
			p++;
		}
		else
		{
			if ((p = cdc_json_scan_scalar(p, end)) == NULL)
				return false;
			expect = AFTER;
		}
		appendBinaryStringInfo(out, token, (int) (p - token));
	}
	pfree(nesting.data);
	return expect == AFTER && nesting.len == 0;
}

/* The end of the value at p: where its brackets are closed again. */
static const char *
skip_value(const char *p, const char *end)
{
	int			depth = 0;

	while (p < end)
	{
		if (*p == '"' || (*p != '{' && *p != '}' && *p != '[' && *p != ']' && *p != ',' && *p != ':'))
		{
			if ((p = cdc_json_scan_scalar(p, end)) == NULL)
				return NULL;
		}
		else
		{
			if (*p == '{' || *p == '[')
				depth++;
			else if (*p == '}' || *p == ']')
				depth--;
			p++;
		}
		if (depth == 0)
			return p;
		p = cdc_json_skip_space(p, end);
	}
	return NULL;
}

const char *
cdc_json_member(const char *p, const char *end, const char *name, int *len)
{
	size_t		namelen = strlen(name);

	p = cdc_json_skip_space(p, end);
	if (p == end || *p != '{')
		return NULL;
	for (p = cdc_json_skip_space(p + 1, end); p < end && *p == '"'; p = cdc_json_skip_space(p + 1, end))
	{
		const char *key = p + 1;
		const char *value;
		bool		found;

		if ((p = cdc_json_scan_string(p, end)) == NULL)
			return NULL;
		found = p - 1 - key == namelen && memcmp(key, name, namelen) == 0;
		p = cdc_json_skip_space(p, end);
		if (p == end)
			return NULL;
		value = cdc_json_skip_space(p + 1, end);
		if ((p = skip_value(value, end)) == NULL)
			return NULL;
		if (found)
		{
			*len = (int) (p - value);
			return value;
		}
		p = cdc_json_skip_space(p, end);
		if (p == end)
			return NULL;
	}
	return NULL;
}

/* The four digits of an escape \uXXXX. */
static int
code_unit(const char *p)
{
	int			unit = 0;

	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return unit;
}

bool
cdc_json_unescape(StringInfo out, const char *p, const char *end)
{
	static const char letters[] = "bfnrt";
	static const char meant[] = "\b\f\n\r\t";
	const char *backslash;

	while ((backslash = memchr(p, '\\', end - p)) != NULL)
	{
		const char *letter;
		unsigned char utf8[4];
		int			unit;

		appendBinaryStringInfo(out, p, (int) (backslash - p));
		p = backslash + 2;
		if (p[-1] != 'u')
		{
			letter = strchr(letters, p[-1]);
			appendStringInfoChar(out, letter == NULL ? p[-1] : meant[letter - letters]);
			continue;
		}
		unit = code_unit(p);
		p += 4;
		if (unit >= 0xD800 && unit < 0xDC00)
		{
			int			low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? code_unit(p + 2) : 0;

			if (low < 0xDC00 || low >= 0xE000)
				return false;
			unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
			p += 6;
		}
		else if (unit == 0 || (unit >= 0xDC00 && unit < 0xE000))
			return false;
		unicode_to_utf8(unit, utf8);
		appendBinaryStringInfo(out, (char *) utf8, pg_utf_mblen(utf8));
	}
	appendBinaryStringInfo(out, p, (int) (end - p));
	return true;
}
