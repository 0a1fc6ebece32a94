/*
 * slotoption.h
 *	  The table cdc.slot_option: options that are stored for slots, so that a
 *	  client need not know them.
 */
#ifndef CDC_SLOTOPTION_H
#define CDC_SLOTOPTION_H

#include "nodes/pg_list.h"

/* The options stored for a slot of this database, as DefElems in the current
 * memory context; NIL also where the extension is not installed. *reader is the role
 * that the slot is bound to, or InvalidOid. Needs a transaction, and no historic
 * snapshot. */
extern List *cdc_slot_options_load(const char *slot_name, Oid *reader);

/* The names of the slots, of those that there are, which are bound to a role. */
extern List *cdc_slots_read_by(Oid role);

/* ERROR 42501 unless the current user is the role that a slot is bound to. */
extern void cdc_slot_require_reader(const char *slot_name, Oid reader);

/* Keeps others from storing options for a slot until the transaction ends; those of other
 * slots are not. To be called before what is stored is read and changed. */
extern void cdc_slot_options_lock(const char *slot_name);

/* Replaces all that is stored for a slot, with the role that it is bound to
 * (InvalidOid: none). Whoever may call it is the caller's to
 * decide: the table's privileges are not asked. */
extern void cdc_slot_options_store(const char *slot_name, List *options, Oid reader);

/* The same for a slot that is none of this server, but of a standby of it: until
 * cdc_slot_options_forget(). */
extern void cdc_slot_options_store_for_standby(const char *slot_name, List *options, Oid reader);
extern bool cdc_slot_options_for_standby(const char *slot_name);

/* ERROR 42710 if something is stored for a standby's slot of this name: a slot of this
 * server would take it over, and take it along when it goes. */
extern void cdc_slot_options_refuse_taken(const char *slot_name);

/* Removes what is stored under a name; whether there was something. */
extern bool cdc_slot_options_forget(const char *slot_name);

/* The current transaction makes a slot of this name, and writes what is to be stored for
 * it when it is made; and whether it does. */
extern void cdc_slot_options_expect(const char *slot_name);
extern bool cdc_slot_options_expected(const char *slot_name);

/* Removes what is stored for slots that this database does not have, but for those of
 * standbys. */
extern void cdc_slot_options_prune(void);

#endif							/* CDC_SLOTOPTION_H */
