/*
 * batch.h
 *	  Collects events into batches and hands them to the server: the only
 *	  caller of OutputPluginWrite().
 *
 * Nothing is held beyond the callback that ends a transaction or a
 * non-transactional message.
 */
#ifndef CDC_BATCH_H
#define CDC_BATCH_H

#include "lib/stringinfo.h"
#include "replication/logical.h"

#include "options/options.h"
#include "session/tablecache.h"
#include "util/stats.h"
#include "wire/metadata.h"

/* A transaction that is being decoded, as far as it is known. */
typedef struct CdcTransaction
{
	TransactionId xid;
	XLogRecPtr	first_lsn;
	XLogRecPtr	commit_lsn;		/* 0: not known yet */
	TimestampTz commit_time;	/* of the prepare if that is the outcome; 0: not known */
	const char *origin;			/* UTF-8; NULL: this server */
	const char *gid;			/* UTF-8; NULL: no two-phase commit */
	XLogRecPtr	prepare_lsn;
	const CdcMetadata *metadata;

	/* kept by the batch; 0 before the first part */
	uint32		part;			/* number of the next one */
	uint64		event_count;	/* sent so far */
} CdcTransaction;

typedef struct CdcBatch CdcBatch;

/* `source` is a serialized cdc.v1.Source; it and `stats` must live as long as
 * `parent`. */
extern CdcBatch *cdc_batch_create(LogicalDecodingContext *ctx, const CdcOptions *options,
								  const char *source, int source_len,
								  CdcStats *stats, MemoryContext parent);

/* The most that one event may take, in bytes. */
extern int	cdc_batch_max_event(const CdcBatch *batch);

/* A place among the events of a batch. */
typedef struct CdcBatchMark
{
	uint64		batch;			/* its number */
	int			offset;
} CdcBatchMark;

/* The end of the events that there are. */
extern CdcBatchMark cdc_batch_mark(const CdcBatch *batch);

/* Moves the event that was appended, before cdc_batch_added(), to a place, which is then
 * behind it; nowhere if what is there was written already. */
extern void cdc_batch_move_last(CdcBatch *batch, CdcBatchMark *mark);

/* What follows belongs to this transaction, or with NULL to none. */
extern void cdc_batch_begin(CdcBatch *batch, CdcTransaction *transaction);

/* Where events are to be appended. After an ERROR cut it back to its former
 * length. May write a part, before. */
extern StringInfo cdc_batch_events(CdcBatch *batch);

/* An event was appended; the schema that it refers to is sent if need be
 * (entry is NULL where it has none). May write a part. */
extern void cdc_batch_added(CdcBatch *batch, CdcTableEntry *entry);

/* Writes what there is as a part of a transaction that goes on later. */
extern void cdc_batch_pause(CdcBatch *batch);

/* Writes what remains, with the outcome of the transaction. */
extern void cdc_batch_end(CdcBatch *batch, Cdc__V1__Outcome outcome, XLogRecPtr end_lsn);

/* Tells that the events of a subtransaction are void. */
extern void cdc_batch_rolled_back(CdcBatch *batch, CdcTransaction *transaction,
								  TransactionId subxid);

#endif							/* CDC_BATCH_H */
