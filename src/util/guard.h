/*
 * guard.h
 *	  Runs code that may raise an ERROR, and survives it: a value that cannot
 *	  be written must not stop the slot.
 */
#ifndef CDC_GUARD_H
#define CDC_GUARD_H

#include "utils/elog.h"

/*
 * Calls fn(arg) inside a subtransaction. Returns NULL when all went well,
 * otherwise the error, in the current memory context. What is not the value's fault
 * is raised all the same, and comes again: cancellation, shutdown, concurrent aborts,
 * lack of memory or disk space, files that cannot be read, locks. Needs a
 * transaction; costs about a microsecond.
 */
extern ErrorData *cdc_guarded(void (*fn) (void *arg), void *arg);

#endif							/* CDC_GUARD_H */
