/*
 * fetchfuncs.c
 *	  cdc.fetch(): a stream by ordinary SQL, for roles without REPLICATION.
 *
 * Runs with the caller's privileges: that a slot is bound to a role is what lets
 * the role read from it, and what it is sent is decided by what it was granted.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "access/xlogutils.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "replication/decode.h"
#include "replication/slot.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/pg_lsn.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "options/options.h"
#include "options/slotoption.h"

/* The longest wait, in microseconds: its snapshot holds up VACUUM. */
#define MAX_TIMEOUT (60 * USECS_PER_SEC)

/* How long standbys are waited for at least, in microseconds: who asks again and again
 * would ask for a later position each time. */
#define STANDBY_GRACE USECS_PER_SEC

/* How often to look for new WAL, in milliseconds. */
#define POLL_INTERVAL 20

/* A batch that leaves much memory behind. */
#define LARGE_BATCH (8 * 1024 * 1024)

PG_FUNCTION_INFO_V1(cdc_fetch);

/* LogicalDecodingContext.output_writer_private */
typedef struct Fetched
{
	ReturnSetInfo *rsinfo;
	int64		bytes;
	bool		large;
} Fetched;

static void
put_row(ReturnSetInfo *rsinfo, XLogRecPtr lsn, bytea *data)
{
	Datum		values[] = {LSNGetDatum(lsn), PointerGetDatum(data)};
	bool		nulls[] = {false, data == NULL};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
prepare_write(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write)
{
	resetStringInfo(ctx->out);
	/* the bytea's header: a large batch is not copied into another buffer for it */
	appendStringInfoSpaces(ctx->out, VARHDRSZ);
}

static void
write_batch(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write)
{
	Fetched    *fetched = ctx->output_writer_private;

	SET_VARSIZE(ctx->out->data, ctx->out->len);
	put_row(fetched->rsinfo, lsn, (bytea *) ctx->out->data);
	fetched->bytes += ctx->out->len - VARHDRSZ;
	fetched->large |= ctx->out->len > LARGE_BATCH;
}

static XLogRecPtr
end_of_wal(void)
{
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetFlushRecPtr(NULL);
}

/* --- arguments ---------------------------------------------------------- */

static void
require_reader(const char *slot_name)
{
	Oid			reader;

	(void) cdc_slot_options_load(slot_name, &reader);
	if (superuser())
		return;
	if (!OidIsValid(reader))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("replication slot \"%s\" is not bound to a role", slot_name),
				 errhint("cdc.alter_slot(%s, reader => ...) binds it to the role that is to read from it.",
						 quote_literal_cstr(slot_name))));
	cdc_slot_require_reader(slot_name, reader);
}

/* What the plugin gets: options that would not do here are replaced, if they are
 * stored for the slot, and refused if they are given. */
static List *
fetch_options(ArrayType *array)
{
	static const char *const replaced[][2] = {{"format", "protobuf"}, {"streaming", "off"}};
	List	   *options = cdc_options_list(array);
	ListCell   *lc;

	for (int i = 0; i < lengthof(replaced); i++)
	{
		foreach(lc, options)
			if (strcmp(lfirst_node(DefElem, lc)->defname, replaced[i][0]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("cdc option \"%s\" cannot be given to cdc.fetch()", replaced[i][0]),
						 errdetail("It is always \"%s\" there.", replaced[i][1])));
		options = lappend(options, makeDefElem(unconstify(char *, replaced[i][0]),
											   (Node *) makeString(unconstify(char *, replaced[i][1])), -1));
	}
	return options;
}

static int64
timeout_argument(const Interval *timeout)
{
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															  TimestampTzGetDatum(start), PointerGetDatum(timeout)));

	if (TIMESTAMP_NOT_FINITE(end) || end < start || end - start > MAX_TIMEOUT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must be between 0 and %d seconds", (int) (MAX_TIMEOUT / USECS_PER_SEC))));
	return end - start;
}

/* ERROR unless a position lies within what the slot still has. */
static void
require_position(const char *name, XLogRecPtr lsn, XLogRecPtr end)
{
	XLogRecPtr	confirmed = MyReplicationSlot->data.confirmed_flush;

	if (XLogRecPtrIsInvalid(lsn))
		return;
	if (lsn < confirmed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s %X/%X lies before %X/%X, up to where slot \"%s\" is confirmed", name,
						LSN_FORMAT_ARGS(lsn), LSN_FORMAT_ARGS(confirmed), NameStr(MyReplicationSlot->data.name)),
				 errdetail("Changes between the two cannot be sent any more."),
				 errhint("Load the tables anew, and go on from where the slot stands.")));
	if (lsn > end)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s %X/%X lies beyond %X/%X, the end of the WAL", name,
						LSN_FORMAT_ARGS(lsn), LSN_FORMAT_ARGS(end)),
				 errhint("Is this the server that the position is of?")));
}

/* Takes the slot, which an ERROR gives back. */
static void
acquire_slot(const char *slot_name)
{
	volatile bool ours;

	cdc_acquire_slot(slot_name);
	ours = strcmp(NameStr(MyReplicationSlot->data.plugin), "cdc") == 0 &&
		MyReplicationSlot->data.database == MyDatabaseId;
	if (ours && !cdc_slot_is_lost(MyReplicationSlot))
		return;
	ReplicationSlotRelease();
	if (!ours)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("replication slot \"%s\" is not a cdc slot of this database", slot_name)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("replication slot \"%s\" is lost: the server has removed what it would need", slot_name),
			 errdetail("The column invalidation of cdc.slots says why."),
			 errhint("Drop it, make it anew, and load the tables anew.")));
}

/* --- reading ------------------------------------------------------------ */

/*
 * Moves *end to where the WAL may be read to: what standbys are to have first must not be
 * sent before, or a failover would lose what the consumer has. *next is where it
 * goes as soon as they have that. False: it is not there yet.
 */
static bool
move_end(XLogRecPtr *end, XLogRecPtr *next)
{
	bool		first = XLogRecPtrIsInvalid(*next);

	if (*next <= *end)
		*next = end_of_wal();
	if (*next <= *end || !cdc_standbys_have(*next, first ? WARNING : DEBUG1))
		return false;
	*end = *next;
	return true;
}

/* Decodes what there is, and waits for more while there is nothing to send. */
static void
decode(LogicalDecodingContext *ctx, int64 max_bytes, int64 timeout)
{
	Fetched    *fetched = ctx->output_writer_private;
	TimestampTz until = GetCurrentTimestamp() + timeout;
	TimestampTz grace = GetCurrentTimestamp() + STANDBY_GRACE;
	XLogRecPtr	end = InvalidXLogRecPtr;
	XLogRecPtr	next = InvalidXLogRecPtr;

	(void) move_end(&end, &next);
	XLogBeginRead(ctx->reader, MyReplicationSlot->data.restart_lsn);
	/* what is cached is of now */
	InvalidateSystemCaches();
	while (fetched->bytes < max_bytes)
	{
		char	   *message = NULL;

		CHECK_FOR_INTERRUPTS();
		if (ctx->reader->EndRecPtr < end)
		{
			XLogRecord *record = XLogReadRecord(ctx->reader, &message);

			if (message != NULL)
				elog(ERROR, "could not read WAL for logical decoding: %s", message);
			if (record != NULL)
				LogicalDecodingProcessRecord(ctx, ctx->reader);
			continue;
		}
		if (fetched->bytes > 0 ||
			GetCurrentTimestamp() >= (XLogRecPtrIsInvalid(end) ? Max(until, grace) : until))
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		(void) move_end(&end, &next);
	}
}

/* A row's parts are freed one by one, which does not give their memory back to the system
 * by itself. The query that called takes as much again, to send the row. */
static void
give_back_memory(void)
{
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
}

/* What is asked for. */
typedef struct Request
{
	XLogRecPtr	confirmed;
	XLogRecPtr	start;
	int64		max_bytes;
	int64		timeout;		/* microseconds */
	List	   *options;
} Request;

static void
fetch(const Request *request, ReturnSetInfo *rsinfo)
{
	Fetched		fetched = {rsinfo};
	ResourceOwner owner = CurrentResourceOwner;
	LogicalDecodingContext *ctx;
	XLogRecPtr	last;

	require_position("confirmed_lsn", request->confirmed, end_of_wal());
	require_position("start_lsn", request->start, end_of_wal());
	if (!XLogRecPtrIsInvalid(request->confirmed) &&
		request->confirmed > MyReplicationSlot->data.confirmed_flush)
	{
		LogicalConfirmReceivedLocation(request->confirmed);
		ReplicationSlotMarkDirty();
	}
	ctx = CreateDecodingContext(XLogRecPtrIsInvalid(request->start) ? request->confirmed : request->start,
								request->options, false,
								XL_ROUTINE(.page_read = read_local_xlog_page,
										   .segment_open = wal_segment_open,
										   .segment_close = wal_segment_close),
								prepare_write, write_batch, NULL);
	ctx->output_writer_private = &fetched;
	decode(ctx, request->max_bytes, request->timeout);
	/* decoding leaves another one */
	CurrentResourceOwner = owner;
	last = Max(ctx->reader->EndRecPtr, Max(request->start, MyReplicationSlot->data.confirmed_flush));
	FreeDecodingContext(ctx);
	if (fetched.large)
		give_back_memory();
	put_row(rsinfo, last, NULL);
}

Datum
cdc_fetch(PG_FUNCTION_ARGS)
{
	const char *slot_name;
	Request		request = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(3) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		return (Datum) 0;
	slot_name = NameStr(*PG_GETARG_NAME(0));
	request.confirmed = PG_ARGISNULL(1) ? InvalidXLogRecPtr : PG_GETARG_LSN(1);
	request.start = PG_ARGISNULL(2) ? InvalidXLogRecPtr : PG_GETARG_LSN(2);
	request.max_bytes = PG_GETARG_INT64(3);
	if (request.max_bytes < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_bytes must be at least 1")));
	request.timeout = timeout_argument(PG_GETARG_INTERVAL_P(4));
	request.options = fetch_options(PG_GETARG_ARRAYTYPE_P_COPY(5));
	require_reader(slot_name);
	acquire_slot(slot_name);
	PG_TRY();
	{
		fetch(&request, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	PG_FINALLY();
	{
		ReplicationSlotRelease();
		/* what is cached may be of another time */
		InvalidateSystemCaches();
	}
	PG_END_TRY();
	return (Datum) 0;
}
