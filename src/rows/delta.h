/*
 * delta.h
 *	  What an UPDATE changed.
 */
#ifndef CDC_DELTA_H
#define CDC_DELTA_H

#include "rows/row.h"

/*
 * Sets changed[attnum - 1] for each of the columns and returns whether any
 * changed. Stored values are compared, byte by byte after detoasting; a new
 * value that is not logged has not changed. May allocate in the current memory
 * context.
 */
extern bool cdc_delta(const CdcColumn *columns, int ncolumns,
					  const CdcRow *before, const CdcRow *after, bool *changed);

#endif							/* CDC_DELTA_H */
