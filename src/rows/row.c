/*
 * row.c
 *	  Writes rows.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"

#include "rows/row.h"
#include "wire/wire.h"

CdcRow
cdc_row_alloc(int natts)
{
	return (CdcRow) {palloc0(sizeof(Datum) * Max(natts, 1)), palloc0(sizeof(bool) * Max(natts, 1))};
}

bool
cdc_row_write(StringInfo out, uint32 field, const CdcColumn *columns, int ncolumns,
			  const CdcRow *row, const bool *only, AttrNumber *failing)
{
	int			start = out->len;
	int			body;
	bool		not_logged = false;

	if (ncolumns == 0)
		return false;
	body = cdc_msg_begin(out, field);
	for (int i = 0; i < ncolumns; i++)
	{
		const CdcColumn *column = &columns[i];
		int			at = column->attnum - 1;

		if (row->isnull[at] || (only != NULL && !only[at]))
			continue;
		if (unlikely(cdc_value_not_logged(column, row->values[at])))
		{
			not_logged = true;
			continue;
		}
		*failing = column->attnum;
		column->codec.encode(out, &column->codec, row->values[at]);
	}
	*failing = 0;
	if (out->len == body)
		out->len = start;
	else
		cdc_msg_end(out, body);
	return not_logged;
}

Size
cdc_row_size(HeapTuple tuple, const CdcTable *table, const CdcRow *row)
{
	Size		size;

	if (tuple == NULL || row == NULL)
		return 0;
	size = tuple->t_len;
	if (row == NULL)
		return size;
	for (int i = 0; i < table->nvarlena; i++)
	{
		int			at = table->varlena[i] - 1;
		Pointer		value = DatumGetPointer(row->values[at]);

		if (!row->isnull[at] &&
			(VARATT_IS_COMPRESSED(value) ||
			 (VARATT_IS_EXTERNAL(value) && !VARATT_IS_EXTERNAL_ONDISK(value))))
			size += toast_raw_datum_size(row->values[at]);
	}
	return size;
}
