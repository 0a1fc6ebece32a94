/*
 * redactcodec.h
 *	  The codec of columns that are redacted.
 */
#ifndef CDC_REDACTCODEC_H
#define CDC_REDACTCODEC_H

#include "redact/redact.h"
#include "values/codec.h"

/*
 * Makes a codec that writes the redacted text of values of a type into field
 * `field`, and sets *withheld when a value is not what a path expects. The codec
 * keeps its own type. Allocates in the current memory context;
 * needs a transaction.
 */
extern void cdc_redaction_codec(CdcCodec *codec, uint32 field, Oid typid,
								const CdcRedaction *redaction, bool *withheld);

#endif							/* CDC_REDACTCODEC_H */
