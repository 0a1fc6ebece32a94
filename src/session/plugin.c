/*
 * plugin.c
 *	  The callbacks of the output plugin.
 *
 * Non-transactional messages come without a transaction in a walsender;
 * catalogs are read in the other callbacks only.
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlogreader.h"
#include "catalog/pg_class.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "replication/origin.h"
#include "utils/memutils.h"

#include "rows/attempt.h"
#include "session/command.h"
#include "session/session.h"
#include "util/guard.h"
#include "util/settings.h"
#include "util/utf8.h"

/* Bytes of a logical message's prefix, which has no limit of its own. */
#define MAX_PREFIX (64 * 1024)

/* How many changes may pass in silence, where core does not report progress. */
#define PROGRESS_INTERVAL 100

/* A rewrite that the current transaction has met. */
typedef struct Rewrite
{
	Oid			sent_as;		/* the relation, or the ancestor it is sent under */
	Oid			relid;
	Oid			transient;
} Rewrite;

const char *
cdc_origin_name(ReorderBufferTXN *txn)
{
	char	   *name;

	if (txn->origin_id == InvalidReplOriginId ||
		!replorigin_by_oid(txn->origin_id, true, &name))
		return NULL;
	return cdc_utf8(name);
}

/* Of ordinary and of prepared transactions. */
static void
begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcTxn	   *plain = &state->plain;
	MemoryContext oldcxt;

	MemoryContextReset(plain->cxt);
	cdc_metadata_clear(state->metadata);
	cdc_tablecache_begin(state->tables, InvalidTransactionId);
	cdc_access_begin(state->access, txn->final_lsn, txn);
	plain->head.xid = txn->xid;
	plain->head.first_lsn = txn->first_lsn;
	plain->head.commit_lsn = txn->final_lsn;
	plain->head.commit_time = cdc_commit_time(txn);
	plain->head.gid = NULL;
	plain->head.prepare_lsn = InvalidXLogRecPtr;
	plain->head.part = 0;
	plain->head.event_count = 0;
	plain->last_lsn = InvalidXLogRecPtr;
	plain->rewrites = NIL;
	plain->looked = NULL;
	state->txn = plain;
	state->settings_fixed = false;
	state->silent = 0;

	oldcxt = MemoryContextSwitchTo(plain->cxt);
	plain->head.origin = cdc_origin_name(txn);
	MemoryContextSwitchTo(oldcxt);
	cdc_batch_begin(state->batch, &plain->head);
}

static void
begin_prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcTransaction *head = &state->plain.head;
	MemoryContext oldcxt;

	begin_cb(ctx, txn);
	cdc_tablecache_begin(state->tables, txn->xid);
	head->commit_lsn = InvalidXLogRecPtr;
	head->commit_time = cdc_prepare_time(txn);
	head->prepare_lsn = txn->final_lsn;
	oldcxt = MemoryContextSwitchTo(state->plain.cxt);
	head->gid = cdc_utf8_escaped(pstrdup(txn->gid));
	MemoryContextSwitchTo(oldcxt);
}

/* Position of the next change; every change of a transaction passes here,
 * whether it is sent or not. */
static CdcEventHead
next_event(CdcState *state, Cdc__V1__Op op, XLogRecPtr lsn, TransactionId subxid)
{
	CdcTxn	   *txn = state->txn;

	txn->index = lsn == txn->last_lsn ? txn->index + 1 : 0;
	if (lsn != txn->last_lsn)
		txn->record_begins = cdc_batch_mark(state->batch);
	txn->last_lsn = lsn;
	return (CdcEventHead) {op, lsn - txn->head.first_lsn, txn->index,
		txn->streamed ? subxid : InvalidTransactionId};
}

/* A change is not sent. Long silence looks to the client as if the connection
 * were dead. */
static void
skip_change(LogicalDecodingContext *ctx, CdcState *state)
{
	if (CDC_CORE_REPORTS_PROGRESS || ++state->silent < PROGRESS_INTERVAL)
		return;
	OutputPluginUpdateProgress(ctx, false);
	state->silent = 0;
}

/*
 * Whether these rows belong to a rewrite that the transaction has not met.
 * Partitions that are sent under their root are rewritten one after the other,
 * as one table: what makes it another rewrite is that one of them comes again.
 */
static bool
is_new_rewrite(CdcTxn *txn, Oid sent_as, Oid relid, Oid transient)
{
	MemoryContext oldcxt;
	Rewrite    *rewrite;
	ListCell   *lc;
	bool		again = false;
	bool		others = false;

	foreach(lc, txn->rewrites)
	{
		rewrite = lfirst(lc);
		if (rewrite->relid == relid && rewrite->transient == transient)
			return false;
		again |= rewrite->relid == relid;
		others |= rewrite->sent_as == sent_as;
	}
	foreach(lc, txn->rewrites)
	{
		rewrite = lfirst(lc);
		if (again && rewrite->sent_as == sent_as)
			txn->rewrites = foreach_delete_current(txn->rewrites, lc);
	}
	oldcxt = MemoryContextSwitchTo(txn->cxt);
	rewrite = palloc(sizeof(Rewrite));
	rewrite->sent_as = sent_as;
	rewrite->relid = relid;
	rewrite->transient = transient;
	txn->rewrites = lcons(rewrite, txn->rewrites);
	MemoryContextSwitchTo(oldcxt);
	return again || !others;
}

/* A change that is not sent is one that would be, had the user the right. */
static void
count_withheld(CdcState *state, const CdcTableEntry *entry, Cdc__V1__Op op)
{
	if (entry->table == NULL && entry->selection != NULL && cdc_selection_has(entry->selection, op))
		cdc_stats_count(&state->stats, CDC_COUNT_WITHHELD_CHANGES, 1);
}

/* Deforms a tuple, if there is one. */
static const CdcRow *
read_row(HeapTuple tuple, TupleDesc tupdesc, CdcRow *row)
{
	if (tuple == NULL)
		return NULL;
	heap_deform_tuple(tuple, tupdesc, row->values, row->isnull);
	return row;
}

static const Cdc__V1__Op ops[] =
{
	[REORDER_BUFFER_CHANGE_INSERT] = CDC__V1__OP__OP_INSERT,
	[REORDER_BUFFER_CHANGE_UPDATE] = CDC__V1__OP__OP_UPDATE,
	[REORDER_BUFFER_CHANGE_DELETE] = CDC__V1__OP__OP_DELETE,
};

void
cdc_change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation rel,
	   ReorderBufferChange *rbchange)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = next_event(state, ops[rbchange->action], rbchange->lsn,
								   rbchange->txn->xid);
	/* A DDL statement writes the new rows of a table into a transient one. */
	bool		rewrite = OidIsValid(rel->rd_rel->relrewrite);
	Oid			relid = rewrite ? rel->rd_rel->relrewrite : RelationGetRelid(rel);
	HeapTuple	old = cdc_old_tuple(rbchange);
	HeapTuple	new = cdc_new_tuple(rbchange);
	TupleDesc	tupdesc = RelationGetDescr(rel);
	CdcTableEntry *entry;
	CdcChange	event = {head};
	CdcErrorPlace place = {rel, &event};
	ErrorContextCallback callback = {error_context_stack, cdc_error_place, &place};
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);
	CdcAttempt	attempt = {cdc_batch_events(state->batch), &event,
	cdc_batch_max_event(state->batch), state->options.stop_on_error};
	ErrorData  *filter_error = NULL;
	bool		wanted;

	error_context_stack = &callback;
	if (rewrite)
		event.head.op = CDC__V1__OP__OP_REWRITE;
	entry = cdc_tablecache_get(state->tables, relid, rel);
	wanted = entry->table != NULL && cdc_selection_has(entry->selection, event.head.op) &&
		(!rewrite || cdc_selection_can_rewrite(entry->selection, relid, rel));
	if (wanted)
	{
		event.table = entry->table;
		event.old_full = state->options.old_full;
		event.changed = state->changed;
		event.before = read_row(old, tupdesc, &state->before);
		event.after = read_row(new, tupdesc, &state->after);
		wanted = cdc_selection_pass(entry->selection, &event, &filter_error);
	}
	if (!wanted && filter_error == NULL)
	{
		count_withheld(state, entry, event.head.op);
		skip_change(ctx, state);
	}
	else
	{
		if (rewrite)
			event.rewrite_start = is_new_rewrite(state->txn, entry->selection->relid, relid,
												 RelationGetRelid(rel));
		if (entry->table->needs_settings && !state->settings_fixed)
		{
			cdc_fix_settings();
			state->settings_fixed = true;
		}
		if (!cdc_attempt(&attempt, filter_error, entry->table->may_raise ||
						 cdc_row_size(old, entry->table, event.before) +
						 cdc_row_size(new, entry->table, event.after) > CDC_LARGE_ROW(attempt.max_len)))
			cdc_stats_count(&state->stats, CDC_COUNT_FAILURES, 1);
		cdc_stats_count(&state->stats, CDC_COUNT_WITHHELD_VALUES, entry->selection->withheld);
		entry->selection->withheld = false;
		cdc_batch_added(state->batch, entry);
	}
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

/* Place of a relation in the list of a TRUNCATE's WAL record. */
static uint32
place_in_record(ReorderBufferChange *rbchange, Oid relid)
{
	for (uint32 i = 0; i < rbchange->data.truncate.nrelids; i++)
		if (rbchange->data.truncate.relids[i] == relid)
			return i;
	return 0;
}

void
cdc_truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
		 Relation relations[], ReorderBufferChange *rbchange)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = next_event(state, CDC__V1__OP__OP_TRUNCATE, rbchange->lsn,
								   rbchange->txn->xid);
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);

	for (int i = 0; i < nrelations; i++)
	{
		Oid			relid = RelationGetRelid(relations[i]);
		CdcTableEntry *entry = cdc_tablecache_get(state->tables, relid, relations[i]);

		if (entry->table == NULL || !cdc_selection_has(entry->selection, head.op))
		{
			count_withheld(state, entry, head.op);
			skip_change(ctx, state);
			continue;
		}
		head.index = place_in_record(rbchange, relid);
		cdc_event_truncate(cdc_batch_events(state->batch), &head, entry->table,
						   rbchange->data.truncate.cascade,
						   rbchange->data.truncate.restart_seqs);
		cdc_batch_added(state->batch, entry);
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

/* A prefix of a message in UTF-8; NULL when it is unreasonably long. */
static const char *
prefix_text(const char *prefix)
{
	return strlen(prefix) <= MAX_PREFIX ? cdc_utf8(prefix) : NULL;
}

/* A message outside of transactions is a batch of its own. */
static void
write_message_alone(CdcState *state, XLogRecPtr lsn, const char *prefix,
					const char *content, Size size)
{
	CdcEventHead head = {CDC__V1__OP__OP_MESSAGE, lsn - 1, 0};
	bool		own_transaction = !IsTransactionState() && !pg_is_ascii(prefix);
	MemoryContext cxt = CurrentMemoryContext;

	/* a prefix that is to be converted needs catalogs */
	if (own_transaction)
		StartTransactionCommand();
	MemoryContextSwitchTo(cxt);
	cdc_batch_begin(state->batch, NULL);
	cdc_event_message(cdc_batch_events(state->batch), &head, false, prefix_text(prefix),
					  content, size, cdc_batch_max_event(state->batch));
	if (own_transaction)
		AbortCurrentTransaction();
	MemoryContextSwitchTo(cxt);
	cdc_batch_added(state->batch, NULL);
	cdc_batch_end(state->batch, CDC__V1__OUTCOME__OUTCOME_OPEN, lsn);
}

/* Whether the user may be sent a message. Outside of transactions nothing else
 * asks whether that has changed. */
static bool
may_send(CdcState *state, bool transactional, const char *prefix)
{
	bool		own_transaction = !transactional && !IsTransactionState();
	MemoryContext cxt = CurrentMemoryContext;

	if (cdc_access_superuser(state->access))
		return true;
	if (own_transaction)
		StartTransactionCommand();
	if (!transactional)
		cdc_access_refresh(state->access);
	if (own_transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	return cdc_access_message(state->access, prefix);
}

/* Of a transactional message, which is alone in its record and no part of another one's
 * count: where it comes between the changes of one, these have their places all the same. */
static CdcEventHead
message_event(const CdcTxn *txn, XLogRecPtr lsn, TransactionId subxid)
{
	return (CdcEventHead) {CDC__V1__OP__OP_MESSAGE, lsn - 1 - txn->head.first_lsn, 0,
		txn->streamed ? subxid : InvalidTransactionId};
}

/* A transactional message that is not sent as one. */
static void
pass_message(LogicalDecodingContext *ctx, CdcState *state, bool metadata, const char *content, Size size)
{
	if (metadata && state->txn->streamed)
		cdc_stream_add_metadata(state->txn, content, size);
	else if (metadata && !cdc_metadata_add(state->metadata, content, size))
		cdc_stats_count(&state->stats, CDC_COUNT_DROPPED_METADATA, 1);
	skip_change(ctx, state);
}

/*
 * `lsn` is the end of the message's record, which is where the next one may
 * start: the byte before is the message's alone. Where the next one is a change of
 * another subtransaction core may call for that first; then the message is put
 * before it, unless it was sent already.
 */
static void
write_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
			  const char *prefix, Size size, const char *content)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = message_event(state->txn, lsn, cdc_stream_message_xid(txn));
	bool		late = lsn == state->txn->last_lsn;

	cdc_event_message(cdc_batch_events(state->batch), &head, true, prefix_text(prefix),
					  content, size, cdc_batch_max_event(state->batch));
	if (late)
		cdc_batch_move_last(state->batch, &state->txn->record_begins);
	cdc_batch_added(state->batch, NULL);
}

/* A command's message, if it is one: never sent as a message. */
static void
follow_command(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
			   Size size, const char *content)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = message_event(state->txn, lsn, cdc_stream_message_xid(txn));

	if (!state->options.schema_changes || size == 0 ||
		!cdc_schema_message(ctx, txn, &head, content, size))
		skip_change(ctx, state);
}

void
cdc_message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
		bool transactional, const char *prefix, Size size, const char *content)
{
	CdcState   *state = ctx->output_plugin_private;
	bool		metadata = strcmp(prefix, CDC_METADATA_PREFIX) == 0;
	bool		command = transactional && strcmp(prefix, CDC_COMMAND_PREFIX) == 0;
	bool		asked_for = metadata ? transactional :
		!command && cdc_options_want_message(&state->options, prefix);
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);
	bool		allowed = asked_for && may_send(state, transactional, prefix);

	if (asked_for && !allowed)
		cdc_stats_count(&state->stats, CDC_COUNT_WITHHELD_MESSAGES, 1);
	if (command)
		follow_command(ctx, txn, lsn, size, content);
	else if (transactional && (metadata || !allowed))
		pass_message(ctx, state, metadata && allowed, content, size);
	else if (transactional)
		write_message(ctx, txn, lsn, prefix, size, content);
	else if (allowed)
		write_message_alone(state, lsn, prefix, content, size);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

/* Writes the end of the transaction, or nothing if nothing was sent of it. */
static void
end_transaction(LogicalDecodingContext *ctx, Cdc__V1__Outcome outcome, XLogRecPtr end_lsn)
{
	CdcState   *state = ctx->output_plugin_private;
	bool		empty = state->plain.head.event_count == 0;

	OutputPluginUpdateProgress(ctx, empty);
	if (empty)
		cdc_stats_flush(&state->stats);
	else
		cdc_batch_end(state->batch, outcome, end_lsn);
	state->txn = NULL;
}

static void
commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	end_transaction(ctx, CDC__V1__OUTCOME__OUTCOME_COMMITTED, txn->end_lsn);
}

static void
prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr prepare_lsn)
{
	end_transaction(ctx, CDC__V1__OUTCOME__OUTCOME_PREPARED, txn->end_lsn);
}

/*
 * Whether a record is of no transaction. TRUNCATE of tables of which nothing is stored, partitioned
 * ones without partitions, gets no transaction id, and core makes a transaction of its own of the
 * record. That could be sent in part, without the catalogs of the transaction in which the table
 * was made: an ERROR each time the consumer comes back.
 */
static bool
is_of_nobody(XLogReaderState *reader)
{
	return XLogRecGetRmid(reader) == RM_HEAP_ID && !TransactionIdIsValid(XLogRecGetXid(reader));
}

/* Core asks for each record, before it keeps anything of it. */
static bool
filter_by_origin_cb(LogicalDecodingContext *ctx, ReplOriginId origin)
{
	CdcState   *state = ctx->output_plugin_private;

	return is_of_nobody(ctx->reader) || (state->options.local_only && origin != InvalidReplOriginId);
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = cdc_startup_cb;
	cb->begin_cb = begin_cb;
	cb->change_cb = cdc_change_cb;
	cb->truncate_cb = cdc_truncate_cb;
	cb->message_cb = cdc_message_cb;
	cb->commit_cb = commit_cb;
	cb->begin_prepare_cb = begin_prepare_cb;
	cb->prepare_cb = prepare_cb;
	cb->filter_by_origin_cb = filter_by_origin_cb;
	cdc_register_stream_callbacks(cb);
}
