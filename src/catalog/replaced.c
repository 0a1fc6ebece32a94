/*
 * replaced.c
 *	  Reads rows of catalogs that this transaction has replaced.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/replaced.h"

/* What is with a row, from the point of view of this transaction. */
typedef enum RowAge
{
	ROW_VOID,					/* of an aborted transaction, or replaced before */
	ROW_FORMER,					/* replaced by this transaction */
	ROW_OLD,					/* there, since before */
	ROW_NEW						/* there, by this transaction */
} RowAge;

static RowAge
age_of(HeapTupleHeader header)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(header);
	TransactionId xmax = InvalidTransactionId;
	bool		ours = TransactionIdIsNormal(xmin) && TransactionIdIsCurrentTransactionId(xmin);

	if (!ours && TransactionIdIsNormal(xmin) && !TransactionIdDidCommit(xmin))
		return ROW_VOID;
	if (!(header->t_infomask & HEAP_XMAX_INVALID) && !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		xmax = HeapTupleHeaderGetUpdateXid(header);
	if (TransactionIdIsValid(xmax))
	{
		if (TransactionIdIsCurrentTransactionId(xmax))
			return ROW_FORMER;
		if (TransactionIdDidCommit(xmax))
			return ROW_VOID;
	}
	return ours ? ROW_NEW : ROW_OLD;
}

/* The command by which this transaction has replaced a row. */
static CommandId
until(HeapTuple tup, RowAge age)
{
	return age == ROW_FORMER ? HeapTupleHeaderGetCmax(tup->t_data) : CDC_STILL;
}

/* And that by which it has made it. */
static CommandId
made_by(HeapTuple tup)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(tup->t_data);

	return TransactionIdIsNormal(xmin) && TransactionIdIsCurrentTransactionId(xmin) ?
		HeapTupleHeaderGetCmin(tup->t_data) : 0;
}

typedef void (*VersionFn) (HeapTuple tup, RowAge age, void *arg);

/* All versions of the rows of a catalog whose column is an OID; with InvalidOid those of
 * all rows. */
static void
read_versions(Oid catalog, Oid index, AttrNumber attnum, Oid key, VersionFn fn, void *arg)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tup;

	ScanKeyInit(&scankey, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	scan = systable_beginscan(rel, index, OidIsValid(key), SnapshotAny, OidIsValid(key) ? 1 : 0,
							  &scankey);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		RowAge		age = age_of(tup->t_data);

		if (age != ROW_VOID)
			fn(tup, age, arg);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* --- schemas ------------------------------------------------------------------ */

static void
add_schema_name(HeapTuple tup, RowAge age, void *arg)
{
	Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tup);
	List	  **names = arg;
	CdcTableName *name = palloc0(sizeof(CdcTableName));

	name->schema = pstrdup(NameStr(form->nspname));
	name->from = made_by(tup);
	name->until = until(tup, age);
	*names = lappend(*names, name);
}

static List *
schema_names(Oid schema)
{
	List	   *names = NIL;

	read_versions(NamespaceRelationId, NamespaceOidIndexId, Anum_pg_namespace_oid, schema,
				  add_schema_name, &names);
	return names;
}

static void
add_renamed(HeapTuple tup, RowAge age, void *arg)
{
	Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tup);
	List	  **renamed = arg;
	CdcSchemaName *name;

	if (age != ROW_FORMER)
		return;
	name = palloc(sizeof(CdcSchemaName));
	name->schema = form->oid;
	name->former = pstrdup(NameStr(form->nspname));
	*renamed = lappend(*renamed, name);
}

List *
cdc_renamed_schemas(void)
{
	List	   *renamed = NIL;

	read_versions(NamespaceRelationId, NamespaceOidIndexId, Anum_pg_namespace_oid, InvalidOid,
				  add_renamed, &renamed);
	return renamed;
}

/* --- relations ---------------------------------------------------------------- */

/* With the names that its schema has had. */
static void
add_class(HeapTuple tup, RowAge age, void *arg)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(tup);
	CdcRelationNames *names = arg;
	bool		now = age != ROW_FORMER;
	ListCell   *lc;

	if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_PARTITIONED_TABLE) ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		return;
	names->table = true;
	names->changed |= age != ROW_OLD;
	names->dropped &= !now;
	foreach(lc, schema_names(form->relnamespace))
	{
		CdcTableName *name = lfirst(lc);

		name->table = pstrdup(NameStr(form->relname));
		name->from = Max(name->from, made_by(tup));
		name->until = Min(name->until, until(tup, age));
		if (name->from <= name->until)
			names->tables = lappend(names->tables, name);
		if (name->until == CDC_STILL)
			names->current = *name;
	}
}

static void
add_attribute(HeapTuple tup, RowAge age, void *arg)
{
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tup);
	CdcRelationNames *names = arg;
	CdcColumnName *name;

	names->changed |= age != ROW_OLD;
	if (form->attnum <= 0 || form->attisdropped)
		return;
	name = palloc(sizeof(CdcColumnName));
	name->attnum = form->attnum;
	name->column = pstrdup(NameStr(form->attname));
	name->from = made_by(tup);
	name->until = until(tup, age);
	names->columns = lappend(names->columns, name);
}

/* It has come under another table, or was taken from it. */
static void
add_parent(HeapTuple tup, RowAge age, void *arg)
{
	((CdcRelationNames *) arg)->changed |= age != ROW_OLD;
}

void
cdc_relation_names(Oid relid, CdcRelationNames *names)
{
	memset(names, 0, sizeof(CdcRelationNames));
	names->dropped = true;
	read_versions(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid, add_class, names);
	if (!names->table)
		return;
	read_versions(AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid, relid,
				  add_attribute, names);
	read_versions(InheritsRelationId, InheritsRelidSeqnoIndexId, Anum_pg_inherits_inhrelid, relid,
				  add_parent, names);
}
