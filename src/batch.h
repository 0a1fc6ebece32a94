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

#include "metadata.h"
#include "options.h"
#include "tablecache.h"

/* The transaction that is being decoded, as far as it is known. */
typedef struct CdcTransaction
{
	TransactionId xid;
	XLogRecPtr	first_lsn;
	XLogRecPtr	commit_lsn;
	TimestampTz commit_time;
	const char *origin;			/* UTF-8; NULL: this server */
	const CdcMetadata *metadata;
} CdcTransaction;

typedef struct CdcBatch CdcBatch;

/* `source` is a serialized cdc.v1.Source; it must live as long as `parent`. */
extern CdcBatch *cdc_batch_create(LogicalDecodingContext *ctx, const CdcOptions *options,
								  const char *source, int source_len,
								  MemoryContext parent);

/* The most that one event may take, in bytes. */
extern int	cdc_batch_max_event(const CdcBatch *batch);

/* Begins a transaction, or with NULL something outside of one. */
extern void cdc_batch_begin(CdcBatch *batch, const CdcTransaction *transaction);

/* Where events are to be appended. After an ERROR cut it back to its former
 * length. */
extern StringInfo cdc_batch_events(CdcBatch *batch);

/* An event was appended; the schema that it refers to is sent if need be
 * (entry is NULL where it has none). May write a part. */
extern void cdc_batch_added(CdcBatch *batch, CdcTableEntry *entry);

/* Whether anything was added since cdc_batch_begin(). */
extern bool cdc_batch_is_empty(const CdcBatch *batch);

/* Writes what remains, with the outcome of the transaction. */
extern void cdc_batch_end(CdcBatch *batch, Cdc__V1__Outcome outcome, XLogRecPtr end_lsn);

#endif							/* CDC_BATCH_H */
