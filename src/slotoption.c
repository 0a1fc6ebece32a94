/*
 * slotoption.c
 *	  Reads and writes the table cdc.slot_option.
 *
 * Directly, not by SQL: the plugin has no portal to run SQL in, and a role
 * that may use slots needs no right on the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "replication/slot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "slotoption.h"

/* Columns, as in the install script. */
enum
{
	SLOT_NAME = 1,
	OPTION,
	VALUE,
	SET_AT,
	SET_BY,
	NCOLUMNS = SET_BY
};

/* NULL: there is no such table. */
static Relation
open_table(LOCKMODE lockmode)
{
	Oid			schema = get_namespace_oid("cdc", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("slot_option", schema) : InvalidOid;

	return OidIsValid(relid) ? table_open(relid, lockmode) : NULL;
}

/* The options of one slot, or with NULL of all, in the order of the primary key. */
static SysScanDesc
begin_scan(Relation rel, const char *slot_name, ScanKeyData *key)
{
	(void) RelationGetIndexList(rel);	/* finds the primary key */
	if (slot_name != NULL)
		ScanKeyInit(key, SLOT_NAME, BTEqualStrategyNumber, F_NAMEEQ,
					DirectFunctionCall1(namein, CStringGetDatum(slot_name)));
	return systable_beginscan(rel, rel->rd_pkindex, true, NULL, slot_name != NULL ? 1 : 0, key);
}

static char *
text_column(HeapTuple tup, int column, Relation rel)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

List *
cdc_slot_options_load(const char *slot_name)
{
	Relation	rel = open_table(AccessShareLock);
	List	   *options = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return NIL;
	scan = begin_scan(rel, slot_name, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		options = lappend(options,
						  makeDefElem(text_column(tup, OPTION, rel),
									  (Node *) makeString(text_column(tup, VALUE, rel)), -1));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return options;
}

static void
delete_options(Relation rel, const char *slot_name)
{
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, slot_name, &key);
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		CatalogTupleDelete(rel, &tup->t_self);
	systable_endscan(scan);
}

void
cdc_slot_options_store(const char *slot_name, List *options)
{
	/* excludes others who write */
	Relation	rel = open_table(ShareRowExclusiveLock);
	ListCell   *lc;

	if (rel == NULL)
		elog(ERROR, "table cdc.slot_option does not exist");
	delete_options(rel, slot_name);
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		Datum		values[NCOLUMNS];
		bool		nulls[NCOLUMNS] = {false};

		values[SLOT_NAME - 1] = DirectFunctionCall1(namein, CStringGetDatum(slot_name));
		values[OPTION - 1] = CStringGetTextDatum(option->defname);
		values[VALUE - 1] = CStringGetTextDatum(defGetString(option));
		values[SET_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[SET_BY - 1] = DirectFunctionCall1(namein,
												 CStringGetDatum(GetUserNameFromId(GetSessionUserId(), false)));
		CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
cdc_slot_options_prune(void)
{
	Relation	rel = open_table(ShareRowExclusiveLock);
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return;
	scan = begin_scan(rel, NULL, NULL);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		isnull;
		Name		name = DatumGetName(heap_getattr(tup, SLOT_NAME, RelationGetDescr(rel), &isnull));

		if (SearchNamedReplicationSlot(NameStr(*name), true) == NULL)
			CatalogTupleDelete(rel, &tup->t_self);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
