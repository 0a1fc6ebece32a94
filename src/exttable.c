/*
 * exttable.c
 *	  The extension's own tables, read and written directly.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "exttable.h"

Oid
cdc_exttable_find(const char *name)
{
	Oid			schema = get_namespace_oid("cdc", true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Relation
cdc_exttable_open(const char *name, LOCKMODE lockmode)
{
	Oid			relid = cdc_exttable_find(name);

	return OidIsValid(relid) ? table_open(relid, lockmode) : NULL;
}

static bool
get(Relation rel, HeapTuple tup, int column, Datum *value)
{
	bool		isnull;

	*value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);
	return !isnull;
}

char *
cdc_exttable_text(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? TextDatumGetCString(value) : NULL;
}

char *
cdc_exttable_name(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? pstrdup(NameStr(*DatumGetName(value))) : NULL;
}

Oid
cdc_exttable_oid(Relation rel, HeapTuple tup, int column)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetObjectId(value) : InvalidOid;
}

int
cdc_exttable_int(Relation rel, HeapTuple tup, int column, int missing)
{
	Datum		value;

	return get(rel, tup, column, &value) ? DatumGetInt32(value) : missing;
}

Datum
cdc_exttable_user(void)
{
	return DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetSessionUserId(), false)));
}
