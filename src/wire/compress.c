/*
 * compress.c
 *	  Compresses batches: one row of a table for each codec.
 */
#include "postgres.h"

#ifdef CDC_LZ4
#include <lz4.h>
#endif
#ifdef CDC_ZSTD
#include <zstd.h>
#endif

#include "utils/memutils.h"

#include "wire/compress.h"
#include "wire/fields.h"
#include "wire/wire.h"

/* Zstandard's level: its first three differ little in size on rows, and much in time. */
#define ZSTD_LEVEL 1

typedef struct CodecDef
{
	const char *name;
	Cdc__V1__Codec codec;
	int			min_len;		/* what is smaller does not pay */
	/* The codec's state, in the current memory context. */
	void	   *(*create) (void);
	/* Number of bytes; 0 where `room` does not suffice. */
	size_t		(*compress) (void *state, char *to, size_t room, const char *from, size_t len);
	/* Can that many bytes come out of these? Looked at before there is memory for them. */
	bool		(*plausible) (size_t rawlen, const char *from, size_t len);
	/* False unless the bytes give exactly `rawlen`. */
	bool		(*decompress) (char *to, size_t rawlen, const char *from, size_t len);
} CodecDef;

struct CdcCompressor
{
	const CodecDef *def;
	void	   *state;
};

#ifdef CDC_LZ4

static void *
lz4_create(void)
{
	return palloc(LZ4_sizeofState());
}

static size_t
lz4_compress(void *state, char *to, size_t room, const char *from, size_t len)
{
	int			n = LZ4_compress_fast_extState(state, from, to, (int) len, (int) room, 1);

	return n > 0 ? n : 0;
}

static bool
lz4_plausible(size_t rawlen, const char *from, size_t len)
{
	return rawlen / 255 <= len;
}

static bool
lz4_decompress(char *to, size_t rawlen, const char *from, size_t len)
{
	return LZ4_decompress_safe(from, to, (int) len, (int) rawlen) == (int) rawlen;
}

#endif

#ifdef CDC_ZSTD

static void
zstd_free(void *state)
{
	ZSTD_freeCCtx(state);
}

static void *
zstd_create(void)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	ZSTD_CCtx  *state = ZSTD_createCCtx();

	if (state == NULL)
		return NULL;
	callback->func = zstd_free;
	callback->arg = state;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return state;
}

static size_t
zstd_compress(void *state, char *to, size_t room, const char *from, size_t len)
{
	size_t		n = state == NULL ? 0 : ZSTD_compressCCtx(state, to, room, from, len, ZSTD_LEVEL);

	return ZSTD_isError(n) ? 0 : n;
}

static bool
zstd_plausible(size_t rawlen, const char *from, size_t len)
{
	return ZSTD_getFrameContentSize(from, len) == rawlen;
}

static bool
zstd_decompress(char *to, size_t rawlen, const char *from, size_t len)
{
	return ZSTD_decompress(to, rawlen, from, len) == rawlen;
}

#endif

/* The first one stands for no compression. */
static const CodecDef codecs[] =
{
	{"none", CDC__V1__CODEC__CODEC_UNSPECIFIED},
#ifdef CDC_LZ4
	{"lz4", CDC__V1__CODEC__CODEC_LZ4, 256, lz4_create, lz4_compress, lz4_plausible, lz4_decompress},
#endif
#ifdef CDC_ZSTD
	{"zstd", CDC__V1__CODEC__CODEC_ZSTD, 1024, zstd_create, zstd_compress, zstd_plausible, zstd_decompress},
#endif
};

bool
cdc_compression_parse(Cdc__V1__Codec *codec, const char *name)
{
	for (int i = 0; i < lengthof(codecs); i++)
	{
		if (strcmp(codecs[i].name, name) == 0)
		{
			*codec = codecs[i].codec;
			return true;
		}
	}
	return false;
}

static const CodecDef *
find_codec(Cdc__V1__Codec codec)
{
	for (int i = 1; i < lengthof(codecs); i++)
		if (codecs[i].codec == codec)
			return &codecs[i];
	return NULL;
}

CdcCompressor *
cdc_compressor_create(Cdc__V1__Codec codec, MemoryContext cxt)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	CdcCompressor *compressor = palloc0(sizeof(CdcCompressor));

	compressor->def = find_codec(codec);
	compressor->state = compressor->def->create();
	MemoryContextSwitchTo(oldcxt);
	return compressor;
}

bool
cdc_compress_batch(CdcCompressor *compressor, StringInfo out, const char *batch, int len)
{
	int			start = out->len;
	int			room = len - CDC_MAX_TAG - 2 * CDC_MAX_VARINT;
	int			body;
	size_t		n;

	if (len < compressor->def->min_len || len > CDC_MAX_COMPRESSED)
		return false;
	cdc_field_uint(out, CDC_BATCH_CODEC, compressor->def->codec);
	cdc_field_uint(out, CDC_BATCH_RAW_SIZE, (uint64) len);
	body = cdc_msg_begin(out, CDC_BATCH_COMPRESSED);
	n = compressor->def->compress(compressor->state, cdc_reserve(out, room), room, batch, len);
	if (n == 0)
	{
		out->len = start;
		return false;
	}
	out->len += (int) n;
	cdc_msg_end(out, body);
	return true;
}

char *
cdc_decompress_batch(const Cdc__V1__Batch *batch)
{
	const CodecDef *def = find_codec(batch->codec);
	const char *data = (const char *) batch->compressed.data;
	size_t		len = batch->compressed.len;
	char	   *raw;

	if (batch->codec == CDC__V1__CODEC__CODEC_UNSPECIFIED || batch->raw_size == 0 ||
		!AllocSizeIsValid(batch->raw_size))
		return NULL;
	if (def == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("batch is compressed by codec %d, which this build of cdc does not have",
						(int) batch->codec),
				 errdetail("It has: %s.", CDC_COMPRESSIONS)));
	if (!def->plausible(batch->raw_size, data, len))
		return NULL;
	raw = palloc(batch->raw_size);
	return def->decompress(raw, batch->raw_size, data, len) ? raw : NULL;
}
