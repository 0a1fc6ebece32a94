/*
 * follow.c
 *	  Records what rules of redaction protect, as DDL goes on.
 *
 * No statement is looked at: what it does to catalogs invalidates the relations that it
 * changes, and these are looked at when it has ended. A column is protected where its
 * relation or a parent of it has such a column by number, or by one of the names that it
 * has had since the transaction began; then it is recorded by number, and under the names
 * that it has now.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "utils/fmgroids.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/changed.h"
#include "catalog/exttable.h"
#include "catalog/replaced.h"
#include "redact/follow.h"
#include "redact/protection.h"

/* --- what is protected of a relation -------------------------------------------- */

/* A rule protects the column of a name. */
static List *
add_protected(List *list, int64 rule, const char *column, CommandId since)
{
	CdcProtection *p = palloc0(sizeof(CdcProtection));

	p->rule = rule;
	p->column = column;
	p->since = since;
	return lappend(list, p);
}

/* By number, as names that the columns have, or have had: those of one attnum follow one
 * another. */
static List *
add_by_number(List *list, Oid relid, const CdcRelationNames *names)
{
	int		   *first = palloc0(sizeof(int) * (MaxHeapAttributeNumber + 1));
	ListCell   *lc;

	foreach(lc, names->columns)
	{
		const CdcColumnName *name = lfirst(lc);

		if (first[name->attnum] == 0)
			first[name->attnum] = foreach_current_index(lc) + 1;
	}
	foreach(lc, cdc_protection_by_number(relid))
	{
		const CdcProtection *p = lfirst(lc);

		for (int i = first[p->attnum] - 1; i >= 0 && i < list_length(names->columns); i++)
		{
			const CdcColumnName *name = list_nth(names->columns, i);

			if (name->attnum != p->attnum)
				break;
			if (name->until >= p->since)
				list = add_protected(list, p->rule, name->column, Max(p->since, name->from));
		}
	}
	return list;
}

static List *
add_by_name(List *list, const CdcRelationNames *names)
{
	ListCell   *lc;

	foreach(lc, names->tables)
	{
		const CdcTableName *name = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, cdc_protection_by_name(name->schema, name->table))
		{
			const CdcProtection *p = lfirst(lc2);

			/* what has left the name before was never at a protected one */
			if (name->until >= p->since)
				list = add_protected(list, p->rule, p->column, Max(p->since, name->from));
		}
	}
	return list;
}

/* The tables that a relation is a part of, or those that are parts of it. */
static List *
relatives(Oid relid, bool up)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	AttrNumber	attnum = up ? Anum_pg_inherits_inhrelid : Anum_pg_inherits_inhparent;
	List	   *relids = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, up ? InheritsRelidSeqnoIndexId : InheritsParentIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(tup);

		relids = lappend_oid(relids, up ? form->inhparent : form->inhrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relids;
}

/* All that is protected of a relation, by names of columns: of its own, and of what it is
 * a part of. */
static List *
find_protected(Oid relid, const CdcRelationNames *names)
{
	List	   *list = add_by_name(add_by_number(NIL, relid, names), names);
	List	   *parents = relatives(relid, true);

	/* grows while it is gone through */
	for (int i = 0; i < list_length(parents); i++)
	{
		Oid			parent = list_nth_oid(parents, i);
		CdcRelationNames parent_names;

		CHECK_FOR_INTERRUPTS();
		cdc_relation_names(parent, &parent_names);
		list = add_by_name(add_by_number(list, parent, &parent_names), &parent_names);
		parents = list_concat_unique_oid(parents, relatives(parent, true));
	}
	return list;
}

/* --- recording -------------------------------------------------------------------- */

/* The columns of a relation that now have, or had, a name; and what is recorded already. */
typedef struct ColumnEntry
{
	NameData	name;
	List	   *columns;		/* CdcColumnName */
} ColumnEntry;

typedef struct NumberKey
{
	int64		rule;
	int64		attnum;
} NumberKey;

typedef struct NameKey
{
	int64		rule;
	NameData	column;
} NameKey;

typedef struct EndedEntry
{
	int64		rule;
	bool		ended;
} EndedEntry;

typedef struct Recording
{
	Oid			relid;
	const CdcRelationNames *names;
	HTAB	   *columns;		/* by name */
	HTAB	   *numbers;		/* recorded */
	HTAB	   *recorded_names;
	HTAB	   *ended;			/* rules that were looked up: whether they have ended */
	const char **current_names;	/* the names of now, by attnum */
	bool		added;
} Recording;

static HTAB *
create_set(Size keysize, Size entrysize)
{
	HASHCTL		ctl = {.keysize = keysize, .entrysize = entrysize, .hcxt = CurrentMemoryContext};

	return hash_create("cdc follow", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
is_number_new(Recording *r, int64 rule, AttrNumber attnum)
{
	NumberKey	key = {rule, attnum};
	bool		found;

	(void) hash_search(r->numbers, &key, HASH_ENTER, &found);
	return !found;
}

static bool
is_name_new(Recording *r, int64 rule, const char *column)
{
	NameKey		key = {rule};
	bool		found;

	namestrcpy(&key.column, column);
	(void) hash_search(r->recorded_names, &key, HASH_ENTER, &found);
	return !found;
}

static void
read_recorded(Recording *r)
{
	ListCell   *lc;

	foreach(lc, cdc_protection_by_number(r->relid))
	{
		const CdcProtection *p = lfirst(lc);

		(void) is_number_new(r, p->rule, p->attnum);
	}
	if (r->names->current.schema == NULL)
		return;
	foreach(lc, cdc_protection_by_name(r->names->current.schema, r->names->current.table))
	{
		const CdcProtection *p = lfirst(lc);

		(void) is_name_new(r, p->rule, p->column);
	}
}

static void
begin_recording(Recording *r, Oid relid, const CdcRelationNames *names)
{
	ListCell   *lc;

	r->relid = relid;
	r->names = names;
	r->added = false;
	r->columns = create_set(sizeof(NameData), sizeof(ColumnEntry));
	r->numbers = create_set(sizeof(NumberKey), sizeof(NumberKey));
	r->recorded_names = create_set(sizeof(NameKey), sizeof(NameKey));
	r->ended = create_set(sizeof(int64), sizeof(EndedEntry));
	r->current_names = palloc0(sizeof(char *) * (MaxHeapAttributeNumber + 1));
	foreach(lc, names->columns)
	{
		CdcColumnName *column = lfirst(lc);
		NameData	key = {{0}};
		ColumnEntry *entry;
		bool		found;

		namestrcpy(&key, column->column);
		entry = hash_search(r->columns, &key, HASH_ENTER, &found);
		entry->columns = lappend(found ? entry->columns : NIL, column);
		if (column->until == CDC_STILL)
			r->current_names[column->attnum] = column->column;
	}
	read_recorded(r);
}

static bool
has_ended(Recording *r, int64 rule)
{
	EndedEntry *entry;
	bool		found;

	entry = hash_search(r->ended, &rule, HASH_ENTER, &found);
	if (!found)
		entry->ended = cdc_protection_has_ended(rule);
	return entry->ended;
}

/* Every column that has the name, or had it since, is protected, under the name that it has
 * now. */
static void
record(Recording *r, const CdcProtection *p)
{
	NameData	key = {{0}};
	ColumnEntry *entry;
	ListCell   *lc;

	if (has_ended(r, p->rule))
		return;
	namestrcpy(&key, p->column);
	entry = hash_search(r->columns, &key, HASH_FIND, NULL);
	foreach(lc, entry == NULL ? NIL : entry->columns)
	{
		const CdcColumnName *column = lfirst(lc);
		AttrNumber	attnum = column->attnum;
		const char *current = r->current_names[attnum];

		if (column->until < p->since)
			continue;
		if (is_number_new(r, p->rule, attnum))
			r->added |= cdc_protection_add_number(r->relid, attnum, p->rule);
		if (current != NULL && r->names->current.schema != NULL && is_name_new(r, p->rule, current))
			r->added |= cdc_protection_add_name(r->names->current.schema, r->names->current.table, current, p->rule);
	}
}

/* The relation, and if something new is protected of it, what is a part of it. */
static void
follow_relation(Oid relid, bool whether_changed)
{
	CdcRelationNames names;
	Recording	recording;
	List	   *protected;
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	cdc_relation_names(relid, &names);
	if (!names.table || (whether_changed && !names.changed))
		return;
	protected = find_protected(relid, &names);
	if (protected == NIL)
		return;
	cdc_protection_lock(relid);
	begin_recording(&recording, relid, &names);
	foreach(lc, protected)
		record(&recording, lfirst(lc));
	if (names.dropped)
	{
		cdc_protection_dropped(relid, GetXLogInsertRecPtr());
		cdc_follow_prune();
	}
	else if (recording.added)
	{
		foreach(lc, relatives(relid, false))
			follow_relation(lfirst_oid(lc), false);
	}
}

static void
follow_name(const char *table, Oid schema)
{
	Oid			relid = get_relname_relid(table, schema);

	if (OidIsValid(relid))
		follow_relation(relid, false);
}

/* The tables of a schema that bear protected names, under a name that the schema has or had. */
static void
follow_schema(Oid schema, const char *name)
{
	ListCell   *lc;

	foreach(lc, cdc_protection_tables(0, name))
		follow_name(((CdcTableName *) lfirst(lc))->table, schema);
}

/* What had such a name, and what has come to one: by name it is protected for others only when
 * this transaction has ended, by number at once. */
static void
follow_schemas(void)
{
	ListCell   *lc;

	foreach(lc, cdc_renamed_schemas())
	{
		const CdcSchemaName *renamed = lfirst(lc);
		const char *current = get_namespace_name(renamed->schema);

		follow_schema(renamed->schema, renamed->former);
		if (current != NULL)
			follow_schema(renamed->schema, current);
	}
}

/* What is known by number, and what bears names that are protected. */
static void
follow_tables(int64 rule)
{
	ListCell   *lc;

	foreach(lc, cdc_protection_tables(rule, NULL))
	{
		const CdcTableName *name = lfirst(lc);
		Oid			schema = get_namespace_oid(name->schema, true);

		if (OidIsValid(schema))
			follow_name(name->table, schema);
	}
}

static void
follow_everything(void)
{
	ListCell   *lc;

	foreach(lc, cdc_protection_relations())
		follow_relation(lfirst_oid(lc), true);
	follow_tables(0);
}

void
cdc_follow(void)
{
	MemoryContext cxt;
	MemoryContext oldcxt;
	CdcChanged	changed;
	ListCell   *lc;

	if (!OidIsValid(cdc_exttable_find("redaction_column")))
		return;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc follow", ALLOCSET_DEFAULT_SIZES);
	oldcxt = MemoryContextSwitchTo(cxt);
	changed = cdc_changed_take(CDC_FOLLOWER_RULES);
	foreach(lc, changed.relids)
		follow_relation(lfirst_oid(lc), true);
	if (changed.schemas)
		follow_schemas();
	if (changed.everything)
		follow_everything();
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(cxt);
}

/* --- rules -------------------------------------------------------------------------- */

void
cdc_follow_protect(int64 rule, Oid relid, const char *column)
{
	List	   *relids = find_all_inheritors(relid, ShareUpdateExclusiveLock, NULL);
	ListCell   *lc;

	(void) cdc_protection_add_number(InvalidOid, 0, rule);
	foreach(lc, relids)
	{
		Oid			member = lfirst_oid(lc);
		AttrNumber	attnum = get_attnum(member, column);

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist", column, get_rel_name(member))));
		cdc_protection_lock(member);
		(void) cdc_protection_add_number(member, attnum, rule);
		(void) cdc_protection_add_name(get_namespace_name(get_rel_namespace(member)),
									   get_rel_name(member), column, rule);
	}
}

void
cdc_follow_confirm(int64 rule)
{
	(void) cdc_protection_add_number(InvalidOid, 0, rule);
	follow_tables(rule);
}

/* The oldest position from which on changes are kept for a slot of this database, or for a
 * standby. */
static XLogRecPtr
oldest_needed(void)
{
	XLogRecPtr	oldest = GetXLogInsertRecPtr();

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		XLogRecPtr	needed;

		if (!slot->in_use || (SlotIsLogical(slot) && slot->data.database != MyDatabaseId))
			continue;
		SpinLockAcquire(&slot->mutex);
		needed = slot->data.restart_lsn;
		if (!XLogRecPtrIsInvalid(needed) && !XLogRecPtrIsInvalid(slot->data.confirmed_flush))
			needed = slot->data.confirmed_flush;
		SpinLockRelease(&slot->mutex);
		/* one without is lost */
		if (!XLogRecPtrIsInvalid(needed))
			oldest = Min(oldest, needed);
	}
	LWLockRelease(ReplicationSlotControlLock);
	/* what ends there is not needed */
	return oldest + 1;
}

void
cdc_follow_prune(void)
{
	cdc_protection_prune(oldest_needed());
}

void
cdc_follow_forget_rules(void)
{
	cdc_protection_forget_rules(oldest_needed());
}
