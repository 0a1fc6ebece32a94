/*
 * batch.c
 *	  Collects events, writes batches.
 */
#include "postgres.h"

#include "replication/output_plugin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "json/jsonlines.h"
#include "rows/event.h"
#include "session/batch.h"
#include "util/settings.h"
#include "wire/frame.h"
#include "wire/wire.h"

/* What the schemas in a batch may take before it is cut. Its events decide, or a table with a
 * long schema would have a batch for every row; but many tables may come with few events. */
#define MAX_SCHEMAS (4 * 1024 * 1024)

/* In JSON a byte may take sixteen: false in six dimensions, [[[[[false]]]]],. */
#define MAX_EVENT_JSON (60 * 1024 * 1024)

struct CdcBatch
{
	LogicalDecodingContext *ctx;
	const CdcOptions *options;
	MemoryContext cxt;
	MemoryContext json_cxt;		/* reset after every batch */
	const char *source;
	int			source_len;
	bool		source_sent;
	CdcStats   *stats;

	uint64		number;			/* of batches, from 1 */
	CdcTransaction *transaction;
	StringInfoData head;		/* fields 1 to 5 */
	StringInfoData schemas;		/* field 6 */
	StringInfoData events;		/* field 7 */
	int			whole;			/* length of the events that are complete */
	StringInfoData rolled_back; /* field 8, if there is one */
	CdcFrame	frame;
};

CdcBatch *
cdc_batch_create(LogicalDecodingContext *ctx, const CdcOptions *options,
				 const char *source, int source_len, CdcStats *stats,
				 MemoryContext parent)
{
	CdcBatch   *batch = MemoryContextAllocZero(parent, sizeof(CdcBatch));
	MemoryContext oldcxt;

	batch->ctx = ctx;
	batch->options = options;
	batch->cxt = AllocSetContextCreate(parent, "cdc batch", ALLOCSET_DEFAULT_SIZES);
	batch->json_cxt = AllocSetContextCreate(batch->cxt, "cdc json", ALLOCSET_DEFAULT_SIZES);
	batch->source = source;
	batch->source_len = source_len;
	batch->stats = stats;
	batch->number = 1;
	oldcxt = MemoryContextSwitchTo(batch->cxt);
	initStringInfo(&batch->head);
	initStringInfo(&batch->schemas);
	initStringInfo(&batch->events);
	initStringInfo(&batch->rolled_back);
	cdc_frame_init(&batch->frame, options->compression);
	MemoryContextSwitchTo(oldcxt);
	return batch;
}

int
cdc_batch_max_event(const CdcBatch *batch)
{
	return Min(batch->options->json ? MAX_EVENT_JSON : CDC_MAX_EVENT, cdc_max_event_bytes());
}

void
cdc_batch_begin(CdcBatch *batch, CdcTransaction *transaction)
{
	batch->transaction = transaction;
	batch->whole = 0;
	cdc_buffer_clear(&batch->schemas);
	cdc_buffer_clear(&batch->events);
}

CdcBatchMark
cdc_batch_mark(const CdcBatch *batch)
{
	return (CdcBatchMark) {batch->number, batch->whole};
}

void
cdc_batch_move_last(CdcBatch *batch, CdcBatchMark *mark)
{
	int			len = batch->events.len - batch->whole;
	char	   *events = batch->events.data;
	char	   *moved;

	if (mark->batch != batch->number || mark->offset >= batch->whole)
		return;
	moved = palloc(len);
	memcpy(moved, events + batch->whole, len);
	memmove(events + mark->offset + len, events + mark->offset, batch->whole - mark->offset);
	memcpy(events + mark->offset, moved, len);
	pfree(moved);
	mark->offset += len;
}

static void
write_transaction(StringInfo out, const CdcTransaction *t)
{
	int			body = cdc_msg_begin(out, CDC_BATCH_TRANSACTION);
	/* microseconds since 1970, from those since 2000 */
	int64		time = t->commit_time == 0 ? 0 : t->commit_time +
		(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	cdc_field_uint_opt(out, CDC_TRANSACTION_XID, t->xid);
	cdc_field_fixed64_opt(out, CDC_TRANSACTION_FIRST_LSN, t->first_lsn);
	cdc_field_fixed64_opt(out, CDC_TRANSACTION_COMMIT_LSN, t->commit_lsn);
	cdc_field_fixed64_opt(out, CDC_TRANSACTION_COMMIT_TIME, (uint64) time);
	cdc_field_string_opt(out, CDC_TRANSACTION_ORIGIN, t->origin);
	cdc_field_string_opt(out, CDC_TRANSACTION_GID, t->gid);
	cdc_metadata_write(out, CDC_TRANSACTION_METADATA, t->metadata);
	cdc_field_fixed64_opt(out, CDC_TRANSACTION_PREPARE_LSN, t->prepare_lsn);
	cdc_msg_end(out, body);
}

/*
 * Sends what is in ctx->out, of which `len` bytes are ours; core would keep a large
 * buffer of it for ever. `last` was given to OutputPluginPrepareWrite(), too: with it core
 * sends the position, which parts have as well, so that a client knows how far it is. But of
 * several messages that end a transaction the last one alone may have its end's.
 */
static void
write_message(CdcBatch *batch, int len, bool last)
{
	cdc_stats_count(batch->stats, CDC_COUNT_BYTES, len);
	OutputPluginWrite(batch->ctx, last);
	cdc_buffer_clear(batch->ctx->out);
}

/* JSON lines are written one behind, since only the last one of an outcome has its
 * position; those of parts have theirs. */
typedef struct LineOutput
{
	CdcBatch   *batch;
	bool		part;
	StringInfoData line;
	bool		any;
} LineOutput;

static void
write_line(LineOutput *output, bool last)
{
	if (!output->any)
		return;
	OutputPluginPrepareWrite(output->batch->ctx, last);
	appendBinaryStringInfo(output->batch->ctx->out, output->line.data, output->line.len);
	write_message(output->batch, output->line.len, last);
}

static void
take_line(void *arg, const char *line, int len)
{
	LineOutput *output = arg;

	write_line(output, output->part);
	resetStringInfo(&output->line);
	appendBinaryStringInfo(&output->line, line, len);
	output->any = true;
}

static void
write_json(CdcBatch *batch, bool part)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(batch->json_cxt);
	LineOutput	output = {batch, part};
	StringInfoData bytes;

	initStringInfo(&output.line);
	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, batch->head.data, batch->head.len);
	appendBinaryStringInfo(&bytes, batch->schemas.data, batch->schemas.len);
	appendBinaryStringInfo(&bytes, batch->events.data, batch->events.len);
	cdc_json_batch(cdc_schemas_create(), bytes.data, bytes.len, take_line, &output);
	write_line(&output, true);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(batch->json_cxt);
}

static void
write_protobuf(CdcBatch *batch)
{
	bool		with_source = !batch->source_sent || batch->options->schemas_batch;
	CdcParts	parts = {0};
	int			len;

	cdc_parts_add(&parts, batch->head.data, batch->head.len);
	cdc_parts_add(&parts, batch->schemas.data, batch->schemas.len);
	cdc_parts_add(&parts, batch->events.data, batch->events.len);
	cdc_parts_add(&parts, batch->rolled_back.data, batch->rolled_back.len);
	if (with_source)
		cdc_parts_add(&parts, batch->source, batch->source_len);
	len = cdc_frame_pack(&batch->frame, &parts);
	OutputPluginPrepareWrite(batch->ctx, true);
	cdc_frame_write(batch->ctx->out, &parts, len);
	/* before others copy it: an event may be large */
	cdc_buffer_clear(&batch->events);
	write_message(batch, len + cdc_varint_size(len), true);
	batch->source_sent = true;
}

static void
write_batch(CdcBatch *batch, Cdc__V1__Outcome outcome, XLogRecPtr end_lsn)
{
	StringInfo	head = &batch->head;
	CdcTransaction *t = batch->transaction;

	/* An ERROR that core swallows (the transaction is aborted meanwhile) may
	 * have left an event half-written. */
	batch->events.len = batch->whole;
	resetStringInfo(head);
	if (t != NULL)
	{
		write_transaction(head, t);
		cdc_field_uint_opt(head, CDC_BATCH_PART, t->part);
		t->part++;
	}
	cdc_field_uint_opt(head, CDC_BATCH_OUTCOME, outcome);
	cdc_field_fixed64_opt(head, CDC_BATCH_END_LSN, end_lsn);
	if (outcome != CDC__V1__OUTCOME__OUTCOME_OPEN)
		cdc_field_uint_opt(head, CDC_BATCH_EVENT_COUNT, t->event_count);

	if (batch->options->json)
		write_json(batch, outcome == CDC__V1__OUTCOME__OUTCOME_OPEN);
	else
		write_protobuf(batch);
	cdc_buffer_clear(&batch->schemas);
	cdc_buffer_clear(&batch->events);
	batch->whole = 0;
	batch->number++;
	cdc_stats_count(batch->stats, CDC_COUNT_BATCHES, 1);
	cdc_stats_count(batch->stats, CDC_COUNT_TRANSACTIONS, outcome != CDC__V1__OUTCOME__OUTCOME_OPEN);
	cdc_stats_flush(batch->stats);
}

static bool
is_full(const CdcBatch *batch)
{
	return batch->transaction != NULL &&
		(batch->events.len >= batch->options->batch_bytes || batch->schemas.len >= MAX_SCHEMAS);
}

StringInfo
cdc_batch_events(CdcBatch *batch)
{
	if (unlikely(batch->whole > CDC_KEEP_BUFFER) && is_full(batch))
		write_batch(batch, CDC__V1__OUTCOME__OUTCOME_OPEN, InvalidXLogRecPtr);
	return &batch->events;
}

static void
add_schema(CdcBatch *batch, CdcTableEntry *entry)
{
	/* JSON lines are made from one batch at a time. */
	bool		every_batch = batch->options->schemas_batch || batch->options->json;
	const CdcTable *table = entry->table;

	if (entry->sent.any && entry->sent.fingerprint == table->fingerprint &&
		entry->sent.version == table->version &&
		(!every_batch || entry->sent.batch == batch->number))
		return;
	cdc_event_schema(&batch->schemas, table);
	entry->sent = (CdcSentSchema) {true, table->fingerprint, table->version, batch->number};
}

void
cdc_batch_added(CdcBatch *batch, CdcTableEntry *entry)
{
	batch->whole = batch->events.len;
	cdc_stats_count(batch->stats, CDC_COUNT_EVENTS, 1);
	if (batch->transaction != NULL)
		batch->transaction->event_count++;
	if (entry != NULL)
		add_schema(batch, entry);
	/* a large event waits until the server has given back what its row took */
	if (batch->events.len <= CDC_KEEP_BUFFER && is_full(batch))
		write_batch(batch, CDC__V1__OUTCOME__OUTCOME_OPEN, InvalidXLogRecPtr);
}

void
cdc_batch_pause(CdcBatch *batch)
{
	if (batch->whole > 0)
		write_batch(batch, CDC__V1__OUTCOME__OUTCOME_OPEN, InvalidXLogRecPtr);
	batch->transaction = NULL;
}

void
cdc_batch_end(CdcBatch *batch, Cdc__V1__Outcome outcome, XLogRecPtr end_lsn)
{
	write_batch(batch, outcome, end_lsn);
	batch->transaction = NULL;
}

void
cdc_batch_rolled_back(CdcBatch *batch, CdcTransaction *transaction, TransactionId subxid)
{
	cdc_batch_begin(batch, transaction);
	cdc_field_packed(&batch->rolled_back, CDC_BATCH_ROLLED_BACK_XIDS, &subxid, 1);
	cdc_batch_end(batch, CDC__V1__OUTCOME__OUTCOME_OPEN, InvalidXLogRecPtr);
	resetStringInfo(&batch->rolled_back);
}
