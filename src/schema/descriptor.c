/*
 * descriptor.c
 *	  Reads descriptions of schemas.
 */
#include "postgres.h"

#include "schema/descriptor.h"

static void *
pb_alloc(void *arg, size_t size)
{
	return palloc(size);
}

static void
pb_free(void *arg, void *pointer)
{
	if (pointer != NULL)
		pfree(pointer);
}

const ProtobufCAllocator cdc_pb_allocator = {pb_alloc, pb_free, NULL};

Cdc__V1__Table *
cdc_table_unpack(const void *data, size_t len)
{
	return cdc__v1__table__unpack(CDC_PB_ALLOCATOR, len, data);
}

int
cdc_column_place(const Cdc__V1__Table *table, uint32 number)
{
	int			low = 0;
	int			high = (int) table->n_columns;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (table->columns[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < (int) table->n_columns && table->columns[low]->number == number ? low : -1;
}

const Cdc__V1__Column *
cdc_column_find(const Cdc__V1__Table *table, uint32 number)
{
	int			place = cdc_column_place(table, number);

	return place < 0 ? NULL : table->columns[place];
}

bool
cdc_type_widens(Cdc__V1__Type from, Cdc__V1__Type to)
{
	return from == CDC__V1__TYPE__TYPE_INT32 && to == CDC__V1__TYPE__TYPE_INT64;
}

void
cdc_append_identifier(StringInfo out, const char *name)
{
	bool		plain = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';

	for (const char *p = name; *p != '\0' && plain; p++)
		plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
	if (plain)
	{
		appendStringInfoString(out, name);
		return;
	}
	appendStringInfoChar(out, '"');
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(out, '"');
		appendStringInfoChar(out, *p);
	}
	appendStringInfoChar(out, '"');
}

void
cdc_append_qualified(StringInfo out, const char *schema, const char *name)
{
	cdc_append_identifier(out, schema);
	appendStringInfoChar(out, '.');
	cdc_append_identifier(out, name);
}
