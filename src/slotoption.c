/*
 * slotoption.c
 *	  Reads and writes the table cdc.slot_option.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "replication/slot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "exttable.h"
#include "slotoption.h"

#define TABLE "slot_option"

/* Not an option of the plugin: the OID of the role that the slot is bound to. */
#define READER "reader"

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

List *
cdc_slot_options_load(const char *slot_name, Oid *reader)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	List	   *options = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;

	*reader = InvalidOid;
	if (rel == NULL)
		return NIL;
	scan = begin_scan(rel, slot_name, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		char	   *option = cdc_exttable_text(rel, tup, OPTION);
		char	   *value = cdc_exttable_text(rel, tup, VALUE);

		if (strcmp(option, READER) == 0)
			*reader = (Oid) strtoul(value, NULL, 10);
		else
			options = lappend(options, makeDefElem(option, (Node *) makeString(value), -1));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return options;
}

List *
cdc_slots_read_by(Oid role)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	List	   *slots = NIL;
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return NIL;
	scan = begin_scan(rel, NULL, NULL);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		const char *name = cdc_exttable_name(rel, tup, SLOT_NAME);

		if (strcmp(cdc_exttable_text(rel, tup, OPTION), READER) == 0 &&
			(Oid) strtoul(cdc_exttable_text(rel, tup, VALUE), NULL, 10) == role &&
			SearchNamedReplicationSlot(name, true) != NULL)
			slots = lappend(slots, pstrdup(name));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return slots;
}

void
cdc_slot_require_reader(const char *slot_name, Oid reader)
{
	const char *name;

	if (reader == GetUserId())
		return;
	name = GetUserNameFromId(reader, true);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("replication slot \"%s\" is bound to another role", slot_name),
			 name == NULL ? errdetail("The role does not exist any more.") :
			 errdetail("Only role \"%s\" may read from it.", name),
			 errhint("cdc.alter_slot() changes that.")));
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
cdc_slot_options_store(const char *slot_name, List *options, Oid reader)
{
	/* excludes others who write */
	Relation	rel = cdc_exttable_open(TABLE, ShareRowExclusiveLock);
	ListCell   *lc;

	if (rel == NULL)
		elog(ERROR, "table cdc.slot_option does not exist");
	delete_options(rel, slot_name);
	if (OidIsValid(reader))
		options = lcons(makeDefElem(READER, (Node *) makeString(psprintf("%u", reader)), -1), options);
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		Datum		values[NCOLUMNS];
		bool		nulls[NCOLUMNS] = {false};

		values[SLOT_NAME - 1] = DirectFunctionCall1(namein, CStringGetDatum(slot_name));
		values[OPTION - 1] = CStringGetTextDatum(option->defname);
		values[VALUE - 1] = CStringGetTextDatum(defGetString(option));
		values[SET_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[SET_BY - 1] = cdc_exttable_user();
		CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
cdc_slot_options_prune(void)
{
	Relation	rel = cdc_exttable_open(TABLE, ShareRowExclusiveLock);
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return;
	scan = begin_scan(rel, NULL, NULL);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		if (SearchNamedReplicationSlot(cdc_exttable_name(rel, tup, SLOT_NAME), true) == NULL)
			CatalogTupleDelete(rel, &tup->t_self);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
