/*
 * ruleset.h
 *	  What the tables of the rules of redaction say: the rules, and which columns
 *	  and names each protects.
 */
#ifndef CDC_RULESET_H
#define CDC_RULESET_H

#include "access/attnum.h"
#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "redact/jsonpath.h"
#include "redact/redact.h"

typedef struct CdcRule
{
	int64		id;				/* hash key */
	XLogRecPtr	removed_at;		/* it counts for what was committed before; Invalid: it is there */
	bool		made_here;		/* not by a restore */
	const char *pattern;		/* of names of columns; NULL: it is about columns */
	const CdcJsonPath *path;	/* NULL: about the whole column */
	const char *path_text;
	CdcRedaction redaction;
	uint64		looked_for;		/* for cdc_rules_resolve() */
	uint64		found;
} CdcRule;

/* A column that a rule protects: by its number, or by its name. */
typedef struct CdcProtected
{
	CdcRule    *rule;
	AttrNumber	attnum;
	const char *column;			/* NULL: by number */
} CdcProtected;

typedef struct CdcRuleSet
{
	MemoryContext cxt;
	bool		unreadable;		/* there were rules, and they are gone */
	XLogRecPtr	since;			/* what was committed before may have had others */
	List	   *patterns;		/* CdcRule */
	List	   *removed;		/* CdcRule */
	HTAB	   *rules;			/* by id */
	HTAB	   *numbers;		/* by OID */
	HTAB	   *names;			/* by schema and table */
	int64		count;
} CdcRuleSet;

/* Reads all of it into set->cxt, in the place of what was there. Needs a
 * transaction, and no historic snapshot. */
extern void cdc_ruleset_read(CdcRuleSet *set, const CdcSecret *secret);

/* What is protected of a relation: lists of CdcProtected. */
extern const List *cdc_ruleset_by_number(const CdcRuleSet *set, Oid relid);
extern const List *cdc_ruleset_by_name(const CdcRuleSet *set, const char *schema, const char *table);

/* Calls fn with each protected column of tables that there are, by number or by name. */
typedef void (*CdcProtectedFn) (const CdcProtected *column, Oid relid, void *arg);

extern void cdc_ruleset_each_number(const CdcRuleSet *set, CdcProtectedFn fn, void *arg);
extern void cdc_ruleset_each_name(const CdcRuleSet *set, CdcProtectedFn fn, void *arg);

/* Rules that a restore brought, and that find no table now. Allocated in the current
 * memory context: their numbers, as int64 pointers. */
extern List *cdc_ruleset_lost(const CdcRuleSet *set);

#endif							/* CDC_RULESET_H */
