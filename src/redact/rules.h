/*
 * rules.h
 *	  The rules of redaction: which columns, and how.
 *
 * A rule protects the column that it was made for, under every name that it has; what
 * stands, or has stood, at a name that a protected column has had since; and the same
 * in what is, or was, a partition of it or inherits from it. It counts if it was there
 * as of the change, or is there now. One set of rules for a session; a table's are found
 * when it is resolved.
 */
#ifndef CDC_RULES_H
#define CDC_RULES_H

#include "access/xlogdefs.h"
#include "utils/rel.h"

#include "redact/redact.h"

typedef struct CdcRules CdcRules;

/* The position of what is read now, not decoded: removed rules do not count. */
#define CDC_NOW ((XLogRecPtr) PG_UINT64_MAX)

/* Lives in `cxt`. */
extern CdcRules *cdc_rules_create(MemoryContext cxt);

/* Reads the rules of now, and the secret. `privileged`: a superuser reads, from whom
 * nothing is withheld. Needs a transaction, and no historic snapshot. */
extern void cdc_rules_read(CdcRules *rules, bool privileged);

/* Where the changes that come next were committed, or at the latest when they were
 * begun. True if that changes which rules count, and tables must be resolved anew. */
extern bool cdc_rules_advance(CdcRules *rules, XLogRecPtr position);

/* Whether a relation is where rules are stored. */
extern bool cdc_rules_stored_in(const CdcRules *rules, Oid relid);

/* A WARNING where rules that a restore brought find no table. Needs a transaction, and no
 * historic snapshot. */
extern void cdc_rules_warn(const CdcRules *rules);

/*
 * How the columns of a relation are redacted: an array by attnum - 1, NULL for
 * what is sent as it is; or NULL where nothing is. Allocated in the current memory
 * context. Never raises for a rule that cannot be applied: what it may be about is
 * withheld.
 */
extern const CdcRedaction *const *cdc_rules_resolve(CdcRules *rules, Relation rel);

#endif							/* CDC_RULES_H */
