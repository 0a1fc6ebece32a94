/*
 * codetext.h
 *	  Names and texts of users in generated code. All of it is UTF-8.
 */
#ifndef CDC_CODETEXT_H
#define CDC_CODETEXT_H

#include "lib/stringinfo.h"

/* Appends text to a comment, which it cannot end in any language: what ends lines or
 * comments, or changes how they look, is replaced. */
extern void cdc_code_comment(StringInfo out, const char *text);

/* The same, as a string. */
extern char *cdc_code_comment_text(const char *text);

/* Whether a character stands in identifiers of all languages. */
extern bool cdc_code_is_word(char c);

/* An identifier for all languages: the name with everything else replaced by
 * underscores; *changed says whether something was. SQL has quote_identifier(). */
extern char *cdc_code_identifier(const char *name, bool *changed);

#endif							/* CDC_CODETEXT_H */
