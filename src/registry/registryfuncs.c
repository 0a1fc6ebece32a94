/*
 * registryfuncs.c
 *	  SQL functions that describe and compare schemas, for the registry, which
 *	  itself is written in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog/changed.h"
#include "catalog/exttable.h"
#include "compat.h"
#include "json/jsonlines.h"
#include "registry/registry.h"
#include "registry/requested.h"
#include "rows/table.h"
#include "schema/descriptor.h"
#include "schema/evolution.h"
#include "schema/versionmap.h"
#include "util/settings.h"

PG_FUNCTION_INFO_V1(cdc_describe_schema);
PG_FUNCTION_INFO_V1(cdc_compare_schemas);
PG_FUNCTION_INFO_V1(cdc_check_mapping);
PG_FUNCTION_INFO_V1(cdc_watch_commands);
PG_FUNCTION_INFO_V1(cdc_changed_relations);
PG_FUNCTION_INFO_V1(cdc_hold_relation);
PG_FUNCTION_INFO_V1(cdc_allow_breaking);
PG_FUNCTION_INFO_V1(cdc_breaking_reason);

/*
 * The whole schema of a relation now; NULL if it is not sent. Without a lock, as when
 * decoding: reports and event triggers must not wait for who alters the table, nor have
 * others wait.
 */
static bytea *
describe_now(Oid relid, Bitmapset **defaults)
{
	Relation	rel = RelationIdGetRelation(relid);
	bytea	   *descriptor = NULL;
	int			nestlevel = NewGUCNestLevel();

	cdc_fix_settings();
	if (RelationIsValid(rel) && !IsCatalogRelation(rel) && cdc_table_is_sent(rel) &&
		rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP)
		descriptor = cdc_registry_describe(rel, defaults);
	AtEOXact_GUC(false, nestlevel);
	if (RelationIsValid(rel))
		RelationClose(rel);
	return descriptor;
}

Datum
cdc_describe_schema(PG_FUNCTION_ARGS)
{
	Bitmapset  *defaults;
	bytea	   *descriptor = describe_now(PG_GETARG_OID(0), &defaults);
	TupleDesc	tupdesc;
	Datum		numbers[MaxTupleAttributeNumber];
	Datum		values[2];
	bool		nulls[2] = {false};
	int			n = 0;
	int			attnum = -1;

	if (descriptor == NULL)
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	while ((attnum = bms_next_member(defaults, attnum)) >= 0)
		numbers[n++] = Int16GetDatum(attnum);
	values[0] = PointerGetDatum(descriptor);
	values[1] = PointerGetDatum(construct_array(numbers, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls)));
}

/* What the rules look up by must be something that they know. */
static bool
is_sound(const Cdc__V1__Table *table)
{
	uint32		before = 0;

	if (protobuf_c_enum_descriptor_get_value(&cdc__v1__replica_identity__descriptor,
											 table->replica_identity) == NULL)
		return false;
	for (size_t i = 0; i < table->n_columns; i++)
	{
		const Cdc__V1__Column *column = table->columns[i];

		CHECK_FOR_INTERRUPTS();
		if (column->number < 1 || column->number > MaxHeapAttributeNumber || column->number <= before ||
			column->type == CDC__V1__TYPE__TYPE_UNSPECIFIED ||
			protobuf_c_enum_descriptor_get_value(&cdc__v1__type__descriptor, column->type) == NULL ||
			protobuf_c_enum_descriptor_get_value(&cdc__v1__type__descriptor, column->element) == NULL)
			return false;
		before = column->number;
	}
	return true;
}

static Cdc__V1__Table *
unpack_argument(bytea *data)
{
	Cdc__V1__Table *table = cdc_table_unpack(VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));

	if (table == NULL || !is_sound(table))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("descriptor is no cdc.v1.Table")));
	return table;
}

static void
put_finding(void *arg, const CdcFinding *finding)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = CStringGetTextDatum(finding->rule);
	values[1] = BoolGetDatum((finding->breaks & CDC_BREAKS_BACKWARD) != 0);
	values[2] = BoolGetDatum((finding->breaks & CDC_BREAKS_FORWARD) != 0);
	values[3] = BoolGetDatum(finding->wire);
	nulls[4] = finding->column == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(finding->column);
	values[5] = CStringGetTextDatum(finding->detail);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
cdc_compare_schemas(PG_FUNCTION_ARGS)
{
	Cdc__V1__Table *before = unpack_argument(PG_GETARG_BYTEA_PP(0));
	Cdc__V1__Table *after = unpack_argument(PG_GETARG_BYTEA_PP(1));
	Bitmapset  *defaults = NULL;
	Datum	   *numbers;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), INT2OID, sizeof(int16), true, TYPALIGN_SHORT,
					  &numbers, NULL, &n);
	for (int i = 0; i < n; i++)
		if (DatumGetInt16(numbers[i]) > 0)
			defaults = bms_add_member(defaults, DatumGetInt16(numbers[i]));
	InitMaterializedSRF(fcinfo, 0);
	cdc_evolution_compare(before, after, defaults, put_finding, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
cdc_check_mapping(PG_FUNCTION_ARGS)
{
	const Cdc__V1__Table *older = cdc_registered_version(PG_GETARG_OID(0), (uint32) Max(PG_GETARG_INT32(1), 0));
	Bitmapset  *defaults;
	bytea	   *now = describe_now(PG_GETARG_OID(0), &defaults);
	char	   *reason = now == NULL ? pstrdup("it is not sent") :
		cdc_version_unmappable(older, unpack_argument(now));

	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

/* --- what commands change -------------------------------------------------- */

Datum
cdc_watch_commands(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger")));
	cdc_changed_watch();
	PG_RETURN_NULL();
}

/* A row of cdc.registered_relation: its first column is the OID. */
static void
add_registered(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	List	  **relids = arg;

	*relids = lappend_oid(*relids, cdc_exttable_oid(rel, tup, 1));
}

Datum
cdc_changed_relations(PG_FUNCTION_ARGS)
{
	CdcChanged	changed = cdc_changed_take(CDC_FOLLOWER_REGISTRY);
	List	   *relids = changed.relids;
	Datum	   *oids;

	if (changed.everything)
		(void) cdc_exttable_read("registered_relation", add_registered, &relids);
	oids = palloc(sizeof(Datum) * Max(list_length(relids), 1));
	for (int i = 0; i < list_length(relids); i++)
		oids[i] = ObjectIdGetDatum(list_nth_oid(relids, i));
	PG_RETURN_ARRAYTYPE_P(construct_array(oids, list_length(relids), OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

Datum
cdc_hold_relation(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	/* as for LOCK TABLE */
	if (pg_class_aclmask(relid, GetUserId(), ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE, ACLMASK_ANY) == 0)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
	LockRelationOid(relid, ShareUpdateExclusiveLock);
	PG_RETURN_VOID();
}

/* --- on purpose ------------------------------------------------------------ */

/* Why the current transaction may break readers. */
static char *breaking_reason = NULL;
static FullTransactionId breaking_transaction;

Datum
cdc_allow_breaking(PG_FUNCTION_ARGS)
{
	char	   *reason = text_to_cstring(PG_GETARG_TEXT_PP(0));

	cdc_exttable_require_primary("cdc.allow_breaking()");
	if (strspn(reason, " \t\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reason must not be empty"),
				 errhint("It is recorded with the version, for those whose readers break.")));
	breaking_reason = MemoryContextStrdup(TopTransactionContext, reason);
	breaking_transaction = GetTopFullTransactionId();
	PG_RETURN_VOID();
}

Datum
cdc_breaking_reason(PG_FUNCTION_ARGS)
{
	if (breaking_reason == NULL ||
		!FullTransactionIdEquals(breaking_transaction, GetTopFullTransactionIdIfAny()))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(breaking_reason));
}
