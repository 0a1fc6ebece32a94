/*
 * slotoption.c
 *	  Reads and writes the table cdc.slot_option.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "replication/slot.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/exttable.h"
#include "options/slotoption.h"

#define TABLE "slot_option"

/* Not an option of the plugin: the OID of the role that the slot is bound to. */
#define READER "reader"

/* Nor is this: the slot is a standby's. */
#define STANDBY "standby"

/* The options of one slot, or with NULL of all, in the order of the primary key. */
static SysScanDesc
begin_scan(Relation rel, const char *slot_name, CdcExtKey *key)
{
	Datum		value = 0;

	if (slot_name != NULL)
		value = DirectFunctionCall1(namein, CStringGetDatum(slot_name));
	return cdc_exttable_scan(rel, key, &value, slot_name != NULL ? 1 : 0);
}

List *
cdc_slot_options_load(const char *slot_name, Oid *reader)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	List	   *options = NIL;
	CdcExtKey	key;
	SysScanDesc scan;
	HeapTuple	tup;

	*reader = InvalidOid;
	if (rel == NULL)
		return NIL;
	scan = begin_scan(rel, slot_name, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		char	   *option = cdc_exttable_text(rel, tup, Anum_cdc_slot_option_option);
		char	   *value = cdc_exttable_text(rel, tup, Anum_cdc_slot_option_value);

		if (strcmp(option, READER) == 0)
			*reader = (Oid) strtoul(value, NULL, 10);
		else if (strcmp(option, STANDBY) != 0)
			options = lappend(options, makeDefElem(option, (Node *) makeString(value), -1));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return options;
}

static bool
is_for_standby(Relation rel, const char *slot_name)
{
	CdcExtKey	key;
	SysScanDesc scan = begin_scan(rel, slot_name, &key);
	HeapTuple	tup;
	bool		found = false;

	while (!found && HeapTupleIsValid(tup = systable_getnext(scan)))
		found = strcmp(cdc_exttable_text(rel, tup, Anum_cdc_slot_option_option), STANDBY) == 0;
	systable_endscan(scan);
	return found;
}

bool
cdc_slot_options_for_standby(const char *slot_name)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	bool		found;

	if (rel == NULL)
		return false;
	found = is_for_standby(rel, slot_name);
	table_close(rel, AccessShareLock);
	return found;
}

void
cdc_slot_options_refuse_taken(const char *slot_name)
{
	if (cdc_slot_options_for_standby(slot_name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("options are stored for a slot \"%s\" of a standby", slot_name),
				 errhint("Take another name; cdc.drop_slot(%s) removes them.", quote_literal_cstr(slot_name))));
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
		const char *name = cdc_exttable_name(rel, tup, Anum_cdc_slot_option_slot_name);

		if (strcmp(cdc_exttable_text(rel, tup, Anum_cdc_slot_option_option), READER) == 0 &&
			(Oid) strtoul(cdc_exttable_text(rel, tup, Anum_cdc_slot_option_value), NULL, 10) == role &&
			(SearchNamedReplicationSlot(name, true) != NULL || is_for_standby(rel, name)))
			slots = lappend(slots, pstrdup(name));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return slots;
}

/* --- slots that are made ------------------------------------------------------ */

static char expected_name[NAMEDATALEN];
static TimestampTz expected_in = 0;	/* a transaction, by its start */

void
cdc_slot_options_expect(const char *slot_name)
{
	strlcpy(expected_name, slot_name, NAMEDATALEN);
	expected_in = GetCurrentTransactionStartTimestamp();
}

bool
cdc_slot_options_expected(const char *slot_name)
{
	return expected_in == GetCurrentTransactionStartTimestamp() && strcmp(expected_name, slot_name) == 0;
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

/* --- writing ----------------------------------------------------------------- */

/* Until the end of the transaction, against others who write what is stored under the
 * same name; not against the rest. False if somebody does, and it is not to be waited. */
static bool
lock_name(Oid table, const char *slot_name, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, table,
					   hash_bytes((const unsigned char *) slot_name, strlen(slot_name)), 0);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
cdc_slot_options_lock(const char *slot_name)
{
	Oid			table = cdc_exttable_find(TABLE);

	if (OidIsValid(table))
		(void) lock_name(table, slot_name, true);
}

/* Whether there were any. */
static bool
delete_options(Relation rel, const char *slot_name)
{
	CdcExtKey	key;
	SysScanDesc scan = begin_scan(rel, slot_name, &key);
	HeapTuple	tup;
	bool		found = false;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		cdc_exttable_delete(rel, tup);
		found = true;
	}
	systable_endscan(scan);
	CommandCounterIncrement();
	return found;
}

static void
insert_option(Relation rel, const char *slot_name, const char *option, const char *value)
{
	Datum		values[Natts_cdc_slot_option];
	bool		nulls[Natts_cdc_slot_option] = {false};

	values[Anum_cdc_slot_option_slot_name - 1] = DirectFunctionCall1(namein, CStringGetDatum(slot_name));
	values[Anum_cdc_slot_option_option - 1] = CStringGetTextDatum(option);
	values[Anum_cdc_slot_option_value - 1] = CStringGetTextDatum(value);
	values[Anum_cdc_slot_option_set_at - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[Anum_cdc_slot_option_set_by - 1] = cdc_exttable_user();
	cdc_exttable_insert(rel, values, nulls);
}

bool
cdc_slot_options_forget(const char *slot_name)
{
	Relation	rel = cdc_exttable_open(TABLE, RowExclusiveLock);
	bool		found;

	if (rel == NULL)
		return false;
	(void) lock_name(RelationGetRelid(rel), slot_name, true);
	found = delete_options(rel, slot_name);
	table_close(rel, NoLock);
	return found;
}

/* A temporary slot goes with its session, and another one may get its name. */
static void
require_permanent(const char *slot_name)
{
	ReplicationSlot *slot = SearchNamedReplicationSlot(slot_name, true);

	if (slot != NULL && slot->data.persistency == RS_TEMPORARY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing can be stored for a temporary slot"),
				 errhint("Give options when reading from it.")));
}

static void
store(const char *slot_name, List *options, Oid reader, bool standby)
{
	Relation	rel = cdc_exttable_open(TABLE, RowExclusiveLock);
	ListCell   *lc;

	if (rel == NULL)
		elog(ERROR, "table cdc.slot_option does not exist");
	if (options != NIL || OidIsValid(reader))
		require_permanent(slot_name);
	(void) lock_name(RelationGetRelid(rel), slot_name, true);
	(void) delete_options(rel, slot_name);
	if (OidIsValid(reader))
		insert_option(rel, slot_name, READER, psprintf("%u", reader));
	if (standby && (options != NIL || OidIsValid(reader)))
		insert_option(rel, slot_name, STANDBY, "on");
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		insert_option(rel, slot_name, option->defname, defGetString(option));
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
cdc_slot_options_store(const char *slot_name, List *options, Oid reader)
{
	store(slot_name, options, reader, false);
}

void
cdc_slot_options_store_for_standby(const char *slot_name, List *options, Oid reader)
{
	store(slot_name, options, reader, true);
}

/* The names under which something is stored. */
static List *
stored_names(Relation rel)
{
	List	   *names = NIL;
	CdcExtKey	key;
	SysScanDesc scan = begin_scan(rel, NULL, &key);
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		char	   *name = cdc_exttable_name(rel, tup, Anum_cdc_slot_option_slot_name);

		if (names == NIL || strcmp(llast(names), name) != 0)
			names = lappend(names, name);
	}
	systable_endscan(scan);
	return names;
}

void
cdc_slot_options_prune(void)
{
	Relation	rel = cdc_exttable_open(TABLE, RowExclusiveLock);
	ListCell   *lc;

	if (rel == NULL)
		return;
	foreach(lc, stored_names(rel))
	{
		const char *name = lfirst(lc);

		/* it could come while the lock is taken */
		if (SearchNamedReplicationSlot(name, true) == NULL &&
			lock_name(RelationGetRelid(rel), name, false) &&
			SearchNamedReplicationSlot(name, true) == NULL && !is_for_standby(rel, name))
			(void) delete_options(rel, name);
	}
	table_close(rel, NoLock);
}
