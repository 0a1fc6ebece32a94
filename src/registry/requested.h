/*
 * requested.h
 *	  Rows in an older major version of their relation's schema: the option
 *	  `versions`, and what the registry has of these versions.
 */
#ifndef CDC_REQUESTED_H
#define CDC_REQUESTED_H

#include "nodes/pg_list.h"

#include "cdc/v1/cdc.pb-c.h"

/* A version that is asked for. */
typedef struct CdcRequested
{
	char	   *schema;			/* the relation's name, now or in that version */
	char	   *name;
	uint32		major;
	/* what the registry has: */
	Oid			relid;
	const Cdc__V1__Table *table;	/* the whole schema of the newest minor version */
	bool		warned;			/* that rows could not be sent in it */
} CdcRequested;

/* Parses schema.table=major, separated by commas, into a list of CdcRequested without what
 * the registry has; false where the text is malformed. */
extern bool cdc_requested_parse(List **versions, const char *text);

/*
 * Looks the versions up in the registry as it is now; ERROR for one that there is not,
 * or whose time is over. Those that the registry had of a table that is gone, and where they
 * are `stored` any that there is not, are returned in words, as cdc_requested_missing() does.
 * Allocates in the current memory context. Needs a transaction; whoever calls needs no right
 * on the registry.
 */
extern char *cdc_requested_read(List *versions, bool stored);

/* Those of which rows cannot be sent, and why, in words; an empty string for none. */
extern char *cdc_requested_missing(List *versions);

/* The same for one version of a relation. */
extern const Cdc__V1__Table *cdc_registered_version(Oid relid, uint32 major);

/* All versions of a relation that the registry has, as a list of Tables from the first
 * to the last. */
extern List *cdc_registered_versions(Oid relid);

/* The version that is asked for of a relation, or NULL. */
extern CdcRequested *cdc_requested_find(List *versions, Oid relid);

#endif							/* CDC_REQUESTED_H */
