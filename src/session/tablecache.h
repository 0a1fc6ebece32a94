/*
 * tablecache.h
 *	  The relations that a decoding session has met, resolved once each and
 *	  again after they changed.
 *
 * One cache for a decoding context, in whose memory it lives. Memory is
 * bounded: beyond a number of bytes the table that was not used for longest is
 * forgotten, which costs resolving it and sending its schema again.
 */
#ifndef CDC_TABLECACHE_H
#define CDC_TABLECACHE_H

#include "replication/reorderbuffer.h"
#include "utils/rel.h"

#include "select/filter.h"

/* The last schema that was sent of a relation: kept by the batch. */
typedef struct CdcSentSchema
{
	bool		any;
	uint64		fingerprint;
	uint32		version;
	uint64		batch;			/* the number of the batch that it was sent in */
} CdcSentSchema;

typedef struct CdcTableEntry
{
	Oid			relid;
	const CdcTable *table;		/* NULL: its changes are not sent */
	CdcSelection *selection;	/* what of them is sent */
	CdcSentSchema sent;
} CdcTableEntry;

typedef struct CdcTableCache CdcTableCache;

/* Created once per decoding context, as a child of `parent`. Its invalidation
 * ends with that context, also when an ERROR skips the shutdown callback. */
extern CdcTableCache *cdc_tablecache_create(const CdcOptions *options, CdcAccess *access,
											MemoryContext parent);

/* A transaction is decoded: its xid where it is when it is prepared, or invalid. */
extern void cdc_tablecache_begin(CdcTableCache *cache, TransactionId prepared);

/*
 * The entry of a relation, resolved by the catalogs as of the change that is
 * being decoded. Valid until the next call. Rows of a rewritten table come
 * under a transient relation; give the one it is a copy of as `relid`.
 * Needs a transaction.
 */
extern CdcTableEntry *cdc_tablecache_get(CdcTableCache *cache, Oid relid, Relation rel);

/*
 * A relation as it is sent by the catalogs that are visible now, past the cache, allocated in
 * `cxt`; NULL where no rows of it come under its own name. *selected: they would, if the user
 * may be sent them.
 */
extern const CdcTable *cdc_tablecache_look(CdcTableCache *cache, Relation rel, MemoryContext cxt,
										   bool *selected);

/* Takes out of core's caches of catalogs what may be as of another moment of a transaction: what
 * it has changed itself. */
extern void cdc_tablecache_reset_catalogs(const ReorderBufferTXN *txn);

/* A transaction of which a part was sent goes on. Others, by which its changes are not to be seen,
 * may have been decoded since: what they have left in the caches of what it has changed is taken
 * out, as core does when a part ends, but not when one begins. */
extern void cdc_tablecache_resume(const ReorderBufferTXN *txn);

/* Takes all out of core's caches, and has all be resolved anew. */
extern void cdc_tablecache_reset(void);

/* Takes a relation out of core's caches that was looked at without a lock or a change of it. Core
 * leaves there what is as of the transaction that is decoded, since by its locks no other
 * transaction has changed it meanwhile; of this relation one may have. */
extern void cdc_tablecache_forget(Oid relid);

#endif							/* CDC_TABLECACHE_H */
