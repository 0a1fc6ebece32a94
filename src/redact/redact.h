/*
 * redact.h
 *	  What takes the place of a value: the methods of redaction.
 *
 * All of them work on the value's text, as its type's output function gives it
 * under the settings of the stream; a bytea's under `truncate` is cut as bytes.
 */
#ifndef CDC_REDACT_H
#define CDC_REDACT_H

#include "lib/stringinfo.h"

#include "redact/hmac.h"
#include "cdc/v1/cdc.pb-c.h"

/* Bytes of a secret for `hash`. */
#define CDC_SECRET_BYTES 32

/* From the least to the most strict: of several rules for a column the last one
 * counts. The first three rank alike. */
typedef enum CdcMethod
{
	CDC_METHOD_TRUNCATE,
	CDC_METHOD_EMAIL,
	CDC_METHOD_PARTIAL,
	CDC_METHOD_HASH,
	CDC_METHOD_MASK,
	CDC_METHOD_CONSTANT,
	CDC_METHOD_PATH,			/* inside of JSON: made of rules, never a rule's own */
	CDC_METHOD_NULL,
	CDC_METHOD_DROP,
	CDC_METHOD_WITHHELD
} CdcMethod;

#define CDC_METHODS (CDC_METHOD_WITHHELD + 1)

/* The one table of them; SQL has it by cdc.redaction_methods(). */
typedef struct CdcMethodInfo
{
	const char *name;			/* NULL: no rule's own */
	int			rank;			/* of two rules the one with the higher counts */
	Cdc__V1__Redaction wire;	/* in Column.redaction */
	const char *takes;			/* parameters, with commas between them */
	const char *needs;			/* those that have no default */
} CdcMethodInfo;

extern const CdcMethodInfo cdc_methods[CDC_METHODS];

/* The secret that hashes are made with. */
typedef struct CdcSecret
{
	int			number;			/* 0: there is none */
	CdcHmacKey	key;
} CdcSecret;

/* How a column is redacted. What it points to outlives it. */
typedef struct CdcRedaction
{
	CdcMethod	method;
	const char *value;			/* constant: UTF-8 */
	int			length;			/* mask, truncate: characters; mask: -1 as many as there are */
	int			prefix;			/* partial: characters that are kept */
	int			suffix;
	const char *filler;			/* mask, partial, email: UTF-8 */
	const CdcSecret *secret;
	const struct CdcJsonRule *inside;	/* path: see jsonwalker.h */
	int			ninside;
} CdcRedaction;

/* By its name in SQL; false when there is none. */
extern bool cdc_method_parse(const char *name, CdcMethod *method);

/* Whether a redacted text is sent; otherwise nothing is. */
static inline bool
cdc_method_sends(CdcMethod method)
{
	return method < CDC_METHOD_NULL;
}

/* Whether one method is of a higher rank than another. */
extern bool cdc_method_stricter(CdcMethod one, CdcMethod other);

/* The same method with the same parameters. */
extern bool cdc_redaction_equal(const CdcRedaction *a, const CdcRedaction *b);

/* Appends what stands for a text in UTF-8. */
extern void cdc_redact_text(StringInfo out, const CdcRedaction *redaction,
							const char *text, int len);

#endif							/* CDC_REDACT_H */
