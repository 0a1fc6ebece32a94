/*
 * registry.h
 *	  Versions of registered relations, as of the change that is decoded.
 */
#ifndef CDC_REGISTRY_H
#define CDC_REGISTRY_H

#include "utils/rel.h"

typedef struct CdcRegistry CdcRegistry;

/* Lives in `cxt`. */
extern CdcRegistry *cdc_registry_create(MemoryContext cxt);

/* Finds the table that versions are kept in. Needs a transaction, and no historic
 * snapshot. */
extern void cdc_registry_read(CdcRegistry *registry);

/* Whether a relation is that table. */
extern bool cdc_registry_stored_in(const CdcRegistry *registry, Oid relid);

/* The major version of a relation's whole schema; 0 where it has none, and where it
 * can not be told. Never raises for what is stored. Needs a transaction. */
extern uint32 cdc_registry_version(CdcRegistry *registry, Relation rel);

/*
 * The whole schema of a relation: as a serialized Table, without what publications,
 * rules and privileges leave out, and without values of older rows, which a rewrite
 * removes. *defaults are the attnums that have such a value. In the current memory
 * context. Needs a transaction; call cdc_fix_settings() before.
 */
extern bytea *cdc_registry_describe(Relation rel, Bitmapset **defaults);

#endif							/* CDC_REGISTRY_H */
