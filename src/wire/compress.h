/*
 * compress.h
 *	  Batches within batches, compressed by LZ4 or Zstandard.
 *
 * There is what the server itself was built with, and whose headers were there when
 * this was.
 */
#ifndef CDC_COMPRESS_H
#define CDC_COMPRESS_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"

#ifdef CDC_LZ4
#define CDC_LZ4_NAME ", lz4"
#else
#define CDC_LZ4_NAME " (lz4 is not in this build)"
#endif
#ifdef CDC_ZSTD
#define CDC_ZSTD_NAME ", zstd"
#else
#define CDC_ZSTD_NAME " (zstd is not in this build)"
#endif

/* What there is, for messages. */
#define CDC_COMPRESSIONS "none" CDC_LZ4_NAME CDC_ZSTD_NAME

/* The codec of this name, or UNSPECIFIED for "none"; false if there is none. */
extern bool cdc_compression_parse(Cdc__V1__Codec *codec, const char *name);

/* Larger batches are not compressed: they are in memory more than once already. */
#define CDC_MAX_COMPRESSED (32 * 1024 * 1024)

typedef struct CdcCompressor CdcCompressor;

/* Lives, with all its memory, as long as `cxt`. */
extern CdcCompressor *cdc_compressor_create(Cdc__V1__Codec codec, MemoryContext cxt);

/*
 * Appends a serialized Batch that has a serialized Batch in it, compressed. Returns
 * false, with nothing appended, where that is not smaller, or where the batch is too
 * small to pay or too large.
 */
extern bool cdc_compress_batch(CdcCompressor *compressor, StringInfo out,
							   const char *batch, int len);

/* The batch that is compressed in another one, in the current memory context; its length
 * is raw_size. NULL where the bytes are damaged. ERROR for a codec that is not there. */
extern char *cdc_decompress_batch(const Cdc__V1__Batch *batch);

#endif							/* CDC_COMPRESS_H */
