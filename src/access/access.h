/*
 * access.h
 *	  What may leave the server in a session: the rules of redaction and the
 *	  user's privileges; and the versions of what leaves it.
 */
#ifndef CDC_ACCESS_H
#define CDC_ACCESS_H

#include "utils/rel.h"

#include "access/privileges.h"
#include "compat.h"
#include "redact/redact.h"

typedef struct CdcAccess CdcAccess;

/* Of the current user; lives in `cxt`. To be refreshed before it is asked.
 * `decoding`: what is cached of the catalogs of now must not be seen by others. */
extern CdcAccess *cdc_access_create(bool decoding, MemoryContext cxt);

/*
 * Reads what counts now, if it may have changed. Needs a transaction. When
 * decoding, only where no relation is open, since what is cached of catalogs is
 * thrown away.
 */
extern void cdc_access_refresh(CdcAccess *access);

/* Changes come that were committed at a position (streamed ones: begun), whose transaction
 * has these invalidations: what they are about may have been written by it. Refreshes. */
extern void cdc_access_begin(CdcAccess *access, XLogRecPtr position,
							 const ReorderBufferTXN *txn);

/* A relation has changed, or with InvalidOid anything may have: true if what is
 * allowed may be something else now, and tables must be resolved anew. */
extern bool cdc_access_invalidated(CdcAccess *access, Oid relid);

/*
 * Whether anything of a relation may be sent; then *redactions says how its
 * columns are redacted: an array by attnum - 1, NULL for what is sent as it is; or
 * NULL where nothing is. Allocated in the current memory context. When decoding, the
 * first relation of which nothing may be sent is a WARNING.
 */
extern bool cdc_access_resolve(CdcAccess *access, Relation rel,
							   const CdcRedaction *const **redactions);

/* Whether the user could read something of a relation as of the catalogs that are visible now:
 * of one that is dropped meanwhile there are no privileges of today. */
extern bool cdc_access_then(Relation rel);

/* Whether columns, by their attnums, are sent as they are. */
extern bool cdc_access_plain(CdcAccess *access, Relation rel, const AttrNumber *attnums, int n);

/* At the start of a stream: a WARNING about rules that a restore has left without a
 * table. To be called after cdc_access_refresh(), as that. */
extern void cdc_access_warn(const CdcAccess *access);

/* The version of a relation's whole schema, or 0. */
extern uint32 cdc_access_version(CdcAccess *access, Relation rel);

/* Whether logical messages with this prefix may be sent. */
extern bool cdc_access_message(const CdcAccess *access, const char *prefix);

/* The user is a superuser. */
extern bool cdc_access_superuser(const CdcAccess *access);

/* ERROR 42501: nothing of a relation may be sent to a user. */
pg_noreturn extern void cdc_access_refuse(Relation rel, Oid user);

#endif							/* CDC_ACCESS_H */
