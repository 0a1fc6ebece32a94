/*
 * codetext.c
 *	  Makes names and texts of users harmless in generated code.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"

#include "schema/codetext.h"

/* Characters that end a line somewhere, are invisible, or turn the order of what is
 * displayed, which compilers refuse (first and last of each range). */
static const pg_wchar replaced[][2] =
{
	{0x00, 0x1F}, {0x7F, 0x9F}, {0x061C, 0x061C}, {0x200B, 0x200F}, {0x2028, 0x202E},
	{0x2060, 0x206F}, {0xFEFF, 0xFEFF},
};

static bool
is_replaced(pg_wchar c)
{
	for (int i = 0; i < lengthof(replaced); i++)
		if (c >= replaced[i][0] && c <= replaced[i][1])
			return true;
	return false;
}

void
cdc_code_comment(StringInfo out, const char *text)
{
	const char *end = text + strlen(text);

	while (text < end)
	{
		int			len = Min(pg_utf_mblen((const unsigned char *) text), end - text);

		/* generators of code for other languages may use comments with an end */
		if (out->len > 0 && ((*text == '/' && out->data[out->len - 1] == '*') ||
							 (*text == '*' && out->data[out->len - 1] == '/')))
			appendStringInfoChar(out, ' ');
		if (is_replaced(utf8_to_unicode((const unsigned char *) text)))
			appendStringInfoChar(out, ' ');
		else
			appendBinaryStringInfo(out, text, len);
		text += len;
	}
}

char *
cdc_code_comment_text(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	cdc_code_comment(&out, text);
	return out.data;
}

bool
cdc_code_is_word(char c)
{
	return !IS_HIGHBIT_SET(c) && (isalnum((unsigned char) c) || c == '_');
}

char *
cdc_code_identifier(const char *name, bool *changed)
{
	StringInfoData out;

	initStringInfo(&out);
	*changed = *name == '\0' || isdigit((unsigned char) *name);
	if (*changed)
		appendStringInfoChar(&out, '_');
	for (; *name != '\0'; name++)
	{
		*changed |= !cdc_code_is_word(*name);
		appendStringInfoChar(&out, cdc_code_is_word(*name) ? *name : '_');
	}
	return out.data;
}
