/*
 * protection.h
 *	  The rows that say which columns and names rules of redaction protect.
 *
 * cdc.redaction_column has columns by number, which counts in this database alone;
 * cdc.redaction_name has them by name, which a dump takes along.
 */
#ifndef CDC_PROTECTION_H
#define CDC_PROTECTION_H

#include "access/attnum.h"
#include "access/xlogdefs.h"
#include "nodes/pg_list.h"

typedef struct CdcProtection
{
	int64		rule;
	AttrNumber	attnum;			/* by number */
	const char *column;			/* by name */
	CommandId	since;			/* a command of this transaction; 0: since before it */
} CdcProtection;

/* What is protected of a relation, of a name of a table: lists of CdcProtection in the
 * current memory context. NIL where the extension is not there. */
extern List *cdc_protection_by_number(Oid relid);
extern List *cdc_protection_by_name(const char *schema, const char *table);

/* The names that a rule has, or with schema NULL all of them in a schema, or with that NULL,
 * too, all there are: pairs of schema and table. */
extern List *cdc_protection_tables(int64 rule, const char *schema);

/* The OIDs of all relations that have protected columns by number. */
extern List *cdc_protection_relations(void);

/* Adds what is not there; false if it was. Relation 0 says that a rule was made here. */
extern bool cdc_protection_add_number(Oid relid, AttrNumber attnum, int64 rule);
extern bool cdc_protection_add_name(const char *schema, const char *table, const char *column,
									int64 rule);

/* A relation was dropped: its numbers count until no slot needs them. */
extern void cdc_protection_dropped(Oid relid, XLogRecPtr position);

/* Removes what is of relations that were dropped before `oldest`. */
extern void cdc_protection_prune(XLogRecPtr oldest);

/* Whether a rule was removed by a transaction that has committed: what it protected until then
 * is known, and nothing is added. */
extern bool cdc_protection_has_ended(int64 rule);

/* Removes rules that were removed before, and what they protect. */
extern void cdc_protection_forget_rules(XLogRecPtr oldest);

/* Gives another position to what this transaction has written with one: the removals of rules,
 * and the installation. Invalid: does nothing. Returns how many rows there are. */
extern int	cdc_protection_date(XLogRecPtr position);

/* Lets other sessions wait that record something about the same relation. */
extern void cdc_protection_lock(Oid relid);

#endif							/* CDC_PROTECTION_H */
