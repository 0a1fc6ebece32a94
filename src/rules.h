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

/*
 * Reads the rules of now, and the secret, if they may have changed. Needs a
 * transaction. While changes are being decoded only where no relation is open,
 * since what is cached of catalogs is thrown away.
 */
extern void cdc_rules_refresh(CdcRules *rules);

/* A relation has changed, or with InvalidOid any may have: true if the rules may
 * have, and tables must be resolved anew. */
extern bool cdc_rules_invalidated(CdcRules *rules, Oid relid);

/*
 * How the columns of a relation are redacted: an array by attnum - 1, NULL for
 * what is sent as it is; or NULL where nothing is. `ancestors` are those of a
 * partition. Allocated in the current memory context. Never raises for a rule that
 * can not be applied: what it may be about is withheld.
 */
extern const CdcRedaction *const *cdc_rules_resolve(CdcRules *rules, Relation rel,
													const List *ancestors);

#endif							/* CDC_RULES_H */
