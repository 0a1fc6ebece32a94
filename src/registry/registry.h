/*
 * registry.h
 *	  Versions of registered relations.
 */
#ifndef CDC_REGISTRY_H
#define CDC_REGISTRY_H

#include "utils/rel.h"

typedef struct CdcRegistry CdcRegistry;

/* Lives in `cxt`. Who decodes can read the registry only between transactions, and
 * keeps all of it; others look up what they are asked. */
extern CdcRegistry *cdc_registry_create(bool decoding, MemoryContext cxt);

/*
 * Reads the registry as it is now, if it may have changed: a version counts from the moment its row is there,
 * whether its transaction has ended or not. Needs a transaction, and no historic
 * snapshot.
 */
extern void cdc_registry_read(CdcRegistry *registry);

/* A relation has changed, or with InvalidOid anything may have: whether it is the table
 * that versions are kept in, which is then read again. */
extern bool cdc_registry_invalidated(CdcRegistry *registry, Oid relid);

/*
 * The major version of a relation's whole schema, which is found by the schema's
 * names and hash; 0 where the registry has none. Never raises for what is stored.
 * Needs a transaction.
 */
extern uint32 cdc_registry_version(CdcRegistry *registry, Relation rel);

/*
 * The whole schema of a relation: as a serialized Table, without what publications,
 * rules and privileges leave out, and without values of older rows, which a rewrite
 * removes. *defaults are the attnums that have such a value. In the current memory
 * context. Needs a transaction; call cdc_fix_settings() before.
 */
extern bytea *cdc_registry_describe(Relation rel, Bitmapset **defaults);

#endif							/* CDC_REGISTRY_H */
