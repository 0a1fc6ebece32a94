/*
 * row.h
 *	  Rows on the wire: messages of the table's own type.
 */
#ifndef CDC_ROW_H
#define CDC_ROW_H

#include "access/htup.h"

#include "compat.h"
#include "rows/table.h"

/* A deformed tuple. The arrays are indexed by attnum - 1 and belong to the
 * caller; values point into the tuple. */
typedef struct CdcRow
{
	Datum	   *values;
	bool	   *isnull;
} CdcRow;

/* Space for a row of so many columns, in the current memory context. */
extern CdcRow cdc_row_alloc(int natts);

/* A value that was TOASTed and not touched: the WAL has only a pointer to it. */
static inline bool
cdc_value_not_logged(const CdcColumn *column, Datum value)
{
	return column->attlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

/*
 * Writes columns of a row as field `field` of the message that is being
 * written; nothing when no column has a value. NULLs and values that are not
 * logged are left out, and with `only` (indexed like the row) also columns
 * whose entry is false. *failing is the attnum that is being written, for
 * error reports. Returns whether a value was left out because it is not logged.
 */
extern bool cdc_row_write(StringInfo out, uint32 field,
						  const CdcColumn *columns, int ncolumns,
						  const CdcRow *row, const bool *only, AttrNumber *failing);

/* Bytes of a row with its values decompressed and in line; those that are not
 * logged do not count. 0 for no tuple; without a row (NULL) only what it takes
 * as it is. */
extern Size cdc_row_size(HeapTuple tuple, const CdcTable *table, const CdcRow *row);

#endif							/* CDC_ROW_H */
