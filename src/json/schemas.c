/*
 * schemas.c
 *	  Keeps the schemas that a reader of batches has seen.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/hsearch.h"

#include "json/jsonvalue.h"
#include "json/schemas.h"
#include "schema/descriptor.h"
#include "wire/fingerprint.h"
#include "wire/wire.h"

/* Table.columns */
#define TABLE_COLUMNS 3

typedef struct SchemaEntry
{
	uint64		fingerprint;	/* hash key */
	Cdc__V1__Table *table;
	ProtobufCBinaryData bytes;
} SchemaEntry;

struct CdcSchemas
{
	MemoryContext cxt;
	HTAB	   *entries;
};

CdcSchemas *
cdc_schemas_create(void)
{
	CdcSchemas *schemas = palloc(sizeof(CdcSchemas));
	HASHCTL		ctl = {0};

	schemas->cxt = CurrentMemoryContext;
	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(SchemaEntry);
	ctl.hcxt = schemas->cxt;
	schemas->entries = hash_create("cdc schemas", 16, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return schemas;
}

const Cdc__V1__Table *
cdc_schemas_find(CdcSchemas *schemas, uint64 fingerprint)
{
	SchemaEntry *entry = hash_search(schemas->entries, &fingerprint, HASH_FIND, NULL);

	return entry != NULL ? entry->table : NULL;
}

/* Counted before memory is allocated for them. */
static void
check_column_count(ProtobufCBinaryData table)
{
	CdcCursor	cursor = cdc_cursor(table.data, table.len);
	CdcField	field;
	int			columns = 0;

	while (cdc_read_field(&cursor, &field))
		if (field.number == TABLE_COLUMNS && ++columns > MaxHeapAttributeNumber)
			cdc_json_damaged("schema has too many columns");
}

/* Column numbers ascend, as rendering relies on. */
static void
check_table(const Cdc__V1__Table *table)
{
	for (size_t i = 0; i < table->n_columns; i++)
	{
		if (table->columns[i]->number < 1 || table->columns[i]->number > MaxHeapAttributeNumber ||
			(i > 0 && table->columns[i]->number <= table->columns[i - 1]->number))
			cdc_json_damaged("schema has column numbers out of order");
	}
}

void
cdc_schemas_add(CdcSchemas *schemas, const Cdc__V1__SchemaVersion *version)
{
	uint64		fingerprint = version->fingerprint;
	MemoryContext oldcxt;
	SchemaEntry *entry;
	Cdc__V1__Table *table;

	entry = hash_search(schemas->entries, &fingerprint, HASH_FIND, NULL);
	if (entry != NULL)
	{
		if (entry->bytes.len != version->table.len ||
			memcmp(entry->bytes.data, version->table.data, entry->bytes.len) != 0)
			cdc_json_damaged("two schemas have the same fingerprint");
		return;
	}
	if (cdc_fingerprint(version->table.data, version->table.len) != fingerprint)
		cdc_json_damaged("schema does not match its fingerprint");
	check_column_count(version->table);
	oldcxt = MemoryContextSwitchTo(schemas->cxt);
	table = cdc_table_unpack(version->table.data, version->table.len);
	if (table == NULL)
		cdc_json_damaged("schema is not a Table message");
	check_table(table);
	entry = hash_search(schemas->entries, &fingerprint, HASH_ENTER, NULL);
	entry->table = table;
	entry->bytes.len = version->table.len;
	entry->bytes.data = palloc(Max(version->table.len, 1));
	memcpy(entry->bytes.data, version->table.data, version->table.len);
	MemoryContextSwitchTo(oldcxt);
}
