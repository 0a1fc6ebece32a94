/*
 * requested.c
 *	  Finds the versions of schemas that the option `versions` asks for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "json/jsonlines.h"
#include "registry/requested.h"
#include "schema/descriptor.h"
#include "util/pattern.h"

/* --- the option ------------------------------------------------------------ */

bool
cdc_requested_parse(List **versions, const char *text)
{
	*versions = NIL;
	for (;;)
	{
		CdcRequested *older = palloc0(sizeof(CdcRequested));
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

/* Goes through the rows of a table of the extension, of one by its primary key where that
 * is given, until the test has had enough. */
static void
scan_table(const char *name, const Datum *id, CdcRowTest test, void *arg)
{
	Relation	rel = cdc_exttable_open(name, AccessShareLock);
	CdcExtKey	key;
	SysScanDesc scan;
	HeapTuple	tup;

	if (rel == NULL)
		return;
	scan = cdc_exttable_scan(rel, &key, id, id == NULL ? 0 : 1);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (test(rel, tup, arg))
			break;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static bool
has_name(Relation rel, HeapTuple tup, int column, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, column, RelationGetDescr(rel), &isnull);

	return !isnull && strcmp(NameStr(*DatumGetName(value)), name) == 0;
}

/* A registered table. */
typedef struct Registered
{
	Oid			relid;
	int64		id;				/* 0: none */
	Datum	   *versions;		/* numbers of schema_detail */
	int			n_versions;
	int64		has;			/* to be found by this version */
} Registered;

static bool
take_registered_id(Relation rel, HeapTuple tup, void *arg)
{
	Registered *registered = arg;

	registered->id = cdc_exttable_int64(rel, tup, Anum_cdc_registered_relation_id, 0);
	return true;
}

static void
get_versions(Relation rel, HeapTuple tup, Registered *registered)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, Anum_cdc_registered_table_versions, RelationGetDescr(rel), &isnull);
	int16		len;
	bool		byval;
	char		align;

	get_typlenbyvalalign(INT8OID, &len, &byval, &align);
	deconstruct_array(DatumGetArrayTypePCopy(value), INT8OID, len, byval, align,
					  &registered->versions, NULL, &registered->n_versions);
}

static bool
take_versions(Relation rel, HeapTuple tup, void *arg)
{
	get_versions(rel, tup, arg);
	return true;
}

static Registered
find_registered(Oid relid)
{
	Registered	registered = {relid};
	Datum		key = ObjectIdGetDatum(relid);

	scan_table("registered_relation", &key, take_registered_id, &registered);
	key = Int64GetDatum(registered.id);
	if (registered.id != 0)
		scan_table("registered_table", &key, take_versions, &registered);
	return registered;
}

/* What is kept of a version. */
typedef struct Detail
{
	uint32		major;
	int			minor;
	const Cdc__V1__Table *table;
	bool		over;			/* retired, or its time of grace is */
} Detail;

static bool
take_detail(Relation rel, HeapTuple tup, void *arg)
{
	Detail	   *detail = arg;
	bool		isnull;
	Datum		value = heap_getattr(tup, Anum_cdc_schema_detail_descriptor, RelationGetDescr(rel), &isnull);
	bytea	   *bytes = DatumGetByteaPP(value);

	detail->table = cdc_table_unpack(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	detail->major = (uint32) cdc_exttable_int(rel, tup, Anum_cdc_schema_detail_major, 0);
	detail->minor = cdc_exttable_int(rel, tup, Anum_cdc_schema_detail_minor, 0);
	value = heap_getattr(tup, Anum_cdc_schema_detail_grace_until, RelationGetDescr(rel), &isnull);
	detail->over = strcmp(cdc_exttable_text(rel, tup, Anum_cdc_schema_detail_status), "retired") == 0 ||
		(!isnull && DatumGetTimestampTz(value) <= GetCurrentTimestamp());
	return true;
}

static Detail
get_detail(Datum id)
{
	Detail		detail = {0};

	scan_table("schema_detail", &id, take_detail, &detail);
	return detail;
}

/* The newest minor version; without a table where there is none. */
static Detail
get_newest(Oid relid, uint32 major)
{
	Registered	registered = find_registered(relid);
	Detail		newest = {.minor = -1};

	for (int i = 0; i < registered.n_versions; i++)
	{
		Detail		detail = get_detail(registered.versions[i]);

		if (detail.table != NULL && detail.major == major && detail.minor > newest.minor)
			newest = detail;
	}
	return newest;
}

/* ERROR where it cannot be sent. */
static const Cdc__V1__Table *
require_sendable(const Detail *newest, Oid relid, uint32 major)
{
	const char *name = get_rel_name(relid);

	if (newest->table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" has no version %u in the registry", name, major),
				 errhint("The view cdc.schema_versions lists those that there are. After a restore, run SELECT cdc.refresh_registry();")));
	if (newest->over)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %u of table \"%s\" is not sent any more: it is retired, or its time of grace is over",
						major, name),
				 errhint("Read a newer version, or leave the table out of the option \"versions\".")));
	return newest->table;
}

const Cdc__V1__Table *
cdc_registered_version(Oid relid, uint32 major)
{
	Detail		newest = get_newest(relid, major);

	return require_sendable(&newest, relid, major);
}

List *
cdc_registered_versions(Oid relid)
{
	Registered	registered = find_registered(relid);
	List	   *tables = NIL;

	for (int i = 0; i < registered.n_versions; i++)
	{
		Detail		detail = get_detail(registered.versions[i]);

		if (detail.table != NULL)
			tables = lappend(tables, unconstify(Cdc__V1__Table *, detail.table));
	}
	return tables;
}

/* A version by the name that its relation had. */
typedef struct Former
{
	CdcRequested *older;
	int64		id;				/* 0: none */
} Former;

static bool
take_former(Relation rel, HeapTuple tup, void *arg)
{
	Former	   *former = arg;

	/* a later one is that of a table that was made again */
	if (cdc_exttable_int(rel, tup, Anum_cdc_schema_detail_major, 0) == (int) former->older->major &&
		has_name(rel, tup, Anum_cdc_schema_detail_table_name, former->older->name) &&
		has_name(rel, tup, Anum_cdc_schema_detail_schema_name, former->older->schema))
		former->id = cdc_exttable_int64(rel, tup, Anum_cdc_schema_detail_id, 0);
	return false;
}

static bool
take_owner(Relation rel, HeapTuple tup, void *arg)
{
	Registered *registered = arg;

	get_versions(rel, tup, registered);
	for (int i = 0; i < registered->n_versions && registered->id == 0; i++)
		if (DatumGetInt64(registered->versions[i]) == registered->has)
			registered->id = cdc_exttable_int64(rel, tup, Anum_cdc_registered_table_id, 0);
	return registered->id != 0;
}

static bool
take_relid(Relation rel, HeapTuple tup, void *arg)
{
	Registered *registered = arg;

	if (cdc_exttable_int64(rel, tup, Anum_cdc_registered_relation_id, 0) != registered->id)
		return false;
	registered->relid = cdc_exttable_oid(rel, tup, Anum_cdc_registered_relation_relid);
	return true;
}

/* The relation that has the name now, or had it in that version. Returns whether the
 * registry has, or had, such a version. */
static bool
find_relation(CdcRequested *older)
{
	Former		former = {older};
	Registered	registered = {InvalidOid};
	Oid			schema = get_namespace_oid(older->schema, true);

	scan_table("schema_detail", NULL, take_former, &former);
	registered.has = former.id;
	if (former.id != 0)
		scan_table("registered_table", NULL, take_owner, &registered);
	if (registered.id != 0)
		scan_table("registered_relation", NULL, take_relid, &registered);
	older->relid = registered.relid;
	if (!OidIsValid(older->relid) && OidIsValid(schema))
		older->relid = get_relname_relid(older->name, schema);
	if (OidIsValid(older->relid) && get_rel_name(older->relid) == NULL)
		older->relid = InvalidOid;
	return former.id != 0;
}

static void
report_no_table(const CdcRequested *older)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("there is no table \"%s.%s\", of which the option \"versions\" asks for version %u",
					older->schema, older->name, older->major),
			 errhint("Give the name that the table has, or had in that version.")));
}

/* Why there is no such version; NULL where there is one. */
static const char *
why_missing(const CdcRequested *older, const Detail *newest)
{
	if (!OidIsValid(older->relid))
		return "no such table";
	return newest->table == NULL ? "not in the registry" : NULL;
}

static void
append_missing(StringInfo list, const CdcRequested *older, const char *why)
{
	appendStringInfo(list, "%s%s=%u (%s)", list->len > 0 ? ", " : "",
					 quote_qualified_identifier(older->schema, older->name), older->major, why);
}

/*
 * A table that was dropped, or taken out of the registry, after its version was asked for is
 * no reason to send nothing of the others, and is told; a name that was never right is.
 */
char *
cdc_requested_read(List *versions, bool stored)
{
	StringInfoData missing;
	ListCell   *lc;

	initStringInfo(&missing);
	foreach(lc, versions)
	{
		CdcRequested *older = lfirst(lc);
		bool		known = find_relation(older) || stored;
		Detail		newest = get_newest(older->relid, older->major);
		const char *why = why_missing(older, &newest);

		if (!OidIsValid(older->relid) && !known)
			report_no_table(older);
		if (why == NULL || !known)
			older->table = require_sendable(&newest, older->relid, older->major);
		else
		{
			append_missing(&missing, older, why);
			older->relid = InvalidOid;
		}
	}
	return missing.data;
}

char *
cdc_requested_missing(List *versions)
{
	StringInfoData missing;
	ListCell   *lc;

	initStringInfo(&missing);
	foreach(lc, versions)
	{
		CdcRequested *older = lfirst(lc);
		Detail		newest;
		const char *why;

		(void) find_relation(older);
		newest = get_newest(older->relid, older->major);
		why = why_missing(older, &newest);
		if (why == NULL && newest.over)
			why = "retired, or its time of grace is over";
		if (why != NULL)
			append_missing(&missing, older, why);
	}
	return missing.data;
}

CdcRequested *
cdc_requested_find(List *versions, Oid relid)
{
	ListCell   *lc;

	foreach(lc, versions)
	{
		CdcRequested *older = lfirst(lc);

		if (older->relid == relid)
			return older;
	}
	return NULL;
}
