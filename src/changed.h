/*
 * changed.h
 *	  Which relations the current transaction changes.
 *
 * The catalogs say it, not the commands: whatever changes a row about a relation in
 * pg_class, pg_attribute or pg_index has the relation cache told.
 */
#ifndef CDC_CHANGED_H
#define CDC_CHANGED_H

#include "utils/array.h"

/* Notes them from now on, as long as the session lasts. */
extern void cdc_changed_watch(void);

/*
 * Those since the last call or the start of the transaction, as oid[]: changed, made
 * or dropped. There may be some among them that others have changed. Commands are heard
 * of when they have ended (CommandCounterIncrement).
 */
extern ArrayType *cdc_changed_take(void);

#endif							/* CDC_CHANGED_H */
