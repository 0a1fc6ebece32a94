/*
 * stream.c
 *	  Callbacks for transactions that are sent before they have ended, and for
 *	  the ends of prepared ones.
 *
 * In a walsender stream_abort, stream_commit, stream_prepare, commit_prepared
 * and rollback_prepared run without a transaction; and so may stream_stop,
 * when the transaction was aborted meanwhile.
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlogreader.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "session/session.h"
#include "util/utf8.h"
#include "wire/wire.h"

/* Metadata that is kept until the outcome, of all subtransactions. */
#define MAX_ENTRIES_SIZE (1024 * 1024)

/* What cdc.set_metadata() wrote, and in which subtransaction. */
typedef struct MetadataEntry
{
	TransactionId xid;
	Size		size;
	char		content[FLEXIBLE_ARRAY_MEMBER];
} MetadataEntry;

/* The state of a transaction of which a chunk comes; kept between them in
 * txn->output_plugin_private. */
static CdcTxn *
streamed_txn(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcTxn	   *result = txn->output_plugin_private;
	MemoryContext cxt;

	if (result != NULL)
		return result;
	cxt = AllocSetContextCreate(ctx->context, "cdc streamed transaction", ALLOCSET_SMALL_SIZES);
	result = MemoryContextAllocZero(cxt, sizeof(CdcTxn));
	result->cxt = cxt;
	result->streamed = true;
	result->head.xid = txn->xid;
	result->head.first_lsn = txn->first_lsn;
	result->head.metadata = state->metadata;
	txn->output_plugin_private = result;
	return result;
}

static void
forget_txn(ReorderBufferTXN *txn)
{
	CdcTxn	   *streamed = txn->output_plugin_private;

	MemoryContextDelete(streamed->cxt);
	txn->output_plugin_private = NULL;
}

/*
 * The (sub)transaction that wrote the message which is being decoded: core does
 * not hand it over, but has set it as the one whose abort it watches for, unless
 * that has committed. Then nothing of the transaction is rolled back any more.
 */
TransactionId
cdc_stream_message_xid(ReorderBufferTXN *txn)
{
	return TransactionIdIsValid(CheckXidAlive) ? CheckXidAlive : txn->xid;
}

void
cdc_stream_add_metadata(CdcTxn *txn, const char *content, Size size)
{
	CdcCursor	cursor = cdc_cursor(content, size);
	CdcField	field;
	MetadataEntry *entry;
	MemoryContext oldcxt;

	if (size > 2 * CDC_METADATA_MAX_BYTES || txn->entries_size + size > MAX_ENTRIES_SIZE)
		return;
	oldcxt = MemoryContextSwitchTo(txn->cxt);
	entry = palloc(offsetof(MetadataEntry, content) + size);
	entry->xid = InvalidTransactionId;
	entry->size = size;
	memcpy(entry->content, content, size);
	while (cdc_read_field(&cursor, &field))
		if (field.number == CDC_METADATA_XID && field.type == CDC_WIRE_VARINT)
			entry->xid = (TransactionId) field.value;
	txn->entries = lappend(txn->entries, entry);
	txn->entries_size += sizeof(MetadataEntry) + size;
	MemoryContextSwitchTo(oldcxt);
}

/* Leaves out what a subtransaction wrote that is rolled back. */
static void
drop_metadata(CdcTxn *txn, TransactionId xid)
{
	ListCell   *lc;

	foreach(lc, txn->entries)
	{
		MetadataEntry *entry = lfirst(lc);

		if (entry->xid == xid)
		{
			txn->entries = foreach_delete_current(txn->entries, lc);
			pfree(entry);
		}
	}
}

static void
stream_start_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;

	cdc_tablecache_begin(state->tables, InvalidTransactionId);
	if (txn->output_plugin_private != NULL)
	{
		cdc_stream_use_snapshot(txn->output_plugin_private);
		cdc_tablecache_resume(txn);
	}
	cdc_access_begin(state->access, txn->first_lsn, txn);
	state->txn = streamed_txn(ctx, txn);
	state->settings_fixed = false;
	state->silent = 0;
	cdc_metadata_clear(state->metadata);
	cdc_batch_begin(state->batch, &state->txn->head);
}

static void
stream_stop_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);

	cdc_batch_pause(state->batch);
	cdc_stream_note_snapshot(state->txn, ctx->snapshot_builder);
	state->txn = NULL;
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

/* The end of a transaction of which parts may have been sent. */
static void
end_aborted(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr abort_lsn)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcTxn	   *streamed = txn->output_plugin_private;

	if (streamed->head.part > 0)
	{
		/* what is there is another transaction's */
		cdc_metadata_clear(state->metadata);
		cdc_batch_begin(state->batch, &streamed->head);
		cdc_batch_end(state->batch, CDC__V1__OUTCOME__OUTCOME_ROLLED_BACK, abort_lsn);
	}
	forget_txn(txn);
}

static void
stream_abort_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr abort_lsn)
{
	CdcState   *state = ctx->output_plugin_private;
	ReorderBufferTXN *top = rbtxn_get_toptxn(txn);
	CdcTxn	   *streamed = top->output_plugin_private;

	/* nothing was sent of it */
	if (streamed == NULL)
		return;
	if (txn == top)
	{
		end_aborted(ctx, txn, abort_lsn);
		return;
	}
	cdc_metadata_clear(state->metadata);
	drop_metadata(streamed, txn->xid);
	if (streamed->head.part > 0)
		cdc_batch_rolled_back(state->batch, &streamed->head, txn->xid);
}

/* The origin is known with the end only. */
static void
find_origin(CdcTxn *streamed, ReorderBufferTXN *txn)
{
	bool		own_transaction = !IsTransactionState();
	const char *name;

	if (txn->origin_id == InvalidReplOriginId)
		return;
	if (own_transaction)
		StartTransactionCommand();
	name = cdc_origin_name(txn);
	if (name != NULL)
		streamed->head.origin = MemoryContextStrdup(streamed->cxt, name);
	if (own_transaction)
	{
		AbortCurrentTransaction();
		/* what was cached is as of now */
		InvalidateSystemCaches();
	}
}

/* The last part of a streamed transaction. */
static void
end_streamed(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Cdc__V1__Outcome outcome)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcTxn	   *streamed = streamed_txn(ctx, txn);
	MemoryContext oldcxt = CurrentMemoryContext;
	bool		empty = streamed->head.part == 0;
	ListCell   *lc;

	OutputPluginUpdateProgress(ctx, empty);
	if (!empty)
	{
		find_origin(streamed, txn);
		MemoryContextSwitchTo(state->change_cxt);
		cdc_metadata_clear(state->metadata);
		foreach(lc, streamed->entries)
		{
			MetadataEntry *entry = lfirst(lc);

			(void) cdc_metadata_add(state->metadata, entry->content, entry->size);
		}
		cdc_batch_begin(state->batch, &streamed->head);
		cdc_batch_end(state->batch, outcome, txn->end_lsn);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(state->change_cxt);
	}
	forget_txn(txn);
}

static void
stream_commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	CdcTxn	   *streamed = streamed_txn(ctx, txn);

	streamed->head.commit_lsn = commit_lsn;
	streamed->head.commit_time = cdc_commit_time(txn);
	end_streamed(ctx, txn, CDC__V1__OUTCOME__OUTCOME_COMMITTED);
}

static void
stream_prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr prepare_lsn)
{
	CdcTxn	   *streamed = streamed_txn(ctx, txn);

	streamed->head.commit_time = cdc_prepare_time(txn);
	streamed->head.prepare_lsn = prepare_lsn;
	streamed->head.gid = MemoryContextStrdup(streamed->cxt, cdc_utf8_escaped(txn->gid));
	end_streamed(ctx, txn, CDC__V1__OUTCOME__OUTCOME_PREPARED);
}

/*
 * Whether a transaction is not to be sent when it is prepared. That is so for one that has been
 * rolled back by now: what it has made may be gone from the catalogs. Core takes care of that for
 * changes of the transaction itself; those of its subtransactions alone are an ERROR, each time the
 * consumer comes back. Core asks again at the end, where what was sent before has to be ended.
 */
static bool
filter_prepare_cb(LogicalDecodingContext *ctx, TransactionId xid, const char *gid)
{
	return XLogRecGetRmid(ctx->reader) == RM_XACT_ID &&
		(XLogRecGetInfo(ctx->reader) & XLOG_XACT_OPMASK) == XLOG_XACT_PREPARE &&
		TransactionIdDidAbort(xid);
}

/* COMMIT PREPARED and ROLLBACK PREPARED: the outcome alone. The transaction may
 * have been prepared on another connection. */
static void
end_prepared(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Cdc__V1__Outcome outcome,
			 XLogRecPtr commit_lsn, TimestampTz commit_time)
{
	CdcState   *state = ctx->output_plugin_private;
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);
	CdcTransaction head = {
		.xid = txn->xid,
		.first_lsn = txn->first_lsn,
		.commit_lsn = commit_lsn,
		.commit_time = commit_time,
		.gid = cdc_utf8_escaped(txn->gid),
		.metadata = state->metadata,
	};

	OutputPluginUpdateProgress(ctx, false);
	cdc_metadata_clear(state->metadata);
	cdc_batch_begin(state->batch, &head);
	cdc_batch_end(state->batch, outcome, txn->end_lsn);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

static void
commit_prepared_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	end_prepared(ctx, txn, CDC__V1__OUTCOME__OUTCOME_COMMITTED, commit_lsn, cdc_commit_time(txn));
}

static void
rollback_prepared_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
					 XLogRecPtr prepare_end_lsn, TimestampTz prepare_time)
{
	/* parts were sent, but not that it was prepared: see filter_prepare_cb() */
	if (txn->output_plugin_private != NULL)
		end_aborted(ctx, txn, txn->end_lsn);
	else
		end_prepared(ctx, txn, CDC__V1__OUTCOME__OUTCOME_ROLLED_BACK, InvalidXLogRecPtr, 0);
}

void
cdc_register_stream_callbacks(OutputPluginCallbacks *cb)
{
	cb->filter_prepare_cb = filter_prepare_cb;
	cb->commit_prepared_cb = commit_prepared_cb;
	cb->rollback_prepared_cb = rollback_prepared_cb;
	cb->stream_start_cb = stream_start_cb;
	cb->stream_stop_cb = stream_stop_cb;
	cb->stream_abort_cb = stream_abort_cb;
	cb->stream_prepare_cb = stream_prepare_cb;
	cb->stream_commit_cb = stream_commit_cb;
	cb->stream_change_cb = cdc_change_cb;
	cb->stream_message_cb = cdc_message_cb;
	cb->stream_truncate_cb = cdc_truncate_cb;
}
