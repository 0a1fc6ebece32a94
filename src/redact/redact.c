/*
 * redact.c
 *	  The methods of redaction.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "redact/redact.h"
#include "wire/wire.h"

const CdcMethodInfo cdc_methods[CDC_METHODS] = {
	[CDC_METHOD_TRUNCATE] = {"truncate", 0, CDC__V1__REDACTION__REDACTION_TRUNCATE, "length", "length"},
	[CDC_METHOD_EMAIL] = {"email", 0, CDC__V1__REDACTION__REDACTION_EMAIL, "filler", ""},
	[CDC_METHOD_PARTIAL] = {"partial", 0, CDC__V1__REDACTION__REDACTION_PARTIAL, "prefix,suffix,filler", "prefix,suffix"},
	[CDC_METHOD_HASH] = {"hash", 1, CDC__V1__REDACTION__REDACTION_HASH, "", ""},
	[CDC_METHOD_MASK] = {"mask", 2, CDC__V1__REDACTION__REDACTION_MASK, "length,filler", ""},
	[CDC_METHOD_CONSTANT] = {"constant", 3, CDC__V1__REDACTION__REDACTION_CONSTANT, "value", "value"},
	[CDC_METHOD_PATH] = {NULL, 3, CDC__V1__REDACTION__REDACTION_PATH},
	[CDC_METHOD_NULL] = {"null", 4, CDC__V1__REDACTION__REDACTION_NULL, "", ""},
	[CDC_METHOD_DROP] = {"drop", 5, CDC__V1__REDACTION__REDACTION_DROP, "", ""},
	[CDC_METHOD_WITHHELD] = {NULL, 6, CDC__V1__REDACTION__REDACTION_WITHHELD},
};

bool
cdc_method_parse(const char *name, CdcMethod *method)
{
	for (int i = 0; i < CDC_METHODS; i++)
	{
		if (cdc_methods[i].name != NULL && strcmp(cdc_methods[i].name, name) == 0)
		{
			*method = i;
			return true;
		}
	}
	return false;
}

bool
cdc_method_stricter(CdcMethod one, CdcMethod other)
{
	return cdc_methods[one].rank > cdc_methods[other].rank;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

bool
cdc_redaction_equal(const CdcRedaction *a, const CdcRedaction *b)
{
	return a->method == b->method && a->length == b->length && a->prefix == b->prefix &&
		a->suffix == b->suffix && same_text(a->value, b->value) && same_text(a->filler, b->filler);
}

/* --- on UTF-8 text -------------------------------------------------------- */

/* The byte behind n characters, or the end. */
static const char *
skip(const char *p, const char *end, int n)
{
	while (n-- > 0 && p < end)
		p += Min(pg_utf_mblen((const unsigned char *) p), end - p);
	return p;
}

/* Characters: the bytes that begin one. */
static int
count(const char *p, const char *end)
{
	int			n = 0;

	for (; p < end; p++)
		n += (*p & 0xC0) != 0x80;
	return n;
}

static void
fill(StringInfo out, const char *filler, int n)
{
	if (filler[0] != '\0' && filler[1] == '\0')
	{
		char	   *p = cdc_reserve(out, n);

		memset(p, filler[0], n);
		cdc_advance(out, p + n);
		return;
	}
	while (n-- > 0)
		appendStringInfoString(out, filler);
}

static void
partial(StringInfo out, const CdcRedaction *r, const char *text, const char *end)
{
	int			n = count(text, end);
	const char *tail;

	if (n <= r->prefix + r->suffix)
	{
		appendStringInfoString(out, r->filler);
		return;
	}
	appendBinaryStringInfo(out, text, skip(text, end, r->prefix) - text);
	appendStringInfoString(out, r->filler);
	tail = skip(text, end, n - r->suffix);
	appendBinaryStringInfo(out, tail, end - tail);
}

/* The first character, and the domain's last label. */
static void
email(StringInfo out, const CdcRedaction *r, const char *text, const char *end)
{
	const char *at = NULL;
	const char *dot = NULL;

	for (const char *p = text; p < end; p++)
	{
		if (*p == '@')
		{
			at = p;
			dot = NULL;
		}
		else if (*p == '.')
			dot = p;
	}
	if (at == NULL || at == text)
	{
		appendStringInfoString(out, r->filler);
		return;
	}
	appendBinaryStringInfo(out, text, skip(text, at, 1) - text);
	appendStringInfoString(out, r->filler);
	appendStringInfoChar(out, '@');
	appendStringInfoString(out, r->filler);
	if (dot != NULL)
		appendBinaryStringInfo(out, dot, end - dot);
}

static void
hash(StringInfo out, const CdcRedaction *r, const char *text, int len)
{
	static const char digits[] = "0123456789abcdef";
	uint8		digest[CDC_HMAC_BYTES];
	char	   *p;

	cdc_hmac(&r->secret->key, text, len, digest);
	p = cdc_reserve(out, MAXINT8LEN + 2 * CDC_HMAC_BYTES);
	p += pg_ltoa(r->secret->number, p);
	*p++ = ':';
	for (int i = 0; i < CDC_HMAC_BYTES; i++)
	{
		*p++ = digits[digest[i] >> 4];
		*p++ = digits[digest[i] & 15];
	}
	cdc_advance(out, p);
}

void
cdc_redact_text(StringInfo out, const CdcRedaction *r, const char *text, int len)
{
	const char *end = text + len;

	switch (r->method)
	{
		case CDC_METHOD_CONSTANT:
			appendStringInfoString(out, r->value);
			break;
		case CDC_METHOD_MASK:
			fill(out, r->filler, r->length >= 0 ? r->length : count(text, end));
			break;
		case CDC_METHOD_PARTIAL:
			partial(out, r, text, end);
			break;
		case CDC_METHOD_EMAIL:
			email(out, r, text, end);
			break;
		case CDC_METHOD_TRUNCATE:
			appendBinaryStringInfo(out, text, skip(text, end, r->length) - text);
			break;
		case CDC_METHOD_HASH:
			hash(out, r, text, len);
			break;
		case CDC_METHOD_PATH:
		case CDC_METHOD_NULL:
		case CDC_METHOD_DROP:
		case CDC_METHOD_WITHHELD:
			elog(ERROR, "method %d makes no text", r->method);
	}
}

/* --- the encoder ---------------------------------------------------------- */
