/*
 * schemafuncs.c
 *	  SQL functions that describe tables.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "compat.h"
#include "filter.h"
#include "json.h"
#include "proto.h"
#include "settings.h"
#include "snapread.h"
#include "table.h"

PG_FUNCTION_INFO_V1(cdc_fingerprint_sql);
PG_FUNCTION_INFO_V1(cdc_table_schema);
PG_FUNCTION_INFO_V1(cdc_proto);

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
		cdc_snapread_refuse(*rel);
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

Datum
cdc_proto(PG_FUNCTION_ARGS)
{
	Relation	rel;
	CdcTable   *table = open_table(PG_GETARG_OID(0), &rel);
	StringInfoData out;

	initStringInfo(&out);
	cdc_proto_write(&out, cdc_table_unpack(table->descriptor, table->descriptor_len),
					table->fingerprint, RelationGetDescr(rel)->natts);
	relation_close(rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(to_server(&out)));
}
