/*
 * delta.c
 *	  Compares the images of a row before and after an UPDATE.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "rows/delta.h"

static bool
varlena_same(Datum before, Datum after)
{
	struct varlena *a = cdc_packed(before);
	struct varlena *b = cdc_packed(after);

	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static bool
value_same(const CdcColumn *column, Datum before, Datum after)
{
	if (column->attbyval)
		return before == after;
	switch (column->attlen)
	{
		case -1:
			return cdc_value_not_logged(column, after) || varlena_same(before, after);
		case -2:
			return strcmp(DatumGetCString(before), DatumGetCString(after)) == 0;
		default:
			return memcmp(DatumGetPointer(before), DatumGetPointer(after),
						  column->attlen) == 0;
	}
}

/* What looks the same has not changed. */
static bool
redacted_same(const CdcColumn *column, Datum before, Datum after)
{
	StringInfoData a;
	StringInfoData b;

	initStringInfo(&a);
	initStringInfo(&b);
	column->codec.encode(&a, &column->codec, before);
	column->codec.encode(&b, &column->codec, after);
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool
cdc_delta(const CdcColumn *columns, int ncolumns,
		  const CdcRow *before, const CdcRow *after, bool *changed)
{
	bool		any = false;

	for (int i = 0; i < ncolumns; i++)
	{
		int			at = columns[i].attnum - 1;

		if (before->isnull[at] || after->isnull[at])
			changed[at] = before->isnull[at] != after->isnull[at];
		else
			changed[at] = !value_same(&columns[i], before->values[at], after->values[at]) &&
				(columns[i].codec.redaction == NULL ||
				 !redacted_same(&columns[i], before->values[at], after->values[at]));
		any |= changed[at];
	}
	return any;
}
