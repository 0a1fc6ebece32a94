/*
 * older.h
 *	  Rows in an older major version of their relation's schema: the option
 *	  `versions`, what the registry has of these versions, and whether rows of
 *	  today can be sent so without loss.
 */
#ifndef CDC_OLDER_H
#define CDC_OLDER_H

#include "nodes/pg_list.h"

#include "cdc/v1/cdc.pb-c.h"

/* A version that is asked for. */
typedef struct CdcOlder
{
	char	   *schema;			/* the relation's name, now or in that version */
	char	   *name;
	uint32		major;
	/* what the registry has: */
	Oid			relid;
	const Cdc__V1__Table *table;	/* the whole schema of the newest minor version */
	bool		warned;			/* that rows could not be sent in it */
} CdcOlder;

/* Parses schema.table=major, separated by commas, into a list of CdcOlder without what
 * the registry has; false where the text is malformed. */
extern bool cdc_older_parse(List **versions, const char *text);

/*
 * Looks the versions up in the registry as it is now; ERROR for one that there is not,
 * or whose time is over. Those that the registry had of a table that is gone, and where they
 * are `stored` any that there is not, are returned in words, as cdc_older_missing() does.
 * Allocates in the current memory context. Needs a transaction; whoever calls needs no right
 * on the registry.
 */
extern char *cdc_older_read(List *versions, bool stored);

/* Those of which rows cannot be sent, and why, in words; an empty string for none. */
extern char *cdc_older_missing(List *versions);

/* The same for one version of a relation. */
extern const Cdc__V1__Table *cdc_older_table(Oid relid, uint32 major);

/* All versions of a relation that the registry has, as a list of Tables from the first
 * to the last. */
extern List *cdc_older_all(Oid relid);

/* The version that is asked for of a relation, or NULL. */
extern CdcOlder *cdc_older_find(List *versions, Oid relid);

/*
 * Why rows of a schema cannot be sent in an older one, in words, or NULL where they can:
 * columns that were renamed, added, widened, or dropped and could be NULL are no
 * hindrance. Both are whole schemas.
 */
extern char *cdc_older_hindrance(const Cdc__V1__Table *older, const Cdc__V1__Table *now);

#endif							/* CDC_OLDER_H */
