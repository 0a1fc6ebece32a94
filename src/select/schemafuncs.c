/*
 * schemafuncs.c
 *	  SQL functions that describe tables.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "compat.h"
#include "json/jsonlines.h"
#include "registry/requested.h"
#include "rows/table.h"
#include "schema/converter.h"
#include "schema/descriptor.h"
#include "schema/protonotes.h"
#include "select/filter.h"
#include "util/settings.h"

PG_FUNCTION_INFO_V1(cdc_fingerprint_sql);
PG_FUNCTION_INFO_V1(cdc_table_schema);
PG_FUNCTION_INFO_V1(cdc_proto);
PG_FUNCTION_INFO_V1(cdc_converter);

/* Opens a table and resolves it, as it is sent to the current user without
 * options. */
static CdcTable *
open_table(Oid relid, Relation *rel)
{
	int			nestlevel;
	CdcOptions	options;
	CdcAccess  *access;
	CdcSelection *selection;
	CdcTable   *table;

	*rel = try_relation_open(relid, AccessShareLock);
	if (*rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if ((*rel)->rd_rel->relkind != RELKIND_RELATION &&
		(*rel)->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(*rel)),
				 errdetail("Only tables and partitioned tables are in the stream.")));
	nestlevel = NewGUCNestLevel();
	cdc_fix_settings();
	cdc_options_parse(&options, NIL, NIL);
	access = cdc_access_create(false, CurrentMemoryContext);
	cdc_access_refresh(access);
	selection = cdc_filter_resolve(cdc_filter_create(&options, CurrentMemoryContext), *rel,
								   CurrentMemoryContext);
	table = cdc_selection_table(selection, access, *rel, CurrentMemoryContext);
	AtEOXact_GUC(false, nestlevel);
	if (table == NULL)
		cdc_access_refuse(*rel, GetUserId());
	return table;
}

/* UTF-8 in the database's encoding. */
static char *
to_server(StringInfo utf8)
{
	appendStringInfoChar(utf8, '\0');
	return pg_any_to_server(utf8->data, utf8->len - 1, PG_UTF8);
}

Datum
cdc_fingerprint_sql(PG_FUNCTION_ARGS)
{
	Relation	rel;
	CdcTable   *table = open_table(PG_GETARG_OID(0), &rel);

	relation_close(rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(CDC_FINGERPRINT_FORMAT, table->fingerprint)));
}

Datum
cdc_table_schema(PG_FUNCTION_ARGS)
{
	Relation	rel;
	CdcTable   *table = open_table(PG_GETARG_OID(0), &rel);
	StringInfoData out;

	relation_close(rel, AccessShareLock);
	initStringInfo(&out);
	cdc_json_table(&out, cdc_table_unpack(table->descriptor, table->descriptor_len));
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(to_server(&out))));
}

/* A version of the registry, with what holds for its columns now: rules and privileges. */
static const Cdc__V1__Table *
registered_table(Oid relid, uint32 major, const Cdc__V1__Table *current)
{
	const Cdc__V1__Table *registered = cdc_registered_version(relid, major);

	for (size_t i = 0; i < registered->n_columns; i++)
	{
		const Cdc__V1__Column *column = cdc_column_find(current, registered->columns[i]->number);

		if (column != NULL)
			registered->columns[i]->redaction = column->redaction;
	}
	return registered;
}

/* The table as it is now, or, with the second argument, in a version of the registry. */
Datum
cdc_proto(PG_FUNCTION_ARGS)
{
	Relation	rel;
	CdcTable   *table;
	const Cdc__V1__Table *desc;
	CdcProtoNotes *notes;
	List	   *versions;
	StringInfoData out;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	table = open_table(PG_GETARG_OID(0), &rel);
	desc = cdc_table_unpack(table->descriptor, table->descriptor_len);
	versions = cdc_registered_versions(PG_GETARG_OID(0));
	if (PG_ARGISNULL(1))
	{
		notes = cdc_proto_notes(rel, desc, RelationGetDescr(rel)->natts, versions);
		notes->fingerprint = table->fingerprint;
		notes->version = table->version;
	}
	else
	{
		uint32		major = (uint32) Max(PG_GETARG_INT32(1), 0);
		uint8_t    *bytes;

		desc = registered_table(PG_GETARG_OID(0), major, desc);
		notes = cdc_proto_notes(rel, desc, desc->n_columns == 0 ? 0 :
								(int) desc->columns[desc->n_columns - 1]->number, versions);
		bytes = palloc(cdc__v1__table__get_packed_size(desc));
		notes->fingerprint = cdc_fingerprint(bytes, cdc__v1__table__pack(desc, bytes));
		notes->version = major;
	}
	relation_close(rel, AccessShareLock);
	initStringInfo(&out);
	cdc_proto_write(&out, desc, notes);
	PG_RETURN_TEXT_P(cstring_to_text(to_server(&out)));
}

Datum
cdc_converter(PG_FUNCTION_ARGS)
{
	Relation	rel;
	CdcTable   *table = open_table(PG_GETARG_OID(0), &rel);
	Cdc__V1__Table *current = cdc_table_unpack(table->descriptor, table->descriptor_len);
	char	   *language = text_to_cstring(PG_GETARG_TEXT_PP(3));
	CdcConverterSide sides[2];
	StringInfoData out;

	relation_close(rel, AccessShareLock);
	for (int i = 0; i < lengthof(sides); i++)
	{
		sides[i].version = (uint32) Max(PG_GETARG_INT32(1 + i), 0);
		sides[i].table = registered_table(PG_GETARG_OID(0), sides[i].version, current);
	}
	initStringInfo(&out);
	if (!cdc_converter_write(&out, language, &sides[0], &sides[1]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown language: \"%s\"", language),
				 errhint("Languages are: %s.", cdc_converter_languages())));
	PG_RETURN_TEXT_P(cstring_to_text(to_server(&out)));
}
