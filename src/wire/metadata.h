/*
 * metadata.h
 *	  The entries that cdc.set_metadata() attaches to a transaction.
 */
#ifndef CDC_METADATA_H
#define CDC_METADATA_H

#include "lib/stringinfo.h"

#define CDC_METADATA_PREFIX "cdc.metadata"

/* Limits; what is beyond them is dropped while decoding, and an ERROR in
 * cdc.set_metadata(). */
#define CDC_METADATA_MAX_ENTRIES	64
#define CDC_METADATA_MAX_BYTES		4096	/* keys and values of all entries */

typedef struct CdcMetadata CdcMetadata;

extern CdcMetadata *cdc_metadata_create(MemoryContext parent);
extern void cdc_metadata_clear(CdcMetadata *metadata);

/*
 * Adds the entry in the content of a logical message with our prefix, or
 * replaces that of the same key. False when it is malformed or beyond the
 * limits: anybody can write such messages, so that is no error.
 */
extern bool cdc_metadata_add(CdcMetadata *metadata, const char *content, Size len);

/* Writes the entries as map field `field`, sorted by key. */
extern void cdc_metadata_write(StringInfo out, uint32 field, const CdcMetadata *metadata);

#endif							/* CDC_METADATA_H */
