/*
 * protonotes.c
 *	  Gathers from the catalogs what .proto files say beside the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "commands/comment.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "schema/descriptor.h"
#include "schema/protonotes.h"
#include "util/utf8.h"
#include "values/typcodec.h"

/* Labels of an enum type that are shown. */
#define MAX_LABELS 50

/* The labels of an enum type, or of one that a domain or array is of, in their order; NULL
 * for other types. */
static const char *
enum_labels(Oid typid)
{
	Oid			base = getBaseType(typid);
	Oid			element = cdc_array_element(base);
	Relation	pg_enum;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	StringInfoData out;
	int			n = 0;

	if (OidIsValid(element))
		return enum_labels(element);
	if (get_typtype(base) != TYPTYPE_ENUM)
		return NULL;
	initStringInfo(&out);
	pg_enum = table_open(EnumRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(base));
	scan = systable_beginscan(pg_enum, EnumTypIdSortOrderIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_enum form = (Form_pg_enum) GETSTRUCT(tup);

		if (n++ < MAX_LABELS)
			appendStringInfo(&out, "%s%s", n > 1 ? ", " : "",
							 quote_literal_cstr(NameStr(form->enumlabel)));
	}
	systable_endscan(scan);
	table_close(pg_enum, AccessShareLock);
	if (n > MAX_LABELS)
		appendStringInfo(&out, " and %d more", n - MAX_LABELS);
	return n == 0 ? NULL : cdc_utf8(out.data);
}

/* Whether it is a column of the table, by its number. */
static bool
is_there(const Cdc__V1__Table *table, uint32 number)
{
	return cdc_column_find(table, number) != NULL;
}

CdcProtoNotes *
cdc_proto_notes(Relation rel, const Cdc__V1__Table *table, int natts, const List *versions)
{
	CdcProtoNotes *notes = palloc0(sizeof(CdcProtoNotes));
	TupleDesc	tupdesc = RelationGetDescr(rel);
	Oid			relid = RelationGetRelid(rel);
	char	   *comment = GetComment(relid, RelationRelationId, 0);
	ListCell   *lc;

	notes->natts = natts;
	notes->comment = comment == NULL ? NULL : cdc_utf8(comment);
	notes->comments = palloc0(sizeof(char *) * Max(notes->natts, 1));
	notes->labels = palloc0(sizeof(char *) * Max(notes->natts, 1));
	for (int i = 0; i < Min(natts, tupdesc->natts); i++)
	{
		const Cdc__V1__Column *column = cdc_column_find(table, i + 1);

		if (TupleDescAttr(tupdesc, i)->attisdropped || column == NULL)
			continue;
		comment = GetComment(relid, RelationRelationId, i + 1);
		notes->comments[i] = comment == NULL ? NULL : cdc_utf8(comment);
		/* of a column whose values are held back they are values, too */
		if (column->redaction == CDC__V1__REDACTION__REDACTION_UNSPECIFIED)
			notes->labels[i] = enum_labels(TupleDescAttr(tupdesc, i)->atttypid);
	}
	foreach(lc, versions)
	{
		const Cdc__V1__Table *version = lfirst(lc);

		for (size_t i = 0; i < version->n_columns; i++)
			if (version->columns[i]->number <= natts && !is_there(table, version->columns[i]->number))
				notes->former_names = lappend(notes->former_names, version->columns[i]->name);
	}
	return notes;
}
