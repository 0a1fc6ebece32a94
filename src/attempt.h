/*
 * attempt.h
 *	  Writes the event of a change, or what takes its place when that fails.
 */
#ifndef CDC_ATTEMPT_H
#define CDC_ATTEMPT_H

#include "utils/elog.h"
#include "utils/rel.h"

#include "event.h"

/*
 * A row of more bytes is written with care, since its event may exceed the
 * limits of memory. A value can be much longer as text than it is stored:
 * 1e131071 takes 10 bytes, which are 131072 digits. So 32 kB may become 430 MB,
 * and no smaller row comes near 1 GB.
 */
#define CDC_LARGE_ROW (32 * 1024)

typedef struct CdcAttempt
{
	StringInfo	out;
	CdcChange  *change;
	int			max_len;		/* of an event, in bytes */
	bool		stop_on_error;	/* raise, instead of writing a failure */
} CdcAttempt;

/*
 * Appends the event of a change. With `careful` an ERROR is caught, and the
 * change becomes an event that says so, with its key if that can be written; as
 * does one that is too large. `undecided` is the error with which the row filter
 * failed, or NULL: then the event has none of the row's values. Returns whether it
 * is the event of the change.
 */
extern bool cdc_attempt(CdcAttempt *attempt, ErrorData *undecided, bool careful);

/* An error_context_stack callback that adds the relation, and the column that is
 * being written. */
typedef struct CdcErrorPlace
{
	Relation	rel;
	const CdcChange *change;
} CdcErrorPlace;

extern void cdc_error_place(void *arg);

#endif							/* CDC_ATTEMPT_H */
