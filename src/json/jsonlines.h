/*
 * jsonlines.h
 *	  The JSON form of batches, one line per event and one per outcome, made
 *	  from the serialized bytes: what docs/protocol.md specifies.
 */
#ifndef CDC_JSONLINES_H
#define CDC_JSONLINES_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"
#include "json/schemas.h"

/* Receives one line, in the database's encoding, without a newline. The text
 * is gone after the call. */
typedef void (*CdcJsonEmit) (void *arg, const char *line, int len);

/*
 * Renders one serialized Batch (without its length prefix). Its schemas are
 * added to `schemas` first. Damage or an unknown fingerprint is an ERROR
 * (data_corrupted) that names it. Allocates in the current memory context and
 * frees nothing. Needs a transaction if the batch has schemas.
 */
extern void cdc_json_batch(CdcSchemas *schemas, const void *batch, size_t len,
						   CdcJsonEmit emit, void *arg);

/* A Table as a JSON object, in UTF-8. */
extern void cdc_json_table(StringInfo out, const Cdc__V1__Table *table);

#endif							/* CDC_JSONLINES_H */
