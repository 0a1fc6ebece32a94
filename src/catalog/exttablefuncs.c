/*
 * exttablefuncs.c
 *	  Lets the extension's functions in SQL write its tables, and know of which version the
 *	  library is that would.
 *
 * INSERT, UPDATE and DELETE would be decoded by other plugins.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "catalog/exttable.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(cdc_put_row);
PG_FUNCTION_INFO_V1(cdc_drop_row);
PG_FUNCTION_INFO_V1(cdc_table_written);
PG_FUNCTION_INFO_V1(cdc_require_primary);
PG_FUNCTION_INFO_V1(cdc_library_version);

/* A row of one of the tables, taken apart. */
typedef struct Row
{
	Relation	rel;
	Datum		values[MaxTupleAttributeNumber];
	bool		nulls[MaxTupleAttributeNumber];
} Row;

/* The type of the row says of which table it is. */
static Row *
open_row(Datum composite, AclMode needed)
{
	/* not DatumGetHeapTupleHeader(), which some minor releases do not have as a function */
	HeapTupleHeader header = (HeapTupleHeader) PG_DETOAST_DATUM(composite);
	Oid			relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(header));
	Row		   *row = palloc(sizeof(Row));
	HeapTupleData tup = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION ||
		get_rel_namespace(relid) != get_namespace_oid("cdc", false))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("argument must be a row of a table of the extension")));
	if (pg_class_aclmask(relid, GetUserId(), needed, ACLMASK_ALL) != needed)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
	cdc_exttable_require_primary("functions of cdc that write");
	row->rel = table_open(relid, RowExclusiveLock);
	heap_deform_tuple(&tup, RelationGetDescr(row->rel), row->values, row->nulls);
	return row;
}

/* Deletes the row with the primary key of this one, if there is one. */
static bool
delete_former(Row *row)
{
	Relation	index;
	int			n;
	Datum		key_values[INDEX_MAX_KEYS];
	CdcExtKey	key;
	SysScanDesc scan;
	HeapTuple	tup;
	bool		found;

	(void) RelationGetIndexList(row->rel);	/* finds the primary key */
	index = index_open(row->rel->rd_pkindex, AccessShareLock);
	n = index->rd_index->indnkeyatts;
	for (int i = 0; i < n; i++)
		key_values[i] = row->values[index->rd_index->indkey.values[i] - 1];
	index_close(index, AccessShareLock);
	scan = cdc_exttable_scan(row->rel, &key, key_values, n);
	found = HeapTupleIsValid(tup = systable_getnext(scan));
	if (found)
		cdc_exttable_delete(row->rel, tup);
	systable_endscan(scan);
	return found;
}

Datum
cdc_put_row(PG_FUNCTION_ARGS)
{
	Row		   *row = open_row(PG_GETARG_DATUM(0), ACL_INSERT | ACL_DELETE);

	(void) delete_former(row);
	cdc_exttable_insert(row->rel, row->values, row->nulls);
	table_close(row->rel, NoLock);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

Datum
cdc_drop_row(PG_FUNCTION_ARGS)
{
	Row		   *row = open_row(PG_GETARG_DATUM(0), ACL_DELETE);
	bool		found = delete_former(row);

	table_close(row->rel, NoLock);
	CommandCounterIncrement();
	PG_RETURN_BOOL(found);
}

/* What writes, but not with its first statement, calls it before. */
Datum
cdc_require_primary(PG_FUNCTION_ARGS)
{
	cdc_exttable_require_primary(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/* What is written by SQL: a restore's COPY alone, of which sessions that decode hear. */
Datum
cdc_table_written(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of table \"%s\" cannot be changed, removed or truncated by SQL",
						RelationGetRelationName(trigger->tg_relation)),
				 errdetail("Other output plugins and subscriptions would see it."),
				 errhint("The functions of schema cdc do it.")));
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

/* Of what this session has loaded: another one than what is installed, until it connects again. */
Datum
cdc_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(CDC_VERSION));
}
