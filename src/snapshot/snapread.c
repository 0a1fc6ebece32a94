/*
 * snapread.c
 *	  Reads tables as they are, into batches like those of the stream.
 *
 * Rows are read by a cursor, so that what is in memory does not grow with the
 * table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "catalog/asowner.h"
#include "catalog/exttable.h"
#include "rows/attempt.h"
#include "select/filter.h"
#include "snapshot/keyrange.h"
#include "snapshot/snapread.h"
#include "util/settings.h"
#include "util/utf8.h"
#include "wire/fields.h"
#include "wire/frame.h"
#include "wire/source.h"
#include "wire/wire.h"

/* Rows to fetch at a time. What is large in them stays where it is. */
#define FETCH_ROWS 100

/* A call of cdc.snapshot(), in the memory of its SRF. */
struct CdcSnapRead
{
	CdcOptions	options;
	CdcAccess  *access;			/* of the user who reads */
	Oid			user;
	Oid			relid;			/* the relation under whose name rows are sent */
	List	   *relids;			/* those to read, the current one first */

	CdcSnapRange range;

	/* the relation that is being read */
	MemoryContext table_cxt;
	char	   *portal;			/* NULL: none yet */
	CdcSelection *selection;
	CdcTable   *table;
	int			ncolumns;		/* of the cursor */
	AttrNumber *attnums;		/* what they are */
	CdcRow		row;
	CdcRow		selected;		/* in the cursor's order */

	/* rows that were fetched, of which some may be for the next batch */
	MemoryContext fetch_cxt;
	HeapTuple	fetched[FETCH_ROWS];
	int			nfetched;
	int			next;
	TupleDesc	tupdesc;		/* of the cursor */

	/* the batch */
	StringInfoData source;
	StringInfoData snapshot;
	StringInfoData schemas;
	StringInfoData events;
	CdcFrame	frame;
	uint64		fingerprint;	/* of the last schema that was sent */
	int			batches;
	MemoryContext row_cxt;
};

/* --- what is read ------------------------------------------------------- */

Relation
cdc_snapread_open(Oid relid)
{
	Relation	rel = try_table_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!cdc_table_is_sent(rel) || IsCatalogRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table whose changes are sent", RelationGetRelationName(rel))));
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is temporary or unlogged: its changes are not sent",
						RelationGetRelationName(rel))));
	return rel;
}

/*
 * A table that was truncated or rewritten after the snapshot was taken looks
 * empty to it, and the rows that were there are gone.
 */
static void
require_same_storage(Relation rel)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	bool		same;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(pg_class, ClassOidIndexId, true, GetActiveSnapshot(), 1, &key);
	tup = systable_getnext(scan);
	same = HeapTupleIsValid(tup) &&
		((Form_pg_class) GETSTRUCT(tup))->relfilenode == rel->rd_rel->relfilenode;
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was created, truncated or rewritten after the snapshot was taken",
						RelationGetRelationName(rel)),
				 errhint("Read it in a new transaction.")));
}

static CdcSelection *
resolve_selection(const CdcOptions *options, Relation rel, MemoryContext cxt)
{
	return cdc_filter_resolve(cdc_filter_create(options, cxt), rel, cxt);
}

/* The relations whose rows are sent under the name of this one. */
static List *
find_relations(const CdcOptions *options, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CdcSelection *selection = resolve_selection(options, rel, CurrentMemoryContext);
	List	   *relids = NIL;
	ListCell   *lc;

	if (selection->relid != relid)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is sent under the name of \"%s\"",
						RelationGetRelationName(rel), get_rel_name(selection->relid)),
				 errhint("Read that one.")));
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		if (selection->ops == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the options do not select table \"%s\"", RelationGetRelationName(rel))));
		return list_make1_oid(relid);
	}
	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	part;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		part = cdc_snapread_open(lfirst_oid(lc));
		selection = resolve_selection(options, part, CurrentMemoryContext);
		if (selection->relid != relid || selection->ops == 0)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("partitions of \"%s\" are not sent under its name", RelationGetRelationName(rel)),
					 errhint("Read the partitions, or give a publication with publish_via_partition_root.")));
		relids = lappend_oid(relids, lfirst_oid(lc));
		table_close(part, NoLock);
	}
	return relids;
}

/* --- the cursor --------------------------------------------------------- */

void
cdc_snapread_from(StringInfo sql, Relation rel)
{
	appendStringInfo(sql, "%s%s",
					 rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel)));
}

/* Values of the key, as the parameters behind those that there are. Returns the
 * number of the first. */
static int
add_parameters(const CdcKey *key, ArrayType *texts, const char *argument,
			   Oid *types, Datum *values, int *nparams)
{
	int			first = *nparams + 1;

	cdc_key_read(key, texts, argument, values + *nparams);
	memcpy(types + *nparams, key->types, sizeof(Oid) * key->ncolumns);
	*nparams += key->ncolumns;
	return first;
}

static bool
same_texts(ArrayType *a, ArrayType *b)
{
	return a != NULL && b != NULL && VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* The range of keys; both ends at the same key are the row with that key. */
static void
append_key_range(StringInfo sql, const CdcKey *key, const CdcSnapRange *range,
				 Oid *types, Datum *values, int *nparams)
{
	int			first;

	if (range->from_key != NULL)
	{
		first = add_parameters(key, range->from_key, "from_key", types, values, nparams);
		appendStringInfoString(sql, " AND ");
		if (same_texts(range->from_key, range->to_key))
		{
			cdc_key_equals(sql, key, first);
			return;
		}
		cdc_key_condition(sql, key, true, first);
	}
	if (range->to_key != NULL)
	{
		first = add_parameters(key, range->to_key, "to_key", types, values, nparams);
		appendStringInfoString(sql, " AND ");
		cdc_key_condition(sql, key, false, first);
	}
}

static void
append_block_bound(StringInfo sql, int64 block, const char *operator)
{
	if (block >= 0)
		appendStringInfo(sql, " AND ctid OPERATOR(pg_catalog.%s) '(" INT64_FORMAT ",0)'::pg_catalog.tid",
						 operator, block);
}

/* The caller of cdc.snapshot() can run statements between two of its rows, and FETCH from any
 * cursor whose name it knows. What this one reads is not redacted. */
static const char *
secret_name(void)
{
	uint64		random[2];

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random name")));
	return psprintf("cdc " UINT64_FORMAT " " UINT64_FORMAT, random[0], random[1]);
}

static void
open_cursor(CdcSnapRead *read, Relation rel)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	Oid			types[2 * CDC_KEY_MAX_COLUMNS];
	Datum		values[2 * CDC_KEY_MAX_COLUMNS];
	int			nparams = 0;
	CdcKey		key;
	StringInfoData sql;
	Portal		portal;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT");
	read->ncolumns = 0;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		read->row.isnull[i] = true;
		if (att->attisdropped || att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
			continue;
		appendStringInfo(&sql, "%s %s", read->ncolumns > 0 ? "," : "",
						 quote_identifier(NameStr(att->attname)));
		read->attnums[read->ncolumns++] = att->attnum;
	}
	appendStringInfoString(&sql, " FROM ");
	cdc_snapread_from(&sql, rel);
	appendStringInfoString(&sql, " WHERE true");
	cdc_key_describe(rel, &key);
	if (key.ncolumns == 0 && (read->range.from_key != NULL || read->range.to_key != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table \"%s\" has no key", RelationGetRelationName(rel)),
				 errhint("Read it whole, or by from_block and to_block within one transaction.")));
	/* or the order of what is hidden could be found out */
	if ((read->range.from_key != NULL || read->range.to_key != NULL) &&
		!cdc_access_plain(read->access, rel, key.attnums, key.ncolumns))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the key of table \"%s\" is redacted or withheld", RelationGetRelationName(rel)),
				 errhint("Read it whole, or by from_block and to_block within one transaction.")));
	append_key_range(&sql, &key, &read->range, types, values, &nparams);
	append_block_bound(&sql, read->range.from_block, ">=");
	append_block_bound(&sql, read->range.to_block, "<");

	portal = cdc_as_owner_cursor(secret_name(), sql.data, nparams, types, values);
	portal->visible = false;
	MemoryContextSetIdentifier(portal->portalContext, "cdc.snapshot()");
	read->portal = MemoryContextStrdup(read->table_cxt, portal->name);
}

static void
close_cursor(CdcSnapRead *read)
{
	Portal		portal = read->portal == NULL ? NULL : SPI_cursor_find(read->portal);

	if (portal != NULL)
		SPI_cursor_close(portal);
	read->portal = NULL;
}

void
cdc_snapread_abandon(CdcSnapRead *read)
{
	close_cursor(read);
}

/* --- batches ------------------------------------------------------------ */

/* With the epoch of a transaction id that cannot be newer than the next one. */
static uint64
with_epoch(TransactionId xid, FullTransactionId next)
{
	uint64		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next) && epoch > 0)
		epoch--;
	return epoch << 32 | xid;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* The transactions in progress, from the first to the last. A standby keeps them in
 * subxip, with subtransactions, and pg_current_snapshot() has none of them there. */
static int
in_progress(Snapshot snapshot, FullTransactionId next, uint64 **result)
{
	const TransactionId *xids = snapshot->takenDuringRecovery ? snapshot->subxip : snapshot->xip;
	int			n = snapshot->takenDuringRecovery ? snapshot->subxcnt : (int) snapshot->xcnt;

	*result = palloc(sizeof(uint64) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*result)[i] = with_epoch(xids[i], next);
	qsort(*result, n, sizeof(uint64), compare_xids);
	return n;
}

/* What the reading transaction sees, as field `snapshot` of a Batch. */
static void
describe_snapshot(StringInfo out)
{
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	uint64	   *xids;
	int			n = in_progress(snapshot, next, &xids);
	int			body = cdc_msg_begin(out, CDC_BATCH_SNAPSHOT);
	int			packed;

	cdc_field_uint(out, CDC_SNAPSHOT_XMIN, with_epoch(snapshot->xmin, next));
	cdc_field_uint(out, CDC_SNAPSHOT_XMAX, with_epoch(snapshot->xmax, next));
	if (n > 0)
	{
		packed = cdc_msg_begin(out, CDC_SNAPSHOT_XIP);
		/* one that is being prepared is there twice */
		for (int i = 0; i < n; i++)
			if (i == 0 || xids[i] != xids[i - 1])
				cdc_put_varint(out, xids[i]);
		cdc_msg_end(out, packed);
	}
	cdc_msg_end(out, body);
	pfree(xids);
}

static void
begin_table(CdcSnapRead *read, Relation rel)
{
	MemoryContext oldcxt;

	MemoryContextReset(read->table_cxt);
	oldcxt = MemoryContextSwitchTo(read->table_cxt);
	require_same_storage(rel);
	read->selection = resolve_selection(&read->options, rel, read->table_cxt);
	read->table = cdc_selection_table(read->selection, read->access, rel, read->table_cxt);
	if (read->table == NULL)
		cdc_access_refuse(rel, read->user);
	open_cursor(read, rel);
	read->nfetched = read->next = 0;
	MemoryContextSwitchTo(oldcxt);
	if (read->batches > 0 && read->fingerprint == read->table->fingerprint)
		return;
	cdc_event_schema(&read->schemas, read->table);
	read->fingerprint = read->table->fingerprint;
}

static bool
has_external(const CdcTable *table, const CdcRow *row)
{
	for (int i = 0; i < table->nvarlena; i++)
	{
		int			at = table->varlena[i] - 1;

		if (!row->isnull[at] && VARATT_IS_EXTERNAL(DatumGetPointer(row->values[at])))
			return true;
	}
	return false;
}

static void
add_row(CdcSnapRead *read, Relation rel, HeapTuple tuple)
{
	CdcChange	change = {{CDC__V1__OP__OP_INSERT}};
	CdcErrorPlace place = {rel, &change};
	ErrorContextCallback callback = {error_context_stack, cdc_error_place, &place};
	CdcAttempt	attempt = {&read->events, &change, Min(CDC_MAX_EVENT, cdc_max_event_bytes()),
		read->options.stop_on_error};
	ErrorData  *filter_error = NULL;

	error_context_stack = &callback;
	heap_deform_tuple(tuple, read->tupdesc, read->selected.values, read->selected.isnull);
	for (int i = 0; i < read->ncolumns; i++)
	{
		read->row.values[read->attnums[i] - 1] = read->selected.values[i];
		read->row.isnull[read->attnums[i] - 1] = read->selected.isnull[i];
	}
	change.table = read->table;
	change.after = &read->row;
	change.fetch = true;
	if (cdc_selection_pass(read->selection, &change, &filter_error) || filter_error != NULL)
	{
		change.head.op = CDC__V1__OP__OP_READ;
		cdc_attempt(&attempt, filter_error, read->table->may_raise ||
					has_external(read->table, change.after) ||
					cdc_row_size(tuple, read->table, change.after) > CDC_LARGE_ROW(attempt.max_len));
	}
	error_context_stack = callback.previous;
}

/* Fetches some rows; false when there are no more. They are kept when SPI is
 * left. */
static bool
fetch_rows(CdcSnapRead *read)
{
	Portal		portal = SPI_cursor_find(read->portal);
	MemoryContext oldcxt;

	if (portal == NULL)
		elog(ERROR, "cursor \"%s\" is gone", read->portal);
	SPI_cursor_fetch(portal, true, FETCH_ROWS);
	MemoryContextReset(read->fetch_cxt);
	oldcxt = MemoryContextSwitchTo(read->fetch_cxt);
	read->tupdesc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	read->nfetched = (int) SPI_processed;
	read->next = 0;
	for (int i = 0; i < read->nfetched; i++)
		read->fetched[i] = heap_copytuple(SPI_tuptable->vals[i]);
	MemoryContextSwitchTo(oldcxt);
	SPI_freetuptable(SPI_tuptable);
	return read->nfetched > 0;
}

static bool
is_full(const CdcSnapRead *read)
{
	return read->events.len > 0 && read->events.len >= read->options.batch_bytes;
}

/* Adds rows until the batch is full; false when there are no more. */
static bool
read_rows(CdcSnapRead *read, Relation rel)
{
	MemoryContext oldcxt;

	while (!is_full(read))
	{
		if (read->next == read->nfetched && !fetch_rows(read))
			return false;
		oldcxt = MemoryContextSwitchTo(read->row_cxt);
		add_row(read, rel, read->fetched[read->next++]);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(read->row_cxt);
	}
	return true;
}

/* One delimited batch of what is collected. */
static bytea *
finish_batch(CdcSnapRead *read)
{
	bool		with_source = read->batches == 0 || read->options.schemas_batch;
	CdcParts	parts = {0};
	StringInfoData out;
	int			len;

	cdc_parts_add(&parts, read->schemas.data, read->schemas.len);
	cdc_parts_add(&parts, read->events.data, read->events.len);
	if (with_source)
		cdc_parts_add(&parts, read->source.data, read->source.len);
	cdc_parts_add(&parts, read->snapshot.data, read->snapshot.len);
	len = cdc_frame_pack(&read->frame, &parts);
	initStringInfo(&out);
	enlargeStringInfo(&out, len + VARHDRSZ + CDC_MAX_VARINT);
	appendStringInfoSpaces(&out, VARHDRSZ);
	cdc_frame_write(&out, &parts, len);
	SET_VARSIZE(out.data, out.len);
	cdc_buffer_clear(&read->schemas);
	/* a large row's memory at once: others will copy the batch */
	cdc_buffer_clear(&read->events);
	if (read->options.schemas_batch && read->table != NULL)
		cdc_event_schema(&read->schemas, read->table);
	read->batches++;
	return (bytea *) out.data;
}

CdcSnapRead *
cdc_snapread_begin(Oid relid, const CdcSnapRange *range, const CdcOptions *options, const char *slot)
{
	CdcSnapRead *read = palloc0(sizeof(CdcSnapRead));
	Relation	rel = cdc_snapread_open(relid);
	CdcCaller	caller;
	char	   *source;

	read->options = *options;
	read->user = GetUserId();
	cdc_exttable_require_version();
	read->access = cdc_access_create(false, CurrentMemoryContext);
	cdc_access_refresh(read->access);
	cdc_frame_init(&read->frame, options->compression);
	read->range = *range;
	caller = cdc_as_owner_begin(rel);
	read->relids = find_relations(&read->options, rel);
	cdc_as_owner_end(caller);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		(range->from_block >= 0 || range->to_block >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("partitioned table \"%s\" has no blocks", RelationGetRelationName(rel))));
	table_close(rel, NoLock);

	read->table_cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc snapshot table", ALLOCSET_DEFAULT_SIZES);
	read->fetch_cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc snapshot fetch", ALLOCSET_DEFAULT_SIZES);
	read->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc snapshot row", ALLOCSET_DEFAULT_SIZES);
	read->attnums = palloc(sizeof(AttrNumber) * MaxTupleAttributeNumber);
	read->row = cdc_row_alloc(MaxTupleAttributeNumber);
	read->selected = cdc_row_alloc(MaxTupleAttributeNumber);
	initStringInfo(&read->source);
	initStringInfo(&read->snapshot);
	initStringInfo(&read->schemas);
	initStringInfo(&read->events);
	read->source.len = cdc_source(cdc_utf8(get_database_name(MyDatabaseId)), slot, false, &source);
	read->source.data = source;
	describe_snapshot(&read->snapshot);
	return read;
}

bytea *
cdc_snapread_next(CdcSnapRead *read, MemoryContext result_cxt)
{
	MemoryContext oldcxt;
	bytea	   *batch = NULL;

	while (read->relids != NIL && !is_full(read))
	{
		Relation	rel = table_open(linitial_oid(read->relids), NoLock);
		CdcCaller	caller = cdc_as_owner_begin(rel);
		bool		more;

		if (read->portal == NULL)
			begin_table(read, rel);
		more = read_rows(read, rel);
		cdc_as_owner_end(caller);
		table_close(rel, NoLock);
		if (!more)
		{
			close_cursor(read);
			read->relids = list_delete_first(read->relids);
		}
	}
	if (read->events.len > 0 || read->batches == 0)
	{
		oldcxt = MemoryContextSwitchTo(result_cxt);
		batch = finish_batch(read);
		MemoryContextSwitchTo(oldcxt);
	}
	return batch;
}
