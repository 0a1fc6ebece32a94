/*
 * schemas.h
 *	  The schemas that a reader of batches has seen.
 */
#ifndef CDC_SCHEMAS_H
#define CDC_SCHEMAS_H

#include "cdc/v1/cdc.pb-c.h"

/* By fingerprint. Lives in the memory
 * context that is current when it is made. */
typedef struct CdcSchemas CdcSchemas;

extern CdcSchemas *cdc_schemas_create(void);

/* Checks the hash and keeps the schema; ERROR on damage. */
extern void cdc_schemas_add(CdcSchemas *schemas, const Cdc__V1__SchemaVersion *version);

/* NULL when that fingerprint has not been seen. */
extern const Cdc__V1__Table *cdc_schemas_find(CdcSchemas *schemas, uint64 fingerprint);

#endif							/* CDC_SCHEMAS_H */
