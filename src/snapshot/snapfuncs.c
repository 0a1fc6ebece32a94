/*
 * snapfuncs.c
 *	  SQL functions that read tables as they are.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "access/access.h"
#include "catalog/asowner.h"
#include "options/missing.h"
#include "options/slotoption.h"
#include "registry/requested.h"
#include "select/filter.h"
#include "snapshot/keyrange.h"
#include "snapshot/snapread.h"

PG_FUNCTION_INFO_V1(cdc_snapshot);
PG_FUNCTION_INFO_V1(cdc_snapshot_chunks);

static int64
block_argument(FunctionCallInfo fcinfo, int n)
{
	int64		block = PG_ARGISNULL(n) ? -1 : PG_GETARG_INT64(n);

	if (PG_ARGISNULL(n))
		return -1;
	if (block < 0 || block > MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("block number " INT64_FORMAT " is out of range", block),
				 errhint("It must be between 0 and %u.", MaxBlockNumber)));
	/* between statements of READ COMMITTED rows move from block to block */
	if (!IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("ranges of blocks must be read in a transaction of isolation level REPEATABLE READ"),
				 errdetail("Under another snapshot a row may be in another block.")));
	return block;
}

static ArrayType *
key_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_ARRAYTYPE_P_COPY(n);
}

/*
 * Whoever reads a slot is sent what was stored for it, here as in the stream: its
 * slot, where it names none, and no other's.
 */
static const char *
require_own_slot(const char *slot)
{
	List	   *own = cdc_slots_read_by(GetUserId());
	ListCell   *lc;

	if (own == NIL)
		return slot;
	if (slot == NULL && list_length(own) == 1)
		return linitial(own);
	foreach(lc, own)
		if (slot != NULL && strcmp(slot, lfirst(lc)) == 0)
			return slot;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" reads slots, and must name one of them",
					GetUserNameFromId(GetUserId(), false)),
			 errhint("Give slot_name: what is stored for that slot counts.")));
	return NULL;				/* keep compiler quiet */
}

/* The options that count for the caller; *slot is set where the caller has to use one. */
static void
read_options(CdcOptions *options, List *given, const char **slot)
{
	Oid			reader = InvalidOid;
	List	   *stored;

	if (!superuser())
		*slot = require_own_slot(*slot);
	stored = *slot == NULL ? NIL : cdc_slot_options_load(*slot, &reader);
	if (OidIsValid(reader) && !superuser())
	{
		cdc_slot_require_reader(*slot, reader);
		cdc_options_check_bound(given);
	}
	cdc_options_parse(options, stored, given);
	cdc_missing_warn_versions(cdc_requested_read(options->versions, options->versions_stored));
	if (options->json)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cdc.snapshot() does not have format = 'json'"),
				 errhint("cdc.decode_json() shows its batches.")));
}

/* Everything that is known before the first row, in the current memory context. */
static CdcSnapRead *
begin_read(FunctionCallInfo fcinfo)
{
	const char *slot = PG_ARGISNULL(6) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(6)));
	List	   *given = PG_ARGISNULL(5) ? NIL : cdc_options_list(PG_GETARG_ARRAYTYPE_P_COPY(5));
	CdcSnapRange range;
	CdcOptions	options;

	read_options(&options, given, &slot);
	range.from_key = key_argument(fcinfo, 1);
	range.to_key = key_argument(fcinfo, 2);
	range.from_block = block_argument(fcinfo, 3);
	range.to_block = block_argument(fcinfo, 4);
	return cdc_snapread_begin(PG_GETARG_OID(0), &range, &options, slot == NULL ? "" : slot);
}

/* The caller wants no more. */
static void
abandon(Datum arg)
{
	cdc_snapread_abandon((CdcSnapRead *) DatumGetPointer(arg));
}

Datum
cdc_snapshot(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext result_cxt = CurrentMemoryContext;
	FuncCallContext *funcctx;
	CdcSnapRead *read;
	bytea	   *batch = NULL;

	if (SRF_IS_FIRSTCALL())
	{
		funcctx = SRF_FIRSTCALL_INIT();
		if (!PG_ARGISNULL(0))
		{
			MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
			read = begin_read(fcinfo);
			RegisterExprContextCallback(rsinfo->econtext, abandon, PointerGetDatum(read));
			funcctx->user_fctx = read;
			MemoryContextSwitchTo(result_cxt);
		}
	}
	funcctx = SRF_PERCALL_SETUP();
	read = funcctx->user_fctx;
	if (read == NULL)
		SRF_RETURN_DONE(funcctx);

	SPI_connect();
	batch = cdc_snapread_next(read, result_cxt);
	SPI_finish();
	if (batch != NULL)
		SRF_RETURN_NEXT(funcctx, PointerGetDatum(batch));
	UnregisterExprContextCallback(rsinfo->econtext, abandon, PointerGetDatum(read));
	SRF_RETURN_DONE(funcctx);
}

/* --- chunks ------------------------------------------------------------- */

enum
{
	FROM_KEY,
	TO_KEY,
	FROM_BLOCK,
	TO_BLOCK,
	KEY_COLUMNS,
	NCOLUMNS
};

/* Where ranges are put. */
typedef struct Chunks
{
	ReturnSetInfo *rsinfo;
	int			from_column;
	int			to_column;
	Datum		key_columns;	/* (Datum) 0: by block */
} Chunks;

static void
put_chunk(const Chunks *chunks, Datum from, bool from_null, Datum to, bool to_null)
{
	Datum		values[NCOLUMNS] = {0};
	bool		nulls[NCOLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[chunks->from_column] = from;
	nulls[chunks->from_column] = from_null;
	values[chunks->to_column] = to;
	nulls[chunks->to_column] = to_null;
	values[KEY_COLUMNS] = chunks->key_columns;
	nulls[KEY_COLUMNS] = chunks->key_columns == (Datum) 0;
	tuplestore_putvalues(chunks->rsinfo->setResult, chunks->rsinfo->setDesc, values, nulls);
}

/* By blocks, of which there are about as many rows in each as there were. */
static void
chunks_by_block(ReturnSetInfo *rsinfo, Relation rel, int64 max_rows)
{
	Chunks		chunks = {rsinfo, FROM_BLOCK, TO_BLOCK};
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	double		density = rel->rd_rel->relpages > 0 && rel->rd_rel->reltuples > 0 ?
		rel->rd_rel->reltuples / rel->rd_rel->relpages : 100;
	int64		step = (int64) Max(1, max_rows / density);
	int64		from = 0;

	for (; from + step < blocks; from += step)
		put_chunk(&chunks, Int64GetDatum(from), from == 0, Int64GetDatum(from + step), false);
	put_chunk(&chunks, Int64GetDatum(from), from == 0, (Datum) 0, true);
}

static Datum
text_array(Datum *texts, int n)
{
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The key of a row, as text. */
static Datum
key_texts(const CdcKey *key, HeapTuple tuple, TupleDesc tupdesc)
{
	Datum		texts[CDC_KEY_MAX_COLUMNS];

	for (int i = 0; i < key->ncolumns; i++)
		texts[i] = CStringGetTextDatum(SPI_getvalue(tuple, tupdesc, i + 1));
	return text_array(texts, key->ncolumns);
}

static void
chunks_by_key(ReturnSetInfo *rsinfo, Relation rel, const CdcKey *key, int64 max_rows)
{
	Oid			types[] = {INT8OID};
	Datum		args[] = {Int64GetDatum(max_rows)};
	Datum		from = (Datum) 0;
	Datum		to;
	bool		first = true;
	Datum		names[CDC_KEY_MAX_COLUMNS];
	Chunks		chunks = {rsinfo, FROM_KEY, TO_KEY};
	StringInfoData sql;
	StringInfoData columns;
	Portal		portal;

	initStringInfo(&sql);
	initStringInfo(&columns);
	for (int i = 0; i < key->ncolumns; i++)
	{
		appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", key->names[i]);
		names[i] = CStringGetTextDatum(NameStr(TupleDescAttr(RelationGetDescr(rel),
															 key->attnums[i] - 1)->attname));
	}
	chunks.key_columns = text_array(names, key->ncolumns);
	appendStringInfo(&sql, "SELECT %s FROM (SELECT %s, pg_catalog.row_number() OVER (ORDER BY ",
					 columns.data, columns.data);
	cdc_key_order(&sql, key);
	appendStringInfoString(&sql, ") AS \"row number\" FROM ");
	cdc_snapread_from(&sql, rel);
	appendStringInfoString(&sql, ") AS numbered WHERE \"row number\" OPERATOR(pg_catalog.>) 1"
						   " AND (\"row number\" OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.%) $1"
						   " OPERATOR(pg_catalog.=) 0 ORDER BY \"row number\"");
	SPI_connect();
	portal = cdc_as_owner_cursor(NULL, sql.data, 1, types, args);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		to = key_texts(key, SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
		put_chunk(&chunks, from, first, to, false);
		from = to;
		first = false;
		SPI_freetuptable(SPI_tuptable);
	}
	put_chunk(&chunks, from, first, (Datum) 0, true);
	SPI_finish();
}

/* Whether the columns of the root's key, which have other numbers in a partition, are sent
 * of it as they are. */
static bool
partition_key_is_plain(CdcAccess *access, Relation part, Relation root, const CdcKey *key)
{
	CdcKey		own = *key;

	for (int i = 0; i < key->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(root), key->attnums[i] - 1);

		own.attnums[i] = get_attnum(RelationGetRelid(part), NameStr(att->attname));
		if (own.attnums[i] == InvalidAttrNumber)
			return false;
	}
	return cdc_access_plain(access, part, own.attnums, own.ncolumns);
}

/* Whether keys may be shown: of the relation, and of its partitions, which may have
 * rules of their own. */
static bool
may_show_keys(CdcAccess *access, Relation rel, const CdcKey *key)
{
	bool		plain = key->ncolumns > 0 && cdc_access_plain(access, rel, key->attnums, key->ncolumns);
	ListCell   *lc;

	if (!plain || rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return plain;
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		Relation	part;

		CHECK_FOR_INTERRUPTS();
		if (!plain)
			break;
		part = table_open(lfirst_oid(lc), NoLock);
		plain = partition_key_is_plain(access, part, rel, key);
		table_close(part, NoLock);
	}
	return plain;
}

Datum
cdc_snapshot_chunks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		max_rows = PG_GETARG_INT64(1);
	Relation	rel;
	Chunks		whole = {rsinfo, FROM_KEY, TO_KEY};
	CdcAccess  *access;
	CdcKey		key;
	CdcCaller	caller;

	if (max_rows < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be at least 1")));
	InitMaterializedSRF(fcinfo, 0);
	rel = cdc_snapread_open(PG_GETARG_OID(0));
	access = cdc_access_create(false, CurrentMemoryContext);
	cdc_access_refresh(access);
	if (!cdc_access_plain(access, rel, NULL, 0))
		cdc_access_refuse(rel, GetUserId());
	caller = cdc_as_owner_begin(rel);
	cdc_key_describe(rel, &key);
	/* the ends of ranges are values of the key */
	if (may_show_keys(access, rel, &key))
		chunks_by_key(rsinfo, rel, &key, max_rows);
	else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		put_chunk(&whole, (Datum) 0, true, (Datum) 0, true);
	else
		chunks_by_block(rsinfo, rel, max_rows);
	cdc_as_owner_end(caller);
	table_close(rel, NoLock);
	return (Datum) 0;
}
