/*
 * slotoption.h
 *	  The table cdc.slot_option: options that are stored for slots, so that a
 *	  client need not know them.
 */
#ifndef CDC_SLOTOPTION_H
#define CDC_SLOTOPTION_H

#include "nodes/pg_list.h"

/* The options stored for a slot of this database, as DefElems in the current
 * memory context; NIL also where the extension is not installed. Needs a
 * transaction, and no historic snapshot. */
extern List *cdc_slot_options_load(const char *slot_name);

/* Replaces all that is stored for a slot. Whoever may call it is the caller's to
 * decide: the table's privileges are not asked. */
extern void cdc_slot_options_store(const char *slot_name, List *options);

/* Removes what is stored for slots that this database does not have. */
extern void cdc_slot_options_prune(void);

#endif							/* CDC_SLOTOPTION_H */
