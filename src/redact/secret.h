/*
 * secret.h
 *	  Secrets for hashes: large objects of the extension's owner, which no output
 *	  plugin can decode.
 */
#ifndef CDC_SECRET_H
#define CDC_SECRET_H

#include "redact/redact.h"

/* The newest secret; number 0 where there is none. Needs a transaction, and no
 * historic snapshot. */
extern void cdc_secret_read(CdcSecret *secret);

/* Makes a new one, and returns its number. */
extern int	cdc_secret_create(void);

#endif							/* CDC_SECRET_H */
