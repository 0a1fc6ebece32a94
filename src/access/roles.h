/*
 * roles.h
 *	  The roles whose privileges a role has, as of now. A membership that is being
 *	  revoked counts no more.
 */
#ifndef CDC_ROLES_H
#define CDC_ROLES_H

#include "nodes/pg_list.h"
#include "catalog/rowversions.h"

typedef struct CdcRole
{
	Oid			oid;
	bool		superuser;
	bool		replication;
	bool		bypasses_rls;
	List	   *has;			/* OIDs, its own too; not of superusers */
} CdcRole;

/* In the current memory context. Needs a transaction, and no historic snapshot. */
extern CdcRole *cdc_role_read(Oid oid, CdcUnsettled *unsettled);

/* Whether it has the privileges of another one. */
extern bool cdc_role_has(const CdcRole *role, Oid other);

#endif							/* CDC_ROLES_H */
