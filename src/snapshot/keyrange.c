/*
 * keyrange.c
 *	  Makes conditions for ranges of keys.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "rows/table.h"
#include "snapshot/keyrange.h"

StaticAssertDecl(CDC_KEY_MAX_COLUMNS >= INDEX_MAX_KEYS, "a key may have more columns");

static const StrategyNumber strategies[] =
{
	[CDC_LESS] = BTLessStrategyNumber,
	[CDC_LESS_EQUAL] = BTLessEqualStrategyNumber,
	[CDC_EQUAL] = BTEqualStrategyNumber,
	[CDC_GREATER_EQUAL] = BTGreaterEqualStrategyNumber,
	[CDC_GREATER] = BTGreaterStrategyNumber,
};

/* As in SQL, whatever the search_path. */
static const char *
operator_text(Oid opfamily, Oid type, StrategyNumber strategy)
{
	Oid			oid = get_opfamily_member(opfamily, type, type, strategy);
	HeapTuple	tup = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	Form_pg_operator form;
	char	   *text;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "operator family %u has no operator %d for type %u", opfamily, strategy, type);
	form = (Form_pg_operator) GETSTRUCT(tup);
	text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tup);
	return text;
}

void
cdc_key_describe(Relation rel, CdcKey *key)
{
	Oid			oid = cdc_key_index(rel);
	Relation	index;

	key->ncolumns = 0;
	if (!OidIsValid(oid))
		return;
	index = index_open(oid, AccessShareLock);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

		key->attnums[i] = attnum;
		key->types[i] = att->atttypid;
		key->names[i] = pstrdup(quote_identifier(NameStr(att->attname)));
		for (int j = 0; j < CDC_COMPARISONS; j++)
			key->operators[i][j] = operator_text(index->rd_opfamily[i], index->rd_opcintype[i],
												 strategies[j]);
		key->ncolumns++;
	}
	index_close(index, AccessShareLock);
}

static void
compare(StringInfo sql, const CdcKey *key, int i, CdcComparison comparison, int first)
{
	appendStringInfo(sql, "%s %s $%d", key->names[i], key->operators[i][comparison], first + i);
}

void
cdc_key_condition(StringInfo sql, const CdcKey *key, bool from, int first)
{
	CdcComparison strict = from ? CDC_GREATER : CDC_LESS;
	int			last = key->ncolumns - 1;

	/* so that the index serves */
	compare(sql, key, 0, from ? CDC_GREATER_EQUAL : CDC_LESS_EQUAL, first);
	appendStringInfoString(sql, " AND ");
	for (int i = 0; i < last; i++)
	{
		appendStringInfoChar(sql, '(');
		compare(sql, key, i, strict, first);
		appendStringInfoString(sql, " OR (");
		compare(sql, key, i, CDC_EQUAL, first);
		appendStringInfoString(sql, " AND ");
	}
	compare(sql, key, last, from ? CDC_GREATER_EQUAL : CDC_LESS, first);
	for (int i = 0; i < last; i++)
		appendStringInfoString(sql, "))");
}

void
cdc_key_equals(StringInfo sql, const CdcKey *key, int first)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		appendStringInfoString(sql, i > 0 ? " AND " : "");
		compare(sql, key, i, CDC_EQUAL, first);
	}
}

void
cdc_key_order(StringInfo sql, const CdcKey *key)
{
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(sql, "%s%s USING %s", i > 0 ? ", " : "", key->names[i],
						 key->operators[i][CDC_LESS]);
}

void
cdc_key_read(const CdcKey *key, ArrayType *texts, const char *argument, Datum *values)
{
	Datum	   *elems;
	bool	   *nulls;
	int			count;

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &count);
	if (count != key->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has %d values where the key has %d columns", argument, count, key->ncolumns)));
	for (int i = 0; i < count; i++)
	{
		Oid			input;
		Oid			ioparam;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not contain NULL", argument)));
		getTypeInputInfo(getBaseType(key->types[i]), &input, &ioparam);
		values[i] = OidInputFunctionCall(input, TextDatumGetCString(elems[i]), ioparam, -1);
	}
}
