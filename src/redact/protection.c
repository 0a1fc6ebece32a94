/*
 * protection.c
 *	  Reads and writes what rules of redaction protect.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/syscache.h"

#include "catalog/exttable.h"
#include "catalog/replaced.h"
#include "redact/protection.h"

/* The tables; their primary keys are of all columns but the last one of NUMBERS, and the first
 * one of RULES and INSTALLATION. */
#define NUMBERS "redaction_column"
#define NAMES "redaction_name"
#define RULES "redaction_rule"
#define INSTALLATION "installation"

static Datum
name_datum(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name));
}

/* --- rows, one after the other ------------------------------------------------ */

typedef void (*RowFn) (Relation rel, HeapTuple tup, void *arg);

/* The rows whose primary key begins with the values; all rows without. */
static void
for_rows(const char *table, const Datum *values, int n, RowFn fn, void *arg)
{
	Relation	rel = cdc_exttable_open(table, RowExclusiveLock);
	CdcExtKey	key;
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return;
	scan = cdc_exttable_scan(rel, &key, values, n);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		fn(rel, tup, arg);
	systable_endscan(scan);
	table_close(rel, NoLock);
}

static void
count_row(Relation rel, HeapTuple tup, void *arg)
{
	(*(int *) arg)++;
}

/* Writes a row unless there is one with its primary key, which is the first columns. */
static bool
add_row(const char *table, Datum *values, int nkey, int ncolumns)
{
	bool		nulls[Natts_cdc_redaction_column] = {false};
	Relation	rel;
	int			found = 0;

	for_rows(table, values, nkey, count_row, &found);
	if (found > 0)
		return false;
	rel = cdc_exttable_open(table, RowExclusiveLock);
	if (rel == NULL)
		return false;
	for (int i = nkey; i < ncolumns; i++)
		nulls[i] = true;
	cdc_exttable_insert(rel, values, nulls);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return true;
}

bool
cdc_protection_add_number(Oid relid, AttrNumber attnum, int64 rule)
{
	Datum		values[Natts_cdc_redaction_column] = {ObjectIdGetDatum(relid), Int16GetDatum(attnum),
		Int64GetDatum(rule)};

	return add_row(NUMBERS, values, Anum_cdc_redaction_column_rule_id, Natts_cdc_redaction_column);
}

bool
cdc_protection_add_name(const char *schema, const char *table, const char *column, int64 rule)
{
	Datum		values[Natts_cdc_redaction_name] = {name_datum(schema), name_datum(table), name_datum(column),
		Int64GetDatum(rule)};

	return add_row(NAMES, values, Natts_cdc_redaction_name, Natts_cdc_redaction_name);
}

void
cdc_protection_lock(Oid relid)
{
	Oid			table = cdc_exttable_find(NUMBERS);

	if (OidIsValid(table))
		LockDatabaseObject(table, relid, 0, ExclusiveLock);
}

/* --- what is protected -------------------------------------------------------- */

/* The command of this transaction that has written a row; 0: another one has. */
static CommandId
written_by(HeapTuple tup)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tup->t_data)) ?
		HeapTupleHeaderGetCmin(tup->t_data) : 0;
}

static void
collect_number(Relation rel, HeapTuple tup, void *arg)
{
	CdcProtection *p = palloc0(sizeof(CdcProtection));
	List	  **list = arg;

	p->rule = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_column_rule_id, 0);
	p->attnum = cdc_exttable_int16(rel, tup, Anum_cdc_redaction_column_attnum);
	p->since = written_by(tup);
	*list = lappend(*list, p);
}

static void
collect_name(Relation rel, HeapTuple tup, void *arg)
{
	CdcProtection *p = palloc0(sizeof(CdcProtection));
	List	  **list = arg;

	p->rule = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_name_rule_id, 0);
	p->column = cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_column_name);
	p->since = written_by(tup);
	*list = lappend(*list, p);
}

List *
cdc_protection_by_number(Oid relid)
{
	Datum		values[] = {ObjectIdGetDatum(relid)};
	List	   *list = NIL;

	for_rows(NUMBERS, values, lengthof(values), collect_number, &list);
	return list;
}

List *
cdc_protection_by_name(const char *schema, const char *table)
{
	Datum		values[] = {name_datum(schema), name_datum(table)};
	List	   *list = NIL;

	for_rows(NAMES, values, lengthof(values), collect_name, &list);
	return list;
}

typedef struct TableCollector
{
	int64		rule;			/* 0: all */
	List	   *tables;
} TableCollector;

static void
collect_table(Relation rel, HeapTuple tup, void *arg)
{
	TableCollector *collector = arg;
	CdcTableName *last = collector->tables == NIL ? NULL : llast(collector->tables);
	CdcTableName *name;

	if (collector->rule != 0 && cdc_exttable_int64(rel, tup, Anum_cdc_redaction_name_rule_id, 0) != collector->rule)
		return;
	name = palloc(sizeof(CdcTableName));
	name->schema = cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_schema_name);
	name->table = cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_table_name);
	/* they come in the order of the key */
	if (last == NULL || strcmp(last->schema, name->schema) != 0 || strcmp(last->table, name->table) != 0)
		collector->tables = lappend(collector->tables, name);
}

List *
cdc_protection_tables(int64 rule, const char *schema)
{
	TableCollector collector = {rule};
	Datum		value = schema == NULL ? (Datum) 0 : name_datum(schema);

	for_rows(NAMES, &value, schema == NULL ? 0 : 1, collect_table, &collector);
	return collector.tables;
}

static void
collect_relation(Relation rel, HeapTuple tup, void *arg)
{
	Oid			relid = cdc_exttable_oid(rel, tup, Anum_cdc_redaction_column_relation);
	List	  **relids = arg;

	if (OidIsValid(relid) && (*relids == NIL || llast_oid(*relids) != relid))
		*relids = lappend_oid(*relids, relid);
}

List *
cdc_protection_relations(void)
{
	List	   *relids = NIL;

	for_rows(NUMBERS, NULL, 0, collect_relation, &relids);
	return relids;
}

/* --- positions ------------------------------------------------------------------ */

typedef struct Dating
{
	AttrNumber	column;
	XLogRecPtr	position;		/* Invalid: rows are counted alone */
	int			found;
} Dating;

/* A row of this transaction that has a position gets another one. */
static void
date_row(Relation rel, HeapTuple tup, void *arg)
{
	Dating	   *dating = arg;
	int			natts = RelationGetNumberOfAttributes(rel);
	Datum	   *values;
	bool	   *nulls;

	if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tup->t_data)) ||
		heap_attisnull(tup, dating->column, RelationGetDescr(rel)))
		return;
	dating->found++;
	if (XLogRecPtrIsInvalid(dating->position))
		return;
	values = palloc(sizeof(Datum) * natts);
	nulls = palloc(sizeof(bool) * natts);
	heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
	values[dating->column - 1] = LSNGetDatum(dating->position);
	cdc_exttable_delete(rel, tup);
	cdc_exttable_insert(rel, values, nulls);
}

int
cdc_protection_date(XLogRecPtr position)
{
	Dating		removals = {Anum_cdc_redaction_rule_removed_at, position};
	Dating		installation = {Anum_cdc_installation_since, position};

	for_rows(RULES, NULL, 0, date_row, &removals);
	for_rows(INSTALLATION, NULL, 0, date_row, &installation);
	CommandCounterIncrement();
	return removals.found + installation.found;
}

/* --- what is not needed any more ---------------------------------------------- */

static void
mark_dropped(Relation rel, HeapTuple tup, void *arg)
{
	Datum		values[Natts_cdc_redaction_column];
	bool		nulls[Natts_cdc_redaction_column];

	heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
	if (!nulls[Anum_cdc_redaction_column_dropped_at - 1])
		return;
	values[Anum_cdc_redaction_column_dropped_at - 1] = LSNGetDatum(*(XLogRecPtr *) arg);
	nulls[Anum_cdc_redaction_column_dropped_at - 1] = false;
	cdc_exttable_delete(rel, tup);
	cdc_exttable_insert(rel, values, nulls);
}

void
cdc_protection_dropped(Oid relid, XLogRecPtr position)
{
	Datum		values[] = {ObjectIdGetDatum(relid)};

	for_rows(NUMBERS, values, lengthof(values), mark_dropped, &position);
	CommandCounterIncrement();
}

static void
prune_dropped(Relation rel, HeapTuple tup, void *arg)
{
	XLogRecPtr	dropped_at = (XLogRecPtr) cdc_exttable_int64(rel, tup, Anum_cdc_redaction_column_dropped_at, 0);

	if (!XLogRecPtrIsInvalid(dropped_at) && dropped_at < *(XLogRecPtr *) arg)
		cdc_exttable_delete(rel, tup);
}

/* What belongs to one of the rules of a list is removed. */
static void
delete_of_rules(Relation rel, HeapTuple tup, int64 rule, const List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
		if (*(int64 *) lfirst(lc) == rule)
		{
			cdc_exttable_delete(rel, tup);
			return;
		}
}

static void
prune_number(Relation rel, HeapTuple tup, void *arg)
{
	delete_of_rules(rel, tup, cdc_exttable_int64(rel, tup, Anum_cdc_redaction_column_rule_id, 0), arg);
}

static void
prune_name(Relation rel, HeapTuple tup, void *arg)
{
	delete_of_rules(rel, tup, cdc_exttable_int64(rel, tup, Anum_cdc_redaction_name_rule_id, 0), arg);
}

static void
take_ended(Relation rel, HeapTuple tup, void *arg)
{
	*(bool *) arg = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_rule_removed_at, 0) != 0 &&
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tup->t_data));
}

bool
cdc_protection_has_ended(int64 rule)
{
	Datum		id = Int64GetDatum(rule);
	bool		ended = false;

	for_rows(RULES, &id, 1, take_ended, &ended);
	return ended;
}

typedef struct RulePruner
{
	XLogRecPtr	oldest;
	List	   *rules;			/* int64 pointers: those that were removed */
} RulePruner;

static void
prune_rule(Relation rel, HeapTuple tup, void *arg)
{
	RulePruner *pruner = arg;
	XLogRecPtr	removed_at = (XLogRecPtr) cdc_exttable_int64(rel, tup, Anum_cdc_redaction_rule_removed_at, 0);
	int64	   *id;

	if (XLogRecPtrIsInvalid(removed_at) || removed_at >= pruner->oldest)
		return;
	id = palloc(sizeof(int64));
	*id = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_rule_id, 0);
	pruner->rules = lappend(pruner->rules, id);
	cdc_exttable_delete(rel, tup);
}

void
cdc_protection_forget_rules(XLogRecPtr oldest)
{
	RulePruner	pruner = {oldest};

	for_rows(RULES, NULL, 0, prune_rule, &pruner);
	if (pruner.rules == NIL)
		return;
	for_rows(NAMES, NULL, 0, prune_name, pruner.rules);
	for_rows(NUMBERS, NULL, 0, prune_number, pruner.rules);
	CommandCounterIncrement();
}

void
cdc_protection_prune(XLogRecPtr oldest)
{
	for_rows(NUMBERS, NULL, 0, prune_dropped, &oldest);
	CommandCounterIncrement();
}
