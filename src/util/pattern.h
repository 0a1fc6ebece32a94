/*
 * pattern.h
 *	  Lists of tables as an option gives them: schema.table, schema.*, *.table.
 */
#ifndef CDC_PATTERN_H
#define CDC_PATTERN_H

#include "nodes/pg_list.h"

#include "util/like.h"

/*
 * Parses patterns separated by commas, whose names are written as SQL
 * identifiers: in double quotes where they have upper-case letters, dots,
 * commas, spaces or an asterisk. False when the text is malformed or empty;
 * otherwise *patterns, allocated in the current memory context.
 */
extern bool cdc_patterns_parse(List **patterns, const char *text);

/* Parses schema.table as it stands in a pattern, and moves *text behind it. A name is NULL
 * for an asterisk. */
extern bool cdc_qualified_name_parse(const char **text, char **schema, char **table);

/* The names of one of the patterns; false: it has an asterisk. */
extern bool cdc_pattern_names(const void *pattern, const char **schema, const char **table);

/* Whether one of the patterns matches a table. */
extern bool cdc_patterns_match(const List *patterns, const char *schema, const char *table);

#endif							/* CDC_PATTERN_H */
