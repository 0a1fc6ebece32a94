/*
 * jsontokens.h
 *	  JSON text: its tokens, members, and the same without whitespace.
 */
#ifndef CDC_JSONTOKENS_H
#define CDC_JSONTOKENS_H

#include "lib/stringinfo.h"

/*
 * Appends a JSON value with the whitespace outside of strings removed and all
 * else as it is. False when it is not JSON (something may have been appended
 * then). Needs no stack however deep the value is, so that whatever the server
 * stored can be shown.
 */
extern bool cdc_json_compact(StringInfo out, const char *p, const char *end);

/*
 * The value of a member of a JSON object, as it stands in its text; NULL when
 * there is none of that name (written without escapes), or it is no object.
 * The text must be JSON. Needs no stack either.
 */
extern const char *cdc_json_member(const char *p, const char *end, const char *name, int *len);

/*
 * Single tokens: a string (p is at its quote); a string, number, true, false or
 * null. Return the byte after it, or NULL where there is none.
 */
extern const char *cdc_json_scan_string(const char *p, const char *end);
extern const char *cdc_json_scan_scalar(const char *p, const char *end);

/* The first byte that is no whitespace, or the end. */
extern const char *cdc_json_skip_space(const char *p, const char *end);

/* Appends what a string means that has been scanned; p and end are within its
 * quotes. False when it is no text: \u0000, half of a surrogate pair. */
extern bool cdc_json_unescape(StringInfo out, const char *p, const char *end);

#endif							/* CDC_JSONTOKENS_H */
