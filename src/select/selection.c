/*
 * selection.c
 *	  Puts the rows of partitions into the order of the relation that they are sent under,
 *	  and asks row filters.
 */
#include "postgres.h"

#include "select/selection.h"

static AttrNumber
attnum_of(TupleDesc tupdesc, const char *name)
{
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

void
cdc_selection_map(CdcSelection *selection, TupleDesc from, TupleDesc to, MemoryContext cxt)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	AttrNumber *map = palloc0(sizeof(AttrNumber) * Max(to->natts, 1));
	bool		same = from->natts == to->natts;

	for (int i = 0; i < to->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(to, i);

		if (!att->attisdropped)
			map[i] = attnum_of(from, NameStr(att->attname));
		same &= att->attisdropped || map[i] == i + 1;
	}
	if (!same)
	{
		selection->map = map;
		selection->map_len = to->natts;
		selection->before = cdc_row_alloc(to->natts);
		selection->after = cdc_row_alloc(to->natts);
	}
	MemoryContextSwitchTo(oldcxt);
}

static void
map_row(const CdcSelection *selection, const CdcRow *from, const CdcRow *to)
{
	for (int i = 0; i < selection->map_len; i++)
	{
		int			at = selection->map[i] - 1;

		to->isnull[i] = at < 0 || from->isnull[at];
		to->values[i] = to->isnull[i] ? (Datum) 0 : from->values[at];
	}
}

static void
map_rows(CdcSelection *selection, CdcChange *change)
{
	if (change->before != NULL)
	{
		map_row(selection, change->before, &selection->before);
		change->before = &selection->before;
	}
	if (change->after != NULL)
	{
		map_row(selection, change->after, &selection->after);
		change->after = &selection->after;
	}
}

bool
cdc_selection_pass(CdcSelection *selection, CdcChange *change, ErrorData **error)
{
	if (selection->map != NULL)
		map_rows(selection, change);
	return selection->rows == NULL || cdc_rowfilter_apply(selection->rows, change, error);
}

bool
cdc_selection_can_rewrite(const CdcSelection *selection, Oid relid, Relation transient)
{
	return selection->relid == relid ||
		(selection->persistence == transient->rd_rel->relpersistence &&
		 selection->access_method == transient->rd_rel->relam);
}
