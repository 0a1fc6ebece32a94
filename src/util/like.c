/*
 * like.c
 *	  Matches names with patterns.
 *
 * Only the last % has to be tried at other places of the name: what stands
 * between two of them is best taken where it comes first.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "util/like.h"

/* The name behind its first character; it may end within that. */
static const char *
next_char(const char *name)
{
	int			len = pg_encoding_mblen(GetDatabaseEncoding(), name);

	do
		name++;
	while (--len > 0 && *name != '\0');
	return name;
}

/* Matches one character, or byte, of each, and moves behind it. */
static bool
take(const char **pattern, const char **name)
{
	if (**pattern == '_')
	{
		(*pattern)++;
		*name = next_char(*name);
		return true;
	}
	if (**pattern == '\\' && (*pattern)[1] != '\0')
		(*pattern)++;
	return pg_ascii_tolower((unsigned char) *(*pattern)++) ==
		pg_ascii_tolower((unsigned char) *(*name)++);
}

bool
cdc_like(const char *pattern, const char *name)
{
	const char *behind = NULL;	/* the last % */
	const char *tried = NULL;	/* where in the name it was taken to end */

	while (*name != '\0')
	{
		if (*pattern == '%')
		{
			behind = ++pattern;
			tried = name;
		}
		else if (*pattern == '\0' || !take(&pattern, &name))
		{
			if (behind == NULL)
				return false;
			tried = next_char(tried);
			pattern = behind;
			name = tried;
		}
	}
	while (*pattern == '%')
		pattern++;
	return *pattern == '\0';
}
