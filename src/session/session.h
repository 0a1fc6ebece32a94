/*
 * session.h
 *	  The state of a decoding session, and what the callbacks of ordinary,
 *	  streamed and prepared transactions share.
 */
#ifndef CDC_SESSION_H
#define CDC_SESSION_H

#include "compat.h"
#include "options/options.h"
#include "redact/hmac.h"
#include "rows/event.h"
#include "session/batch.h"
#include "session/tablecache.h"
#include "util/stats.h"
#include "wire/metadata.h"

typedef struct CdcVisible CdcVisible;	/* of streamsnapshot.c */

/* A transaction that is being decoded. */
typedef struct CdcTxn
{
	CdcTransaction head;
	MemoryContext cxt;
	XLogRecPtr	last_lsn;		/* of the last change */
	uint32		index;			/* and its number among those of that LSN */
	CdcBatchMark record_begins;	/* where the events of that LSN are */
	List	   *rewrites;		/* those that it has met */
	struct HTAB *looked;		/* relations whose schemas were looked at, see schemachange.c; or NULL */
	bool		streamed;
	List	   *entries;		/* streamed: metadata, until the outcome is known */
	Size		entries_size;
	CdcVisible *visible;		/* streamed: what its last part ended with */
	CdcVisible *former_visible; /* or the one before */
} CdcTxn;

/* LogicalDecodingContext.output_plugin_private */
typedef struct CdcState
{
	CdcOptions	options;
	CdcAccess  *access;		/* NULL while a slot is created */
	CdcTableCache *tables;
	CdcBatch   *batch;
	CdcStats	stats;
	MemoryContext change_cxt;	/* reset after every change */
	CdcMetadata *metadata;		/* of the transaction that is being written */

	CdcTxn	   *txn;			/* the transaction whose changes come now */
	CdcTxn		plain;			/* is this, unless it is streamed */
	CdcHmacKey	command_key;	/* of the messages of commands, see command.h */
	bool		commands_known;	/* there is one */
	bool		settings_fixed;
	int			silent;			/* changes since progress was made */

	/* deformed tuples, indexed by attnum - 1 */
	CdcRow		before;
	CdcRow		after;
	bool	   *changed;
} CdcState;

/* Begins a session, see startup.c. */
extern void cdc_startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init);

/* Name of the replication origin in UTF-8, in the current memory context; NULL
 * where there is none. Needs a transaction if there is one. */
extern const char *cdc_origin_name(ReorderBufferTXN *txn);

/* The message of a command: events of what it has made of the relations that it names. False
 * where there are none. */
extern bool cdc_schema_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, CdcEventHead *head,
							   const char *content, Size size);

/* The callbacks for changes, of streamed transactions too. */
extern void cdc_change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						  Relation rel, ReorderBufferChange *rbchange);
extern void cdc_truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
							int nrelations, Relation relations[],
							ReorderBufferChange *rbchange);
extern void cdc_message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   XLogRecPtr lsn, bool transactional, const char *prefix,
						   Size size, const char *content);

/* Registers the callbacks for transactions that are streamed or prepared. */
extern void cdc_register_stream_callbacks(OutputPluginCallbacks *cb);

/* Who wrote the transactional message that is being decoded, where the
 * transaction is streamed. */
extern TransactionId cdc_stream_message_xid(ReorderBufferTXN *txn);

/* When a part of a streamed transaction ends, and when another begins: see streamsnapshot.c. */
extern void cdc_stream_note_snapshot(CdcTxn *txn, struct SnapBuild *builder);
extern void cdc_stream_use_snapshot(CdcTxn *txn);

/* The metadata of a streamed transaction: kept with the subtransaction that
 * wrote it. */
extern void cdc_stream_add_metadata(CdcTxn *txn, const char *content, Size size);

#endif							/* CDC_SESSION_H */
