/*
 * missing.h
 *	  What options name that is not there: told at the start of a stream, and in cdc.slots.
 */
#ifndef CDC_MISSING_H
#define CDC_MISSING_H

#include "options/options.h"

/* The tables of which nothing is sent, as they are not there now or never are, and why, in
 * words; an empty string for none. Needs a transaction, and no historic snapshot. */
extern char *cdc_missing_in_tables(List *tables);

/* A WARNING that names them. */
extern void cdc_missing_warn_tables(const CdcOptions *options);

/* Of what cdc_requested_read() has not found. */
extern void cdc_missing_warn_versions(const char *versions);

#endif							/* CDC_MISSING_H */
