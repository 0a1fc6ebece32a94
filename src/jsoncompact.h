/*
 * jsoncompact.h
 *	  JSON text without whitespace.
 */
#ifndef CDC_JSONCOMPACT_H
#define CDC_JSONCOMPACT_H

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

#endif							/* CDC_JSONCOMPACT_H */
