/*
 * numerictext.h
 *	  The text of numeric values, as numeric_out() makes it, written in place.
 */
#ifndef CDC_NUMERICTEXT_H
#define CDC_NUMERICTEXT_H

#include "lib/stringinfo.h"

/* Appends it. `value` is not compressed or out of line, and need not be aligned. */
extern void cdc_numeric_text(StringInfo out, const struct varlena *value);

#endif							/* CDC_NUMERICTEXT_H */
