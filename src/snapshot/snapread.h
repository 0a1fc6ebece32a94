/*
 * snapread.h
 *	  Reads tables as they are, into batches like those of the stream.
 */
#ifndef CDC_SNAPREAD_H
#define CDC_SNAPREAD_H

#include "utils/array.h"
#include "utils/rel.h"

#include "compat.h"
#include "options/options.h"

/* The rows to read: by key or by block, from the first to before the last. */
typedef struct CdcSnapRange
{
	ArrayType  *from_key;		/* text[]; NULL: open */
	ArrayType  *to_key;
	int64		from_block;		/* -1: open */
	int64		to_block;
} CdcSnapRange;

typedef struct CdcSnapRead CdcSnapRead;

/* Opens and locks a relation until the end of the transaction; ERROR unless its
 * changes are sent. */
extern Relation cdc_snapread_open(Oid relid);

/* Appends a relation as FROM needs it: without those that inherit from it, but
 * with its partitions. */
extern void cdc_snapread_from(StringInfo sql, Relation rel);

/*
 * Begins to read a relation, or the partitions that are sent under its name,
 * under the active snapshot, each as its owner. What the current user may be sent
 * is all that is given. `slot` is for Source, in UTF-8. ERROR where the
 * options do not select the relation. The result lives in the current memory
 * context, with all that it needs later.
 */
extern CdcSnapRead *cdc_snapread_begin(Oid relid, const CdcSnapRange *range,
									   const CdcOptions *options, const char *slot);

/* The next delimited batch, in `result_cxt`; NULL when there are no more. There
 * is at least one, which may have no rows. Needs SPI and the same
 * active snapshot. ERROR 55000 where rows that the snapshot should see are
 * gone. */
extern bytea *cdc_snapread_next(CdcSnapRead *read, MemoryContext result_cxt);

/* Before the end: gives back what the server holds for it. */
extern void cdc_snapread_abandon(CdcSnapRead *read);

#endif							/* CDC_SNAPREAD_H */
