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

#endif							/* CDC_JSONCOMPACT_H */
