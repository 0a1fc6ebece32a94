/*
 * hmac.c
 *	  HMAC-SHA-256, by OpenSSL's SHA-256 or the server's HMAC.
 */
#include "postgres.h"

#ifdef CDC_OPENSSL
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#else
#include "common/hmac.h"
#include "common/sha2.h"
#endif

#include "redact/hmac.h"

#ifdef CDC_OPENSSL

/* The state behind a block that is the key, each byte with some bits turned. */
static void
prepare_state(uint64 *state, const CdcHmacKey *key, uint8 bits)
{
	SHA256_CTX	sha;
	uint8		block[64];

	StaticAssertStmt(sizeof(sha) <= sizeof(key->inner), "state of SHA-256 is too large");
	for (int i = 0; i < 64; i++)
		block[i] = key->bytes[i] ^ bits;
	SHA256_Init(&sha);
	SHA256_Update(&sha, block, sizeof(block));
	memcpy(state, &sha, sizeof(sha));
}

void
cdc_hmac_prepare(CdcHmacKey *key, const uint8 *bytes, int len)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->bytes, bytes, len);
	key->len = len;
	prepare_state(key->inner, key, 0x36);
	prepare_state(key->outer, key, 0x5c);
}

void
cdc_hmac(const CdcHmacKey *key, const void *data, size_t len, uint8 digest[CDC_HMAC_BYTES])
{
	SHA256_CTX	sha;

	memcpy(&sha, key->inner, sizeof(sha));
	SHA256_Update(&sha, data, len);
	SHA256_Final(digest, &sha);
	memcpy(&sha, key->outer, sizeof(sha));
	SHA256_Update(&sha, digest, CDC_HMAC_BYTES);
	SHA256_Final(digest, &sha);
}

#else

void
cdc_hmac_prepare(CdcHmacKey *key, const uint8 *bytes, int len)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->bytes, bytes, len);
	key->len = len;
}

void
cdc_hmac(const CdcHmacKey *key, const void *data, size_t len, uint8 digest[CDC_HMAC_BYTES])
{
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	bool		failed = hmac == NULL ||
		pg_hmac_init(hmac, key->bytes, key->len) < 0 ||
		pg_hmac_update(hmac, data, len) < 0 ||
		pg_hmac_final(hmac, digest, CDC_HMAC_BYTES) < 0;

	if (hmac != NULL)
		pg_hmac_free(hmac);
	if (failed)
		elog(ERROR, "could not compute HMAC");
}

#endif
