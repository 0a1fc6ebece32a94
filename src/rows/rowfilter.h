/*
 * rowfilter.h
 *	  Row filters of publications: which rows of a table are sent, and what
 *	  becomes of an UPDATE that crosses the filter.
 */
#ifndef CDC_ROWFILTER_H
#define CDC_ROWFILTER_H

#include "access/tupdesc.h"
#include "utils/elog.h"

#include "rows/event.h"

typedef struct CdcRowFilter CdcRowFilter;

/* Allocated in the current memory context, as all that it remembers later. */
extern CdcRowFilter *cdc_rowfilter_create(TupleDesc tupdesc);

/* A condition (pg_publication_rel.prqual) for INSERT, UPDATE or DELETE; one of
 * several suffices. An operation without any has no filter. */
extern void cdc_rowfilter_add(CdcRowFilter *filter, Cdc__V1__Op op, const char *condition);

/*
 * Whether a change is to be sent. An UPDATE may become an INSERT or DELETE,
 * and large values that it did not touch are taken from its old row. When a
 * condition raises, *error is set, in the current memory context, and nothing
 * else is changed.
 */
extern bool cdc_rowfilter_apply(CdcRowFilter *filter, CdcChange *change, ErrorData **error);

#endif							/* CDC_ROWFILTER_H */
