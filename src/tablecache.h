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

#include "lib/ilist.h"
#include "utils/rel.h"

#include "filter.h"

typedef struct CdcTableEntry
{
	Oid			relid;			/* hash key; the rest is private but for: */
	bool		valid;
	bool		outdated;		/* invalidated while it is being resolved */
	CdcTable   *table;			/* NULL: its changes are not sent */
	CdcSelection *selection;	/* what of them is sent */
	bool		sent;			/* sent_fingerprint is set */
	uint64		sent_fingerprint;	/* the last schema that was sent */
	uint32		sent_version;
	uint64		sent_batch;		/* the batch it was sent in */
	MemoryContext cxt;			/* of table and selection */
	Size		bytes;			/* of cxt */
	dlist_node	lru;
} CdcTableEntry;

typedef struct CdcTableCache CdcTableCache;

/* Created once per decoding context, as a child of `parent`. Its invalidation
 * ends with that context, also when an ERROR skips the shutdown callback. */
extern CdcTableCache *cdc_tablecache_create(const CdcOptions *options, CdcAccess *access,
											MemoryContext parent);

/*
 * The entry of a relation, resolved by the catalogs as of the change that is
 * being decoded. Valid until the next call. Rows of a rewritten table come
 * under a transient relation; give the one it is a copy of as `relid`.
 * Needs a transaction.
 */
extern CdcTableEntry *cdc_tablecache_get(CdcTableCache *cache, Oid relid, Relation rel);

#endif							/* CDC_TABLECACHE_H */
