/*
 * grants.h
 *	  What cdc.grant_read() gave to roles: rows of cdc.read_grant.
 *
 * Numbers say what a row is about, where it was made; names do after a restore, until
 * cdc.bind_grants() or the next grant gives it numbers.
 */
#ifndef CDC_GRANTS_H
#define CDC_GRANTS_H

#include "access/attnum.h"
#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "access/roles.h"
#include "catalog/rowversions.h"

typedef struct CdcGrant
{
	int64		id;
	Oid			relid;			/* or InvalidOid: messages */
	AttrNumber	attnum;			/* 0: all columns */
	const char *prefix;			/* of messages; or NULL */
	const CdcRole *giver;		/* who must be able to give it; NULL: the owner of what is given */
	XLogRecPtr	given_at;
	bool		dropped;		/* the relation was, with the grant */
} CdcGrant;

typedef struct CdcGrants
{
	List	   *all;			/* CdcGrants, to one of the roles */
	Oid			tables[2];		/* where they are stored */
} CdcGrants;

/* What counts for roles, in the current memory context: what is committed and is not
 * being taken away. Needs a transaction, and no historic snapshot. */
extern void cdc_grants_read(CdcGrants *grants, const List *roles, CdcUnsettled *unsettled);

#endif							/* CDC_GRANTS_H */
