/*
 * keyrange.h
 *	  Ranges of a table's key, as conditions in SQL.
 *
 * The order is that of the key's index: its columns, its operators.
 */
#ifndef CDC_KEYRANGE_H
#define CDC_KEYRANGE_H

#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/rel.h"

#define CDC_KEY_MAX_COLUMNS 32	/* INDEX_MAX_KEYS */

/* The comparisons that are needed. */
typedef enum CdcComparison
{
	CDC_LESS,
	CDC_LESS_EQUAL,
	CDC_EQUAL,
	CDC_GREATER_EQUAL,
	CDC_GREATER,
	CDC_COMPARISONS
} CdcComparison;

typedef struct CdcKey
{
	int			ncolumns;		/* 0: the table has no key */
	AttrNumber	attnums[CDC_KEY_MAX_COLUMNS];
	Oid			types[CDC_KEY_MAX_COLUMNS];
	const char *names[CDC_KEY_MAX_COLUMNS]; /* quoted as in SQL */
	const char *operators[CDC_KEY_MAX_COLUMNS][CDC_COMPARISONS];
} CdcKey;

/* The key of a relation, in the current memory context. */
extern void cdc_key_describe(Relation rel, CdcKey *key);

/*
 * Appends a condition that key columns are, in the key's order, at or behind
 * (`from`) or before (not `from`) the parameters $first, $first + 1, ...
 */
extern void cdc_key_condition(StringInfo sql, const CdcKey *key, bool from, int first);

/* Appends a condition that the key has the values of these parameters. */
extern void cdc_key_equals(StringInfo sql, const CdcKey *key, int first);

/* Appends the key's order, as for ORDER BY. */
extern void cdc_key_order(StringInfo sql, const CdcKey *key);

/* Reads values of the key columns from their text forms, without the checks of
 * domains. May run the owner's code all the same, see asowner.h. ERROR 22023, naming
 * `argument`, where there are not as many as columns, or one is NULL. */
extern void cdc_key_read(const CdcKey *key, ArrayType *texts, const char *argument,
						 Datum *values);

#endif							/* CDC_KEYRANGE_H */
