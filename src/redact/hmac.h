/*
 * hmac.h
 *	  HMAC-SHA-256 under a key that is prepared once.
 *
 * Where the server is built with OpenSSL, whose SHA-256 cannot fail and whose state
 * can be copied, a hash is two blocks of it. Elsewhere it is the server's own HMAC.
 */
#ifndef CDC_HMAC_H
#define CDC_HMAC_H

#define CDC_HMAC_BYTES 32

/* Can cdc_hmac() raise an ERROR? */
#ifdef CDC_OPENSSL
#define CDC_HMAC_RAISES false
#else
#define CDC_HMAC_RAISES true
#endif

typedef struct CdcHmacKey
{
	int			len;
	uint8		bytes[64];
	uint64		inner[16];		/* states behind the key's blocks, with OpenSSL */
	uint64		outer[16];
} CdcHmacKey;

/* A key of up to 64 bytes. */
extern void cdc_hmac_prepare(CdcHmacKey *key, const uint8 *bytes, int len);

extern void cdc_hmac(const CdcHmacKey *key, const void *data, size_t len,
					 uint8 digest[CDC_HMAC_BYTES]);

#endif							/* CDC_HMAC_H */
