/*
 * jsoncompact.c
 *	  Checks and compacts JSON, and finds members, one token after the other.
 */
#include "postgres.h"

#include <ctype.h>

#include "jsoncompact.h"

/* A string at p; the byte after it, or NULL. */
static const char *
scan_string(const char *p, const char *end)
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

/* A string, number, true, false or null. */
static const char *
scan_scalar(const char *p, const char *end)
{
	static const char *const words[] = {"true", "false", "null"};

	if (*p == '"')
		return scan_string(p, end);
	for (int i = 0; i < lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		if (end - p >= len && memcmp(p, words[i], len) == 0)
			return p + len;
	}
	return scan_number(p, end);
}

static const char *
skip_space(const char *p, const char *end)
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
	for (p = skip_space(p, end); p < end; p = skip_space(p, end))
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
			if (*p != '"' || (p = scan_string(p, end)) == NULL)
				return false;
			appendBinaryStringInfo(out, token, (int) (p - token));
			p = skip_space(p, end);
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
			if ((p = scan_scalar(p, end)) == NULL)
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
			if ((p = scan_scalar(p, end)) == NULL)
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
		p = skip_space(p, end);
	}
	return NULL;
}

const char *
cdc_json_member(const char *p, const char *end, const char *name, int *len)
{
	size_t		namelen = strlen(name);

	p = skip_space(p, end);
	if (p == end || *p != '{')
		return NULL;
	for (p = skip_space(p + 1, end); p < end && *p == '"'; p = skip_space(p + 1, end))
	{
		const char *key = p + 1;
		const char *value;
		bool		found;

		if ((p = scan_string(p, end)) == NULL)
			return NULL;
		found = p - 1 - key == namelen && memcmp(key, name, namelen) == 0;
		p = skip_space(p, end);
		if (p == end)
			return NULL;
		value = skip_space(p + 1, end);
		if ((p = skip_value(value, end)) == NULL)
			return NULL;
		if (found)
		{
			*len = (int) (p - value);
			return value;
		}
		p = skip_space(p, end);
		if (p == end)
			return NULL;
	}
	return NULL;
}
