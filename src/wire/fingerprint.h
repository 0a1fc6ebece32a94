/*
 * fingerprint.h
 *	  The address of a schema.
 */
#ifndef CDC_FINGERPRINT_H
#define CDC_FINGERPRINT_H

#include <inttypes.h>

/* How it is printed, as a format of printf. */
#define CDC_FINGERPRINT_FORMAT "%016" PRIx64

/* First 8 bytes, big endian, of SHA-256 over `len` bytes. Needs a resource
 * owner, thus a transaction. */
extern uint64 cdc_fingerprint(const void *data, size_t len);

#endif							/* CDC_FINGERPRINT_H */
