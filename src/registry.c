/*
 * registry.c
 *	  Finds the version of a relation's schema while decoding.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "exttable.h"
#include "json.h"
#include "registry.h"
#include "table.h"

#define TABLE "schema_version"

/* Its columns, as in the install script; the primary key is of the first two. */
enum
{
	VERSION_RELID = 1,
	VERSION_SHA256,
	VERSION_MAJOR
};

struct CdcRegistry
{
	Oid			table;			/* now */
	Oid			storage;		/* its relfilenode */
};

CdcRegistry *
cdc_registry_create(MemoryContext cxt)
{
	return MemoryContextAllocZero(cxt, sizeof(CdcRegistry));
}

void
cdc_registry_read(CdcRegistry *registry)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);

	registry->table = rel == NULL ? InvalidOid : RelationGetRelid(rel);
	if (rel == NULL)
		return;
	registry->storage = rel->rd_rel->relfilenode;
	table_close(rel, AccessShareLock);
}

bool
cdc_registry_stored_in(const CdcRegistry *registry, Oid relid)
{
	return relid == registry->table;
}

bytea *
cdc_registry_describe(Relation rel, Bitmapset **defaults)
{
	CdcTable   *table = cdc_table_resolve(rel, NULL);
	Cdc__V1__Table *desc = cdc_table_unpack(table->descriptor, table->descriptor_len);
	bytea	   *result;

	*defaults = NULL;
	for (size_t i = 0; i < desc->n_columns; i++)
	{
		Cdc__V1__Column *column = desc->columns[i];

		if (column->missing.len > 0 || column->missing_unavailable)
			*defaults = bms_add_member(*defaults, (int) column->number);
		column->missing.len = 0;
		column->missing_unavailable = false;
	}
	result = palloc(VARHDRSZ + cdc__v1__table__get_packed_size(desc));
	SET_VARSIZE(result, VARHDRSZ + cdc__v1__table__pack(desc, (uint8_t *) VARDATA(result)));
	return result;
}

/* Opens the table as of the change. Where it has another storage now, or is gone, to
 * open it would be an ERROR for ever. */
static Relation
open_table(const CdcRegistry *registry)
{
	Oid			relid = cdc_exttable_find(TABLE);
	Relation	rel;

	if (!OidIsValid(relid) || relid != registry->table)
		return NULL;
	rel = table_open(relid, AccessShareLock);
	if (rel->rd_rel->relfilenode == registry->storage)
		return rel;
	table_close(rel, AccessShareLock);
	return NULL;
}

/* The version that has this hash, or 0; *known: the relation has any. */
static int
find_version(Relation table, Snapshot snapshot, Oid relid, Relation rel, Datum *sha256, bool *known)
{
	int			version = 0;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;

	ScanKeyInit(&key, VERSION_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(table, table->rd_pkindex, true, snapshot, 1, &key);
	while (version == 0 && HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		stored = heap_getattr(tup, VERSION_SHA256, RelationGetDescr(table), &isnull);
		Bitmapset  *defaults;

		/* only those that are registered pay for it */
		if (!*known)
			*sha256 = DirectFunctionCall1(sha256_bytea, PointerGetDatum(cdc_registry_describe(rel, &defaults)));
		*known = true;
		if (DatumGetBool(DirectFunctionCall2(byteaeq, stored, *sha256)))
			version = cdc_exttable_int(table, tup, VERSION_MAJOR, 0);
	}
	systable_endscan(scan);
	return version;
}

uint32
cdc_registry_version(CdcRegistry *registry, Relation rel)
{
	Relation	table = open_table(registry);
	Oid			relid = RelationGetRelid(rel);
	Datum		sha256 = (Datum) 0;
	bool		known = false;
	int			version;

	if (table == NULL)
		return 0;
	(void) RelationGetIndexList(table);	/* finds the primary key */
	version = find_version(table, NULL, relid, rel, &sha256, &known);
	/* The rows of a rewrite come before the DDL statement has recorded the schema. A schema
	 * keeps its number, so the one that it has now is the one that it got then. */
	if (version == 0 && known && HistoricSnapshotActive())
	{
		Snapshot	now = RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationGetRelid(table)));

		version = find_version(table, now, relid, rel, &sha256, &known);
		UnregisterSnapshot(now);
	}
	table_close(table, AccessShareLock);
	return (uint32) version;
}
