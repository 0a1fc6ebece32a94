/*
 * registry.c
 *	  Finds the version of a relation's schema.
 *
 * A schema has its table's names in it, and a version is a schema: so no OID is needed,
 * nor what the registry was like when a change was made. Only a relation whose names it
 * knows pays for its schema being hashed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "json/jsonlines.h"
#include "registry/registry.h"
#include "rows/table.h"
#include "schema/descriptor.h"

#define TABLE "schema_detail"
#define INDEX "schema_detail_names"

typedef struct Names
{
	NameData	schema;
	NameData	table;
} Names;

typedef struct Version
{
	struct Version *next;		/* of the same names */
	int			major;
	uint8		sha256[PG_SHA256_DIGEST_LENGTH];
} Version;

typedef struct Known
{
	Names		names;			/* hash key */
	Version    *versions;
} Known;

struct CdcRegistry
{
	bool		decoding;
	bool		stale;
	Oid			table;			/* now */
	MemoryContext cxt;			/* of what was read */
	HTAB	   *known;			/* Known, by names; NULL: none */
};

CdcRegistry *
cdc_registry_create(bool decoding, MemoryContext cxt)
{
	CdcRegistry *registry = MemoryContextAllocZero(cxt, sizeof(CdcRegistry));

	registry->decoding = decoding;
	registry->stale = true;
	registry->cxt = AllocSetContextCreate(cxt, "cdc registry", ALLOCSET_DEFAULT_SIZES);
	return registry;
}

bool
cdc_registry_invalidated(CdcRegistry *registry, Oid relid)
{
	bool		stored = relid == registry->table;

	registry->stale |= stored || !OidIsValid(relid);
	return stored;
}

/* --- reading --------------------------------------------------------------- */

static Datum
get_column(Relation table, HeapTuple tup, int number)
{
	bool		isnull;			/* none of them is */

	return heap_getattr(tup, number, RelationGetDescr(table), &isnull);
}

/* The version that a row is about, if it is told; in the current memory context. */
static Version *
read_version(Relation table, HeapTuple tup)
{
	bytea	   *sha256 = DatumGetByteaPP(get_column(table, tup, Anum_cdc_schema_detail_sha256));
	Version    *version;

	if (strcmp(cdc_exttable_text(table, tup, Anum_cdc_schema_detail_status), "unregistered") == 0 ||
		VARSIZE_ANY_EXHDR(sha256) != PG_SHA256_DIGEST_LENGTH)
		return NULL;
	version = palloc0(sizeof(Version));
	version->major = DatumGetInt32(get_column(table, tup, Anum_cdc_schema_detail_major));
	memcpy(version->sha256, VARDATA_ANY(sha256), PG_SHA256_DIGEST_LENGTH);
	return version;
}

static void
take_row(Relation table, HeapTuple tup, CdcRowState state, void *arg)
{
	CdcRegistry *registry = arg;
	Version    *version = read_version(table, tup);
	Names		names = {0};
	Known	   *known;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	if (version == NULL)
		return;
	if (registry->known == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Names), .entrysize = sizeof(Known), .hcxt = registry->cxt};

		registry->known = hash_create("cdc registry", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	namestrcpy(&names.schema, NameStr(*DatumGetName(get_column(table, tup, Anum_cdc_schema_detail_schema_name))));
	namestrcpy(&names.table, NameStr(*DatumGetName(get_column(table, tup, Anum_cdc_schema_detail_table_name))));
	known = hash_search(registry->known, &names, HASH_ENTER, &found);
	version->next = found ? known->versions : NULL;
	known->versions = version;
}

void
cdc_registry_read(CdcRegistry *registry)
{
	MemoryContext oldcxt;

	if (!registry->decoding || !registry->stale)
		return;
	registry->stale = false;
	registry->known = NULL;
	MemoryContextReset(registry->cxt);
	oldcxt = MemoryContextSwitchTo(registry->cxt);
	registry->table = cdc_exttable_read(TABLE, take_row, registry);
	MemoryContextSwitchTo(oldcxt);
}

/* The same of one name, by the index, where the table can be read. */
static Version *
look_up(const Names *names)
{
	Relation	table = cdc_exttable_open(TABLE, AccessShareLock);
	Oid			index = cdc_exttable_find(INDEX);
	Version    *versions = NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tup;

	if (table == NULL)
		return NULL;
	ScanKeyInit(&keys[0], Anum_cdc_schema_detail_schema_name, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&names->schema));
	ScanKeyInit(&keys[1], Anum_cdc_schema_detail_table_name, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&names->table));
	scan = systable_beginscan(table, index, OidIsValid(index), NULL, lengthof(keys), keys);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Version    *version = read_version(table, tup);

		if (version == NULL)
			continue;
		version->next = versions;
		versions = version;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return versions;
}

static const Version *
find_names(const CdcRegistry *registry, Relation rel)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(rel));
	Names		names = {0};
	Known	   *known;

	if (schema == NULL)
		return NULL;
	namestrcpy(&names.schema, schema);
	namestrcpy(&names.table, RelationGetRelationName(rel));
	if (!registry->decoding)
		return look_up(&names);
	if (registry->known == NULL)
		return NULL;
	known = hash_search(registry->known, &names, HASH_FIND, NULL);
	return known == NULL ? NULL : known->versions;
}

uint32
cdc_registry_version(CdcRegistry *registry, Relation rel)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	MemoryContext scratch;
	const Version *version;
	Bitmapset  *defaults;
	bytea	   *sha256 = NULL;
	int			major = 0;

	scratch = AllocSetContextCreate(oldcxt, "cdc version", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	version = find_names(registry, rel);
	if (version != NULL)
		sha256 = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
													 PointerGetDatum(cdc_registry_describe(rel, &defaults))));
	for (; version != NULL && major == 0; version = version->next)
		if (memcmp(version->sha256, VARDATA_ANY(sha256), PG_SHA256_DIGEST_LENGTH) == 0)
			major = version->major;
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(scratch);
	return (uint32) major;
}

/* --------------------------------------------------------------------------- */

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
