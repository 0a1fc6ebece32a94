/*
 * plugin.c
 *	  The callbacks of the output plugin.
 *
 * Startup, shutdown and non-transactional messages run without a transaction
 * in a walsender; catalogs are read in the other callbacks only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "batch.h"
#include "compat.h"
#include "event.h"
#include "guard.h"
#include "metadata.h"
#include "options.h"
#include "settings.h"
#include "tablecache.h"

/* A row whose out-of-line values take more may exceed the limits of memory:
 * it is written with care. */
#define LARGE_ROW (32 * 1024 * 1024)

/* How many changes may pass in silence, where core does not report progress. */
#define PROGRESS_INTERVAL 100

/* A rewrite that the current transaction has met. */
typedef struct Rewrite
{
	Oid			relid;
	Oid			transient;
} Rewrite;

/* LogicalDecodingContext.output_plugin_private */
typedef struct CdcState
{
	CdcOptions	options;
	CdcTableCache *tables;
	CdcBatch   *batch;
	MemoryContext change_cxt;	/* reset after every change */

	/* of the transaction that is being decoded */
	MemoryContext txn_cxt;
	CdcTransaction transaction;
	CdcMetadata *metadata;
	XLogRecPtr	last_lsn;		/* of the last change */
	uint32		index;			/* and its number among those of that LSN */
	bool		settings_fixed;
	List	   *rewrites;
	int			silent;			/* changes since progress was made */

	/* deformed tuples, indexed by attnum - 1 */
	CdcRow		before;
	CdcRow		after;
	bool	   *changed;
} CdcState;

static CdcRow
new_row(MemoryContext cxt)
{
	CdcRow		row;

	row.values = MemoryContextAlloc(cxt, sizeof(Datum) * MaxTupleAttributeNumber);
	row.isnull = MemoryContextAlloc(cxt, sizeof(bool) * MaxTupleAttributeNumber);
	return row;
}

/* Packs the Source of this connection. */
static void
describe_source(LogicalDecodingContext *ctx, const char *database, char **data, int *len)
{
	Cdc__V1__Source source = CDC__V1__SOURCE__INIT;
	Cdc__V1__Batch batch = CDC__V1__BATCH__INIT;
	TimeLineID	timeline;

	if (RecoveryInProgress())
		(void) GetXLogReplayRecPtr(&timeline);
	else
		timeline = GetWALInsertionTimeLine();
	source.system_identifier = GetSystemIdentifier();
	source.timeline = timeline;
	source.database = unconstify(char *, database);
	source.slot = NameStr(ctx->slot->data.name);
	source.plugin_version = CDC_VERSION;
	source.server_version = atoi(GetConfigOption("server_version_num", false, false));
	batch.source = &source;
	*len = cdc__v1__batch__get_packed_size(&batch);
	*data = MemoryContextAlloc(ctx->context, *len);
	cdc__v1__batch__pack(&batch, (uint8_t *) *data);
}

/*
 * What startup needs of the catalogs. The walsender calls it outside of a
 * transaction; and what it caches is as of today, where the changes to be
 * decoded need the catalogs of their time.
 */
static void
read_catalogs(LogicalDecodingContext *ctx, char **source, int *source_len)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	bool		own_transaction = !IsTransactionState();
	Oid			extension;
	char	   *database;

	if (own_transaction)
		StartTransactionCommand();
	extension = get_extension_oid("cdc", true);
	database = get_database_name(MyDatabaseId);
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"cdc\" is not installed in database \"%s\"", database),
				 errhint("Run CREATE EXTENSION cdc in that database.")));
	describe_source(ctx, cdc_utf8(database), source, source_len);
	if (own_transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(oldcxt);
	InvalidateSystemCaches();
}

static void
startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	CdcState   *state = MemoryContextAllocZero(ctx->context, sizeof(CdcState));
	MemoryContext oldcxt = MemoryContextSwitchTo(ctx->context);
	char	   *source;
	int			source_len;

	ctx->output_plugin_private = state;
	cdc_options_parse(&state->options, ctx->output_plugin_options);
	opt->output_type = state->options.json ? OUTPUT_PLUGIN_TEXTUAL_OUTPUT :
		OUTPUT_PLUGIN_BINARY_OUTPUT;
	opt->receive_rewrites = state->options.rewrites;

	/* Creating a slot decodes nothing. */
	if (!is_init)
	{
		read_catalogs(ctx, &source, &source_len);
		state->tables = cdc_tablecache_create(ctx->context);
		state->batch = cdc_batch_create(ctx, &state->options, source, source_len, ctx->context);
		state->change_cxt = AllocSetContextCreate(ctx->context, "cdc change",
												  ALLOCSET_DEFAULT_SIZES);
		state->txn_cxt = AllocSetContextCreate(ctx->context, "cdc transaction",
											   ALLOCSET_SMALL_SIZES);
		state->metadata = cdc_metadata_create(ctx->context);
		state->transaction.metadata = state->metadata;
		state->before = new_row(ctx->context);
		state->after = new_row(ctx->context);
		state->changed = MemoryContextAlloc(ctx->context,
											sizeof(bool) * MaxTupleAttributeNumber);
	}
	MemoryContextSwitchTo(oldcxt);
}

static void
begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	CdcState   *state = ctx->output_plugin_private;

	state->transaction.xid = txn->xid;
	state->transaction.first_lsn = txn->first_lsn;
	state->transaction.commit_lsn = txn->final_lsn;
	state->transaction.commit_time = cdc_commit_time(txn);
	state->transaction.origin = NULL;
	state->last_lsn = InvalidXLogRecPtr;
	state->settings_fixed = false;
	state->rewrites = NIL;
	state->silent = 0;
	MemoryContextReset(state->txn_cxt);
	cdc_metadata_clear(state->metadata);

	if (txn->origin_id != InvalidReplOriginId)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(state->txn_cxt);
		char	   *name;

		if (replorigin_by_oid(txn->origin_id, true, &name))
			state->transaction.origin = cdc_utf8(name);
		MemoryContextSwitchTo(oldcxt);
	}
	cdc_batch_begin(state->batch, &state->transaction);
}

/* Position of the next change; every change of a transaction passes here,
 * whether it is sent or not. */
static CdcEventHead
next_event(CdcState *state, Cdc__V1__Op op, XLogRecPtr lsn)
{
	state->index = lsn == state->last_lsn ? state->index + 1 : 0;
	state->last_lsn = lsn;
	return (CdcEventHead) {op, lsn - state->transaction.first_lsn, state->index};
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

/* Whether these rows belong to a rewrite that the transaction has not met. */
static bool
is_new_rewrite(CdcState *state, Oid relid, Oid transient)
{
	MemoryContext oldcxt;
	Rewrite    *rewrite;
	ListCell   *lc;

	foreach(lc, state->rewrites)
	{
		rewrite = lfirst(lc);
		if (rewrite->relid == relid && rewrite->transient == transient)
			return false;
	}
	oldcxt = MemoryContextSwitchTo(state->txn_cxt);
	rewrite = palloc(sizeof(Rewrite));
	rewrite->relid = relid;
	rewrite->transient = transient;
	state->rewrites = lcons(rewrite, state->rewrites);
	MemoryContextSwitchTo(oldcxt);
	return true;
}

/* Arguments of write_change(), which may be called through cdc_guarded(). */
typedef struct Attempt
{
	StringInfo	out;
	CdcChange  *change;
	int			max_len;
} Attempt;

static void
write_change(void *arg)
{
	Attempt    *attempt = arg;
	int			start = attempt->out->len;

	cdc_event_change(attempt->out, attempt->change);
	if (attempt->out->len - start > attempt->max_len)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large for one event")));
}

static void
write_failed_key(void *arg)
{
	Attempt    *attempt = arg;
	int			start = attempt->out->len;

	cdc_event_failure(attempt->out, attempt->change, true, "", "", 0);
	attempt->out->len = start;
}

/* A row that can not be written becomes an event that says so. */
static void
write_carefully(Attempt *attempt, bool stop_on_error)
{
	CdcChange  *change = attempt->change;
	int			start = attempt->out->len;
	ErrorData  *error = cdc_guarded(write_change, attempt);
	AttrNumber	column = change->failing;
	bool		key_fails;
	const char *message;

	if (error == NULL)
		return;
	attempt->out->len = start;
	if (stop_on_error)
		ReThrowError(error);
	key_fails = cdc_guarded(write_failed_key, attempt) != NULL;
	attempt->out->len = start;
	message = error->message_id != NULL ? error->message_id : "unknown error";
	cdc_event_failure(attempt->out, change, !key_fails,
					  unpack_sql_state(error->sqlerrcode), message, column);
}

/* Adds the relation, and the column that is being written, to errors. */
typedef struct ErrorPlace
{
	Relation	rel;
	const CdcChange *change;
} ErrorPlace;

static void
add_context(void *arg)
{
	ErrorPlace *place = arg;

	if (place->change->failing > 0)
		errcontext("cdc: writing column %d of relation \"%s\"",
				   place->change->failing, RelationGetRelationName(place->rel));
	else
		errcontext("cdc: writing a change of relation \"%s\"",
				   RelationGetRelationName(place->rel));
}

static const Cdc__V1__Op ops[] =
{
	[REORDER_BUFFER_CHANGE_INSERT] = CDC__V1__OP__OP_INSERT,
	[REORDER_BUFFER_CHANGE_UPDATE] = CDC__V1__OP__OP_UPDATE,
	[REORDER_BUFFER_CHANGE_DELETE] = CDC__V1__OP__OP_DELETE,
};

static void
change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation rel,
	   ReorderBufferChange *rbchange)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = next_event(state, ops[rbchange->action], rbchange->lsn);
	/* A DDL statement writes the new rows of a table into a transient one. */
	bool		rewrite = OidIsValid(rel->rd_rel->relrewrite);
	Oid			relid = rewrite ? rel->rd_rel->relrewrite : RelationGetRelid(rel);
	HeapTuple	old = cdc_old_tuple(rbchange);
	HeapTuple	new = cdc_new_tuple(rbchange);
	TupleDesc	tupdesc = RelationGetDescr(rel);
	CdcTableEntry *entry;
	CdcChange	event = {head};
	Attempt		attempt = {cdc_batch_events(state->batch), &event,
		cdc_batch_max_event(state->batch)};
	ErrorPlace	place = {rel, &event};
	ErrorContextCallback callback = {error_context_stack, add_context, &place};
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);

	error_context_stack = &callback;
	entry = cdc_tablecache_get(state->tables, relid, rel);
	if (entry->table == NULL)
		skip_change(ctx, state);
	else
	{
		event.table = entry->table;
		event.old_full = state->options.old_full;
		event.changed = state->changed;
		if (rewrite)
		{
			event.head.op = CDC__V1__OP__OP_REWRITE;
			event.rewrite_start = is_new_rewrite(state, relid, RelationGetRelid(rel));
		}
		if (old != NULL)
		{
			heap_deform_tuple(old, tupdesc, state->before.values, state->before.isnull);
			event.before = &state->before;
		}
		if (new != NULL)
		{
			heap_deform_tuple(new, tupdesc, state->after.values, state->after.isnull);
			event.after = &state->after;
		}
		if (entry->table->needs_settings && !state->settings_fixed)
		{
			cdc_fix_settings();
			state->settings_fixed = true;
		}
		if (entry->table->may_raise ||
			cdc_row_toasted_size(old, tupdesc, &state->before) +
			cdc_row_toasted_size(new, tupdesc, &state->after) > LARGE_ROW)
			write_carefully(&attempt, state->options.stop_on_error);
		else
			write_change(&attempt);
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

static void
truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
		 Relation relations[], ReorderBufferChange *rbchange)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcEventHead head = next_event(state, CDC__V1__OP__OP_TRUNCATE, rbchange->lsn);
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);

	for (int i = 0; i < nrelations; i++)
	{
		Oid			relid = RelationGetRelid(relations[i]);
		CdcTableEntry *entry = cdc_tablecache_get(state->tables, relid, relations[i]);

		if (entry->table == NULL)
		{
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
	cdc_event_message(cdc_batch_events(state->batch), &head, false, cdc_utf8(prefix),
					  content, size, cdc_batch_max_event(state->batch));
	if (own_transaction)
		AbortCurrentTransaction();
	MemoryContextSwitchTo(cxt);
	cdc_batch_added(state->batch, NULL);
	cdc_batch_end(state->batch, CDC__V1__OUTCOME__OUTCOME_OPEN, lsn);
}

/* `lsn` is the end of the message's record, which is where the next one may
 * start: the byte before is the message's alone. */
static void
message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
		bool transactional, const char *prefix, Size size, const char *content)
{
	CdcState   *state = ctx->output_plugin_private;
	bool		metadata = strcmp(prefix, CDC_METADATA_PREFIX) == 0;
	bool		wanted = !metadata && cdc_options_want_message(&state->options, prefix);
	MemoryContext oldcxt = MemoryContextSwitchTo(state->change_cxt);

	if (transactional)
	{
		CdcEventHead head = next_event(state, CDC__V1__OP__OP_MESSAGE, lsn - 1);

		if (wanted)
		{
			cdc_event_message(cdc_batch_events(state->batch), &head, true, cdc_utf8(prefix),
							  content, size, cdc_batch_max_event(state->batch));
			cdc_batch_added(state->batch, NULL);
		}
		else
		{
			if (metadata && !cdc_metadata_add(state->metadata, content, size))
				elog(DEBUG1, "cdc: malformed or oversized metadata dropped");
			skip_change(ctx, state);
		}
	}
	else if (wanted)
		write_message_alone(state, lsn, prefix, content, size);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(state->change_cxt);
}

static void
commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	CdcState   *state = ctx->output_plugin_private;
	bool		empty = cdc_batch_is_empty(state->batch);

	OutputPluginUpdateProgress(ctx, empty);
	if (!empty)
		cdc_batch_end(state->batch, CDC__V1__OUTCOME__OUTCOME_COMMITTED, txn->end_lsn);
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = startup_cb;
	cb->begin_cb = begin_cb;
	cb->change_cb = change_cb;
	cb->truncate_cb = truncate_cb;
	cb->message_cb = message_cb;
	cb->commit_cb = commit_cb;
}
