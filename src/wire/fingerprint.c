/*
 * fingerprint.c
 *	  The address of a schema: the head of a SHA-256.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"

#include "compat.h"
#include "wire/fingerprint.h"

uint64
cdc_fingerprint(const void *data, size_t len)
{
	bytea	   *input = palloc(VARHDRSZ + len);
	bytea	   *hash;
	uint64		result = 0;

	SET_VARSIZE(input, VARHDRSZ + len);
	if (len > 0)				/* data may be NULL then */
		memcpy(VARDATA(input), data, len);
	hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(input)));
	for (int i = 0; i < 8; i++)
		result = result << 8 | (uint8) VARDATA_ANY(hash)[i];
	pfree(hash);
	pfree(input);
	return result;
}
