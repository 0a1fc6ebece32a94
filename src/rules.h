/*
 * rules.h
 *	  The rules of redaction: which columns, and how.
 *
 * A rule counts if it is there now, or was as of the change that is decoded. One
 * set of rules for a session; a table's are found when it is resolved.
 */
#ifndef CDC_RULES_H
#define CDC_RULES_H

#include "utils/rel.h"

#include "redact.h"

typedef struct CdcRules CdcRules;

/* Lives in `cxt`. */
extern CdcRules *cdc_rules_create(MemoryContext cxt);

/* Reads the rules of now, and the secret; those as of the change are read when they
 * are asked for. `privileged`: a superuser reads, from whom nothing is withheld.
 * Needs a transaction, and no historic snapshot. */
extern void cdc_rules_read(CdcRules *rules, bool privileged);

/* The rules as of the change have to be read again. */
extern void cdc_rules_outdated(CdcRules *rules);

/* Whether a relation is where rules are stored, or were. */
extern bool cdc_rules_stored_in(const CdcRules *rules, Oid relid);

/*
 * How the columns of a relation are redacted: an array by attnum - 1, NULL for
 * what is sent as it is; or NULL where nothing is. `ancestors` are those of a
 * partition. Allocated in the current memory context. Never raises for a rule that
 * can not be applied: what it may be about is withheld.
 */
extern const CdcRedaction *const *cdc_rules_resolve(CdcRules *rules, Relation rel,
													const List *ancestors);

#endif							/* CDC_RULES_H */
