/*
 * attempt.h
 *	  Writes the event of a change, or what takes its place when that fails.
 */
#ifndef CDC_ATTEMPT_H
#define CDC_ATTEMPT_H

#include "utils/elog.h"
#include "utils/rel.h"

#include "rows/event.h"

/*
 * A row of more bytes is written with care, since its event may be longer than it may
 * become. A value can be much longer as text than it is stored: 1e131071 takes 10
 * bytes, which are 131072 digits.
 */
#define CDC_LARGE_ROW(max_len) Min(16 * 1024, (max_len) / (16 * 1024))

typedef struct CdcAttempt
{
	StringInfo	out;
	CdcChange  *change;
	int			max_len;		/* of an event, in bytes; while it is made with care, nothing
								 * is put into `out` beyond that */
	bool		stop_on_error;	/* raise, instead of writing a failure */
} CdcAttempt;

/*
 * Appends the event of a change. With `may_raise` an ERROR is caught, and the
 * change becomes an event that says so, with its key if that can be written; as
 * does one that is too large. `filter_error` is the error with which the row filter
 * failed, or NULL: then the event has none of the row's values. Returns whether it
 * is the event of the change.
 */
extern bool cdc_attempt(CdcAttempt *attempt, ErrorData *filter_error, bool may_raise);

/* An error_context_stack callback that adds the relation, and the column that is
 * being written. */
typedef struct CdcErrorPlace
{
	Relation	rel;
	const CdcChange *change;
} CdcErrorPlace;

extern void cdc_error_place(void *arg);

#endif							/* CDC_ATTEMPT_H */
