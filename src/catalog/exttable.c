/*
 * exttable.c
 *	  The extension's own tables, read and written directly.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/exttable.h"

Oid
cdc_exttable_find(const char *name)
{
	Oid			schema = get_namespace_oid("cdc", true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Relation
cdc_exttable_open(const char *name, LOCKMODE lockmode)
{
	Oid			relid = cdc_exttable_find(name);

	return OidIsValid(relid) ? table_open(relid, lockmode) : NULL;
}

static bool
get(Relation rel, HeapTuple tup, int column, Datum *value)
{
	bool		isnull;

	*value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);
	return !isnull;
}

char *
cdc_exttable_text(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? TextDatumGetCString(value) : NULL;
}

char *
cdc_exttable_name(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? pstrdup(NameStr(*DatumGetName(value))) : NULL;
}

Oid
cdc_exttable_oid(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetObjectId(value) : InvalidOid;
}

int
cdc_exttable_int(Relation rel, HeapTuple tup, int column, int missing)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetInt32(value) : missing;
}

int16
cdc_exttable_int16(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetInt16(value) : 0;
}

int64
cdc_exttable_int64(Relation rel, HeapTuple tup, int column, int64 missing)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetInt64(value) : missing;
}

/* Of the extension in this database; NULL where there is none. */
static char *
installed_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("cdc"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tup = systable_getnext(scan)))
		version = cdc_exttable_text(rel, tup, Anum_pg_extension_extversion);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

/* Whether a version, MAJOR.MINOR, is older than another one. */
static bool
is_older(const char *version, const char *other)
{
	char	   *minor,
			   *other_minor;
	long		major = strtol(version, &minor, 10),
				other_major = strtol(other, &other_minor, 10);

	if (major != other_major)
		return major < other_major;
	return strtol(minor + (*minor == '.'), NULL, 10) < strtol(other_minor + (*other_minor == '.'), NULL, 10);
}

void
cdc_exttable_require_version(void)
{
	char	   *version = installed_version();

	if (version != NULL && strcmp(version, CDC_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"cdc\" has version %s in this database, and its library version %s",
						version, CDC_VERSION),
				 is_older(CDC_VERSION, version) ?
				 errhint("Connect again: this session has an older library. If it is in shared_preload_libraries, restart the server before.") :
				 errhint("Run ALTER EXTENSION cdc UPDATE in this database.")));
}

/* --- reading ---------------------------------------------------------------- */

Oid
cdc_exttable_read(const char *name, CdcExtRowFn fn, void *arg)
{
	Relation	rel = cdc_exttable_open(name, AccessShareLock);
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tup;
	Oid			relid;

	if (rel == NULL)
		return InvalidOid;
	relid = RelationGetRelid(rel);
	InitDirtySnapshot(dirty);
	scan = systable_beginscan(rel, InvalidOid, false, &dirty, 0, NULL);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		CdcRowState state = {TransactionIdIsValid(dirty.xmin), TransactionIdIsValid(dirty.xmax)};

		fn(rel, tup, state, arg);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relid;
}

/* The condition that a column of an index equals a value. */
static void
init_key(ScanKey key, Relation index, int column, Datum value)
{
	Oid			type = index->rd_opcintype[column];
	Oid			operator = get_opfamily_member(index->rd_opfamily[column], type, type,
											   BTEqualStrategyNumber);

	ScanKeyInit(key, index->rd_index->indkey.values[column], BTEqualStrategyNumber,
				get_opcode(operator), value);
	key->sk_collation = index->rd_indcollation[column];
}

SysScanDesc
cdc_exttable_scan(Relation rel, CdcExtKey *key, const Datum *values, int n)
{
	Relation	index;

	(void) RelationGetIndexList(rel);	/* finds the primary key */
	index = index_open(rel->rd_pkindex, AccessShareLock);
	for (int i = 0; i < n; i++)
		init_key(&key->keys[i], index, i, values[i]);
	index_close(index, AccessShareLock);
	return systable_beginscan(rel, rel->rd_pkindex, true, NULL, n, n > 0 ? key->keys : NULL);
}

/* --- writing ---------------------------------------------------------------- */

static void
check_constraints(Relation rel, TupleTableSlot *slot)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, rel, 0, NULL, 0);
	if (RelationGetDescr(rel)->constr != NULL)
		ExecConstraints(result, slot, estate);
	FreeExecutorState(estate);
}

/* Its indexes have columns alone: no expressions, no predicates. */
static void
insert_index_entries(Relation rel, TupleTableSlot *slot, ItemPointer tid)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo  *info = BuildIndexInfo(index);
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		FormIndexDatum(info, slot, NULL, values, nulls);
		index_insert(index, values, nulls, tid, rel,
					 index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 false, info);
		index_close(index, RowExclusiveLock);
	}
}

void
cdc_exttable_require_primary(const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function),
				 errhint("Run it on the primary: what is written there counts on its standbys.")));
	PreventCommandIfReadOnly(function);
}

void
cdc_exttable_require_writer(const char *name)
{
	Oid			relid = cdc_exttable_find(name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"cdc.%s\" does not exist", name)));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, name);
}

void
cdc_exttable_insert(Relation rel, const Datum *values, const bool *nulls)
{
	HeapTuple	tup = heap_form_tuple(RelationGetDescr(rel), unconstify(Datum *, values),
									  unconstify(bool *, nulls));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);

	ExecStoreHeapTuple(tup, slot, false);
	check_constraints(rel, slot);
	heap_insert(rel, tup, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, NULL);
	insert_index_entries(rel, slot, &tup->t_self);
	ExecDropSingleTupleTableSlot(slot);
	CacheInvalidateRelcache(rel);
}

void
cdc_exttable_delete(Relation rel, HeapTuple tup)
{
	simple_heap_delete(rel, &tup->t_self);
	CacheInvalidateRelcache(rel);
}

Datum
cdc_exttable_user(void)
{
	return DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetSessionUserId(), false)));
}
