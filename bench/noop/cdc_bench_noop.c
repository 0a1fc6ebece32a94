/*
 * cdc_bench_noop.c
 *	  The floor for bench/run: an output plugin that does nothing, so that
 *	  what remains is PostgreSQL's own decoding. Option "streaming" as pgoutput's;
 *	  with "message" it sends as many spaces for each transaction, which is the
 *	  floor for a plugin that sends anything.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/value.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

static int	message_bytes;

static void
startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	ListCell   *lc;
	bool		streaming = false;

	opt->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	message_bytes = 0;
	foreach(lc, ctx->output_plugin_options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "streaming") == 0)
			streaming = strcmp(strVal(option->arg), "on") == 0;
		if (strcmp(option->defname, "message") == 0)
			message_bytes = atoi(strVal(option->arg));
	}
	ctx->streaming = ctx->streaming && streaming;
}

static void
begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation rel,
		  ReorderBufferChange *change)
{
}

static void
commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	if (message_bytes > 0)
	{
		OutputPluginPrepareWrite(ctx, true);
		appendStringInfoSpaces(ctx->out, message_bytes);
		OutputPluginWrite(ctx, true);
	}
}

static void
stream_end_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn)
{
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = startup_cb;
	cb->begin_cb = begin_cb;
	cb->change_cb = change_cb;
	cb->commit_cb = commit_cb;
	cb->stream_start_cb = begin_cb;
	cb->stream_stop_cb = begin_cb;
	cb->stream_change_cb = change_cb;
	cb->stream_abort_cb = stream_end_cb;
	cb->stream_commit_cb = stream_end_cb;
}
