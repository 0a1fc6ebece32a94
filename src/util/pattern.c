/*
 * pattern.c
 *	  Parses and matches lists of tables.
 */
#include "postgres.h"

#include "parser/scansup.h"

#include "util/pattern.h"

/* A name that is NULL matches any. */
typedef struct Pattern
{
	char	   *schema;
	char	   *table;
} Pattern;

static void
skip_space(const char **text)
{
	while (scanner_isspace(**text))
		(*text)++;
}

/* A name in double quotes, after the first of them. NULL: it does not end. */
static char *
parse_quoted(const char **text)
{
	const char *in = *text;
	char	   *name = palloc(strlen(in) + 1);
	char	   *out = name;

	for (; *in != '\0'; in++)
	{
		if (*in == '"' && *++in != '"')
		{
			*out = '\0';
			*text = in;
			return out > name ? name : NULL;
		}
		*out++ = *in;
	}
	return NULL;
}

/* One name, or an asterisk; spaces around it. False: there is none. */
static bool
parse_name(const char **text, char **name)
{
	const char *start;

	skip_space(text);
	start = *text;
	*name = NULL;
	if (*start == '*')
		*text = start + 1;
	else if (*start == '"')
	{
		*text = start + 1;
		*name = parse_quoted(text);
		if (*name == NULL)
			return false;
		truncate_identifier(*name, strlen(*name), false);
	}
	else
	{
		while (**text != '\0' && strchr(".,=\"*", **text) == NULL && !scanner_isspace(**text))
			(*text)++;
		if (*text == start)
			return false;
		*name = downcase_truncate_identifier(start, *text - start, false);
	}
	skip_space(text);
	return true;
}

bool
cdc_qualified_name_parse(const char **text, char **schema, char **table)
{
	return parse_name(text, schema) && *(*text)++ == '.' && parse_name(text, table);
}

bool
cdc_patterns_parse(List **patterns, const char *text)
{
	*patterns = NIL;
	for (;;)
	{
		Pattern    *pattern = palloc(sizeof(Pattern));

		if (!cdc_qualified_name_parse(&text, &pattern->schema, &pattern->table))
			return false;
		*patterns = lappend(*patterns, pattern);
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

bool
cdc_pattern_names(const void *pattern, const char **schema, const char **table)
{
	*schema = ((const Pattern *) pattern)->schema;
	*table = ((const Pattern *) pattern)->table;
	return *schema != NULL && *table != NULL;
}

bool
cdc_patterns_match(const List *patterns, const char *schema, const char *table)
{
	ListCell   *lc;

	foreach(lc, patterns)
	{
		const Pattern *pattern = lfirst(lc);

		if ((pattern->schema == NULL || strcmp(pattern->schema, schema) == 0) &&
			(pattern->table == NULL || strcmp(pattern->table, table) == 0))
			return true;
	}
	return false;
}
