/*
 * privileges.h
 *	  What the user of a session may be sent: columns that it may SELECT, or was
 *	  given by cdc.grant_read().
 *
 * Privileges are those of now, also for changes of long ago. What is given counts once
 * that is committed and seen; what is taken away, from the moment that it is written,
 * whether that transaction has ended or not.
 */
#ifndef CDC_PRIVILEGES_H
#define CDC_PRIVILEGES_H

#include "access/xlogdefs.h"
#include "nodes/bitmapset.h"
#include "utils/rel.h"

typedef struct CdcPrivileges CdcPrivileges;

/* Of the current user. Lives in `cxt`; nothing is allowed before it is read. */
extern CdcPrivileges *cdc_privileges_create(MemoryContext cxt);

/* Reads the user's roles and what cdc.grant_read() gave them. Needs a
 * transaction, and no historic snapshot. */
extern void cdc_privileges_read(CdcPrivileges *privileges);

/* Whether cdc.check_privileges has changed since, or a transaction has ended of which
 * it was not known what it gives or takes. */
extern bool cdc_privileges_outdated(const CdcPrivileges *privileges);

/* Whether a relation is where grants are stored. */
extern bool cdc_privileges_stored_in(const CdcPrivileges *privileges, Oid relid);

/* The user is a superuser. */
extern bool cdc_privileges_superuser(const CdcPrivileges *privileges);

/* Name of the user, in UTF-8. */
extern const char *cdc_privileges_user(const CdcPrivileges *privileges);

/*
 * Whether every column of a relation, and every row, may be sent; if not,
 * *columns are the attnums that may, in the current memory context; NULL: none.
 * `rel` is as of the change, which was made in a transaction that ended at
 * `lsn`, or at the latest began there. Reads the catalogs of now, also under a
 * historic snapshot. Needs a transaction.
 */
extern bool cdc_privileges_all(CdcPrivileges *privileges, Relation rel, XLogRecPtr lsn,
							   Bitmapset **columns);

/* Whether logical messages with this prefix may be sent. */
extern bool cdc_privileges_message(const CdcPrivileges *privileges, const char *prefix);

#endif							/* CDC_PRIVILEGES_H */
