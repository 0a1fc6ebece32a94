/*
 * jsonbtext.h
 *	  The text of jsonb values, as jsonb_out() makes it, written in place.
 */
#ifndef CDC_JSONBTEXT_H
#define CDC_JSONBTEXT_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* Appends it, in the server's encoding. */
extern void cdc_jsonb_text(StringInfo out, Jsonb *jsonb);

#endif							/* CDC_JSONBTEXT_H */
