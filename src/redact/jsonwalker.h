/*
 * jsonwalker.h
 *	  Redacts parts inside of JSON values.
 */
#ifndef CDC_JSONWALKER_H
#define CDC_JSONWALKER_H

#include "lib/stringinfo.h"

#include "redact/jsonpath.h"
#include "redact/redact.h"

/* What to do with what a path leads to. */
typedef struct CdcJsonRule
{
	const CdcJsonPath *path;
	const CdcRedaction *redaction;
} CdcJsonRule;

/*
 * Appends a JSON value (UTF-8) with what the rules' paths lead to redacted, and
 * without whitespace outside of strings. A path is lax: what is not there is no
 * matter, a step to members goes through arrays to their elements, [*] of what is no
 * array is the value itself, and null is left as it is (but for `drop`, which
 * removes what it is about). A scalar becomes a string of what its method makes of
 * its text. `null`, `drop` and `constant` replace objects and arrays, too.
 *
 * False where the value is to be withheld as a whole, since it is not what a path
 * expects: a scalar instead of an object or array, an object or array at the end
 * of a path for another method, names or strings that are no text, two different
 * methods of the same rank for one place. Something may have been appended then.
 *
 * Needs no stack however deep the value is.
 */
extern bool cdc_json_redact(StringInfo out, const CdcJsonRule *rules, int nrules,
							const char *text, int len);

#endif							/* CDC_JSONWALKER_H */
