/*
 * older.c
 *	  Finds older versions of schemas, and says whether rows fit them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "exttable.h"
#include "json.h"
#include "older.h"
#include "pattern.h"

/* Columns, as in the install script. */
enum
{
	VERSION_RELID = 1,
	VERSION_SHA256,
	VERSION_MAJOR,
	VERSION_MINOR,
	VERSION_ID
};

enum
{
	DETAIL_ID = 1,
	DETAIL_SCHEMA,
	DETAIL_TABLE,
	DETAIL_MAJOR,
	DETAIL_MINOR,
	DETAIL_DESCRIPTOR,
	DETAIL_ENUMS,
	DETAIL_STATUS,
	DETAIL_GRACE
};

/* --- the option ------------------------------------------------------------ */

bool
cdc_older_parse(List **versions, const char *text)
{
	*versions = NIL;
	for (;;)
	{
		CdcOlder   *older = palloc0(sizeof(CdcOlder));
		char	   *end;
		long		major;

		if (!cdc_qualified_name_parse(&text, &older->schema, &older->name) ||
			older->schema == NULL || older->name == NULL || *text++ != '=')
			return false;
		major = strtol(text, &end, 10);
		if (end == text || major < 1 || major > PG_INT32_MAX)
			return false;
		older->major = (uint32) major;
		*versions = lappend(*versions, older);
		text = end + strspn(end, " ");
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

/* --- the registry ---------------------------------------------------------- */

typedef bool (*CdcRowTest) (Relation rel, HeapTuple tup, void *arg);

/* Goes through the rows of a table of the extension, by its primary key where one column of
 * it is given, until the test has had enough. */
static void
scan_table(const char *name, const ScanKeyData *key, CdcRowTest test, void *arg)
{
	Relation	rel = cdc_exttable_open(name, AccessShareLock);
	ScanKeyData keys[1];
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return;
	if (key != NULL)
		keys[0] = *key;
	(void) RelationGetIndexList(rel);	/* finds the primary key */
	scan = systable_beginscan(rel, rel->rd_pkindex, true, NULL, key != NULL ? 1 : 0, keys);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		if (test(rel, tup, arg))
			break;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static int64
get_id(Relation rel, HeapTuple tup, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static bool
has_name(Relation rel, HeapTuple tup, int column, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);

	return !isnull && strcmp(NameStr(*DatumGetName(value)), name) == 0;
}

/* The newest minor version of a major one. */
typedef struct Newest
{
	uint32		major;
	int			minor;			/* -1: none */
	int64		id;
} Newest;

static bool
take_newest(Relation rel, HeapTuple tup, void *arg)
{
	Newest	   *newest = arg;
	uint32		major = (uint32) cdc_exttable_int(rel, tup, VERSION_MAJOR, 0);
	int			minor = cdc_exttable_int(rel, tup, VERSION_MINOR, 0);

	if (major == newest->major && minor > newest->minor)
	{
		newest->minor = minor;
		newest->id = get_id(rel, tup, VERSION_ID);
	}
	return false;
}

typedef struct Detail
{
	const Cdc__V1__Table *table;
	char	   *status;
	bool		over;			/* its time of grace */
} Detail;

static bool
take_detail(Relation rel, HeapTuple tup, void *arg)
{
	Detail	   *detail = arg;
	bool		isnull;
	Datum		value = heap_getattr(tup, DETAIL_DESCRIPTOR, RelationGetDescr(rel), &isnull);
	bytea	   *bytes = DatumGetByteaPP(value);

	detail->table = cdc_table_unpack(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	detail->status = cdc_exttable_text(rel, tup, DETAIL_STATUS);
	value = heap_getattr(tup, DETAIL_GRACE, RelationGetDescr(rel), &isnull);
	detail->over = strcmp(detail->status, "retired") == 0 ||
		(!isnull && DatumGetTimestampTz(value) <= GetCurrentTimestamp());
	return true;
}

const Cdc__V1__Table *
cdc_older_table(Oid relid, uint32 major)
{
	Newest		newest = {major, -1};
	Detail		detail = {NULL};
	const char *name = get_rel_name(relid);
	ScanKeyData key;

	ScanKeyInit(&key, VERSION_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan_table("schema_version", &key, take_newest, &newest);
	if (newest.minor >= 0)
	{
		ScanKeyInit(&key, DETAIL_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(newest.id));
		scan_table("schema_detail", &key, take_detail, &detail);
	}
	if (detail.table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" has no version %u in the registry", name, major),
				 errhint("The view cdc.schema_versions lists those that there are. After a restore, run SELECT cdc.refresh_registry();")));
	if (detail.over)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %u of table \"%s\" is not sent any more: it is retired, or its time of grace is over",
						major, name),
				 errhint("Read a newer version, or leave the table out of the option \"versions\".")));
	return detail.table;
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	int64		left = *(int64 *) lfirst(a);
	int64		right = *(int64 *) lfirst(b);

	return (left > right) - (left < right);
}

static bool
take_id(Relation rel, HeapTuple tup, void *arg)
{
	List	  **ids = arg;
	int64	   *id = palloc(sizeof(int64));

	*id = get_id(rel, tup, VERSION_ID);
	*ids = lappend(*ids, id);
	return false;
}

List *
cdc_older_all(Oid relid)
{
	List	   *ids = NIL;
	List	   *tables = NIL;
	ScanKeyData key;
	ListCell   *lc;

	ScanKeyInit(&key, VERSION_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan_table("schema_version", &key, take_id, &ids);
	list_sort(ids, compare_ids);
	foreach(lc, ids)
	{
		Detail		detail = {NULL};

		ScanKeyInit(&key, DETAIL_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(*(int64 *) lfirst(lc)));
		scan_table("schema_detail", &key, take_detail, &detail);
		if (detail.table != NULL)
			tables = lappend(tables, unconstify(Cdc__V1__Table *, detail.table));
	}
	return tables;
}

/* A version by the name that its relation had. */
typedef struct Former
{
	CdcOlder   *older;
	int64		id;				/* 0: none */
} Former;

static bool
take_former(Relation rel, HeapTuple tup, void *arg)
{
	Former	   *former = arg;

	/* a later one is that of a table that was made again */
	if (cdc_exttable_int(rel, tup, DETAIL_MAJOR, 0) == (int) former->older->major &&
		has_name(rel, tup, DETAIL_TABLE, former->older->name) &&
		has_name(rel, tup, DETAIL_SCHEMA, former->older->schema))
		former->id = get_id(rel, tup, DETAIL_ID);
	return false;
}

static bool
take_relation(Relation rel, HeapTuple tup, void *arg)
{
	Former	   *former = arg;

	if (get_id(rel, tup, VERSION_ID) != former->id)
		return false;
	former->older->relid = cdc_exttable_oid(rel, tup, VERSION_RELID);
	return true;
}

/* The relation that has the name now, or had it in that version. */
static void
find_relation(CdcOlder *older)
{
	Former		former = {older};
	Oid			schema = get_namespace_oid(older->schema, true);

	scan_table("schema_detail", NULL, take_former, &former);
	if (former.id != 0)
		scan_table("schema_version", NULL, take_relation, &former);
	if (!OidIsValid(older->relid) && OidIsValid(schema))
		older->relid = get_relname_relid(older->name, schema);
	if (!OidIsValid(older->relid) || get_rel_name(older->relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table \"%s.%s\", of which the option \"versions\" asks for version %u",
						older->schema, older->name, older->major),
				 errhint("Give the name that the table has, or had in that version.")));
}

void
cdc_older_read(List *versions)
{
	ListCell   *lc;

	foreach(lc, versions)
	{
		CdcOlder   *older = lfirst(lc);

		find_relation(older);
		older->table = cdc_older_table(older->relid, older->major);
	}
}

CdcOlder *
cdc_older_find(List *versions, Oid relid)
{
	ListCell   *lc;

	foreach(lc, versions)
	{
		CdcOlder   *older = lfirst(lc);

		if (older->relid == relid)
			return older;
	}
	return NULL;
}

/* --- what fits ------------------------------------------------------------- */

const Cdc__V1__Column *
cdc_older_column(const Cdc__V1__Table *table, uint32 number)
{
	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i]->number == number)
			return table->columns[i];
	return NULL;
}

bool
cdc_older_narrows(const Cdc__V1__Column *older, Cdc__V1__Type now)
{
	return older->type == CDC__V1__TYPE__TYPE_INT32 && now == CDC__V1__TYPE__TYPE_INT64;
}

/* Are values of the one written like those of the other, with the same meaning? */
static bool
same_values(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (cdc_older_narrows(older, now->type))
		return true;
	if (older->type != now->type || older->element != now->element)
		return false;
	return older->type != CDC__V1__TYPE__TYPE_OTHER || strcmp(older->pg_type, now->pg_type) == 0;
}

/* Each tells one hindrance of a column of the older schema, or NULL; `now` is NULL where
 * there is no such column. */
static char *
is_missing(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now != NULL || !(older->not_null || older->key))
		return NULL;
	return psprintf("column %s, which can not be NULL, is not there", older->name);
}

static char *
has_other_type(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || same_values(older, now))
		return NULL;
	return psprintf("column %s is %s instead of %s", older->name, now->pg_type, older->pg_type);
}

static char *
may_be_null(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || now->not_null || !older->not_null)
		return NULL;
	return psprintf("column %s can be NULL", older->name);
}

static char *
changes_key(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || now->key == older->key)
		return NULL;
	return psprintf(now->key ? "column %s is part of the key" : "column %s is not part of the key",
					older->name);
}

static char *(*const hindrances[]) (const Cdc__V1__Column *, const Cdc__V1__Column *) =
{
	is_missing, has_other_type, may_be_null, changes_key
};

char *
cdc_older_hindrance(const Cdc__V1__Table *older, const Cdc__V1__Table *now)
{
	for (size_t i = 0; i < older->n_columns; i++)
	{
		const Cdc__V1__Column *column = older->columns[i];

		for (int k = 0; k < lengthof(hindrances); k++)
		{
			char	   *reason = hindrances[k] (column, cdc_older_column(now, column->number));

			if (reason != NULL)
				return reason;
		}
	}
	for (size_t i = 0; i < now->n_columns; i++)
		if (now->columns[i]->key && cdc_older_column(older, now->columns[i]->number) == NULL)
			return psprintf("column %s, which is not in that version, is part of the key", now->columns[i]->name);
	return NULL;
}
