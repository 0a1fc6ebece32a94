/*
 * rulecolumns.c
 *	  cdc.rule_columns(): the columns that each rule of redaction covers now.
 *
 * Takes no lock on users' tables: catalogs alone are asked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "redact/ruleset.h"
#include "redact/secret.h"
#include "util/like.h"

PG_FUNCTION_INFO_V1(cdc_rule_columns);

static void
put(ReturnSetInfo *result, const CdcRule *rule, Oid relid, AttrNumber attnum)
{
	Datum		values[] = {Int64GetDatum(rule->id), ObjectIdGetDatum(relid), Int16GetDatum(attnum)};
	bool		nulls[lengthof(values)] = {false};

	if (attnum > 0 && XLogRecPtrIsInvalid(rule->removed_at))
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_number(const CdcProtected *column, Oid relid, void *arg)
{
	put(arg, column->rule, relid, column->attnum);
}

static void
put_name(const CdcProtected *column, Oid relid, void *arg)
{
	put(arg, column->rule, relid, get_attnum(relid, column->column));
}

/* Patterns match columns of every table. */
static void
put_patterns(ReturnSetInfo *result, const List *patterns)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tup);
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		if (form->attnum <= 0 || form->attisdropped)
			continue;
		foreach(lc, patterns)
		{
			const CdcRule *rule = lfirst(lc);

			if (cdc_like(rule->pattern, NameStr(form->attname)))
				put(result, rule, form->attrelid, form->attnum);
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

Datum
cdc_rule_columns(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CdcRuleSet	set = {CurrentMemoryContext};
	CdcSecret	secret = {0};

	InitMaterializedSRF(fcinfo, 0);
	set.cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc rules", ALLOCSET_DEFAULT_SIZES);
	cdc_ruleset_read(&set, &secret);
	cdc_ruleset_each_number(&set, put_number, result);
	cdc_ruleset_each_name(&set, put_name, result);
	if (set.patterns != NIL)
		put_patterns(result, set.patterns);
	return (Datum) 0;
}
