/*
 * utf8.c
 *	  Converts names and other texts of the server to UTF-8.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "util/utf8.h"

int
cdc_utf8_char(const char *text, int len)
{
	int			charlen = pg_utf_mblen((const unsigned char *) text);

	return charlen <= len && pg_utf8_islegal((const unsigned char *) text, charlen) ? charlen : 0;
}

/* `conversion` is InvalidOid where there is none. */
static char *
to_utf8(const char *text, Oid conversion)
{
	int			encoding = GetDatabaseEncoding();
	bool		utf8 = encoding == PG_UTF8 || encoding == PG_SQL_ASCII;
	int			len = strlen(text);
	StringInfoData out;

	if (pg_is_ascii(text))
		return unconstify(char *, text);
	if (utf8 && pg_encoding_verifymbstr(PG_UTF8, text, len) == len)
		return unconstify(char *, text);

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
		else if (!IS_HIGHBIT_SET(*text) || utf8)
		{
			done = cdc_utf8_char(text, len);
			appendBinaryStringInfo(&out, text, done);
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

char *
cdc_utf8(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion = InvalidOid;

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII && !pg_is_ascii(text))
		conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	return to_utf8(text, conversion);
}

char *
cdc_utf8_escaped(const char *text)
{
	return to_utf8(text, InvalidOid);
}
