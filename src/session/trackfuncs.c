/*
 * trackfuncs.c
 *	  Has commands say in the WAL which relations they have changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/syscache.h"

#include "catalog/changed.h"
#include "catalog/replaced.h"
#include "compat.h"
#include "session/command.h"
#include "util/settings.h"

PG_FUNCTION_INFO_V1(cdc_track_schema_sql);

#define CLASS_OF_RELATIONS "'pg_catalog.pg_class'::pg_catalog.regclass"
#define CLASS_OF_TYPES "'pg_catalog.pg_type'::pg_catalog.regclass"
/* Which relations a command may have changed besides those of which the catalogs of relations
 * have it: names of types and schemas are in none of these, nor are enum labels. A composite
 * type is reported as its relation. */
#define DEPENDENT \
	"SELECT cdc.dependent_relations(pg_catalog.array_agg(o.classid), pg_catalog.array_agg(o.objid))" \
	" FROM pg_catalog.pg_event_trigger_ddl_commands() c" \
	" LEFT JOIN pg_catalog.pg_class r ON c.classid OPERATOR(pg_catalog.=) " CLASS_OF_RELATIONS \
	" AND r.oid OPERATOR(pg_catalog.=) c.objid," \
	" LATERAL (VALUES (c.classid, c.objid), (" CLASS_OF_TYPES ", r.reltype)) o(classid, objid)" \
	" WHERE o.objid IS NOT NULL"
/* A publication of all tables has no list of them. */
#define EVERY_TABLE \
	"SELECT pg_catalog.array_agg(c.oid) FROM pg_catalog.pg_class c" \
	" WHERE c.relkind IN ('r', 'p') AND c.relpersistence OPERATOR(pg_catalog.=) 'p'"

typedef struct Others
{
	const char *tag;
	bool		types;			/* values may read otherwise */
	const char *query;			/* array of OIDs */
	bool		everything;		/* only when any relation may have changed */
} Others;

static const Others others[] = {
	{"ALTER TYPE", true, DEPENDENT},
	{"ALTER DOMAIN", true, DEPENDENT},
	{"ALTER SCHEMA", false, DEPENDENT},
	{"ALTER EXTENSION", false, DEPENDENT},
	{"CREATE PUBLICATION", false, EVERY_TABLE, true},
	{"ALTER PUBLICATION", false, EVERY_TABLE, true},
	{"DROP PUBLICATION", false, EVERY_TABLE, true},
	{"DROP OWNED", false, EVERY_TABLE, true},
};

/* Whether rows of a relation may be in a stream, or may have been. */
static bool
may_be_sent(Oid relid, Oid own_schema)
{
	HeapTuple	tup;
	CdcRelationNames names;
	Form_pg_class form;
	bool		result;

	/* of catalogs it is heard when they are analyzed meanwhile */
	if (IsCatalogRelationOid(relid))
		return false;
	tup = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tup))
	{
		cdc_relation_names(relid, &names);
		return names.table;
	}
	form = (Form_pg_class) GETSTRUCT(tup);
	result = (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE) &&
		form->relpersistence != RELPERSISTENCE_TEMP && !OidIsValid(form->relrewrite) &&
		form->relnamespace != own_schema;
	ReleaseSysCache(tup);
	return result;
}

/* The relations that a query names. */
static List *
queried_relations(const char *query)
{
	List	   *relids = NIL;
	MemoryContext cxt = CurrentMemoryContext;
	bool		isnull;
	Datum		value;

	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not find the relations of a command");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
	{
		ArrayType  *array = DatumGetArrayTypeP(value);
		int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		MemoryContext oldcxt = MemoryContextSwitchTo(cxt);

		for (int i = 0; i < n; i++)
			relids = lappend_oid(relids, ((Oid *) ARR_DATA_PTR(array))[i]);
		MemoryContextSwitchTo(oldcxt);
	}
	SPI_finish();
	return relids;
}

static const Others *
find_others(const char *tag)
{
	for (int i = 0; i < lengthof(others); i++)
		if (strcmp(others[i].tag, tag) == 0)
			return &others[i];
	return NULL;
}

/* Adds those of them that may be sent, each once. */
static void
add_touched(CdcCommand *command, List *relids, bool types)
{
	Oid			own_schema = get_namespace_oid("cdc", true);
	ListCell   *lc;

	list_sort(relids, list_oid_cmp);
	list_deduplicate_oid(relids);
	foreach(lc, relids)
		if (may_be_sent(lfirst_oid(lc), own_schema))
			command->touched[command->n++] = (CdcTouched) {lfirst_oid(lc), types};
}

/* The relations that a command may have changed. Of what else was noted, since others have
 * changed it meanwhile, no type has. */
static void
find_touched(CdcCommand *command)
{
	CdcChanged	changed = cdc_changed_take(CDC_FOLLOWER_STREAM);
	const Others *other = find_others(command->tag);
	bool		types = other != NULL && other->types;
	List	   *queried = NIL;

	if (other != NULL && (!other->everything || changed.everything))
		queried = queried_relations(other->query);
	if (types)
		changed.relids = list_difference_oid(changed.relids, queried);
	else
	{
		changed.relids = list_concat(changed.relids, queried);
		queried = NIL;
	}
	command->touched = palloc(sizeof(CdcTouched) * (list_length(changed.relids) + list_length(queried)));
	add_touched(command, changed.relids, false);
	add_touched(command, queried, true);
}

/* Event trigger at the end of commands. */
Datum
cdc_track_schema_sql(PG_FUNCTION_ARGS)
{
	CdcCommand	command = {0};
	CdcHmacKey	key;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function is for event triggers alone")));
	if (!cdc_track_schema || !XLogLogicalInfoActive())
	{
		(void) cdc_changed_take(CDC_FOLLOWER_STREAM);
		PG_RETURN_NULL();
	}
	command.tag = GetCommandTagName(((EventTriggerData *) fcinfo->context)->tag);
	find_touched(&command);
	if (command.n == 0 || !cdc_command_key(&key))
		PG_RETURN_NULL();
	cdc_command_log(&key, &command);
	explicit_bzero(&key, sizeof(key));
	PG_RETURN_NULL();
}
