/*
 * frame.c
 *	  Puts batches together.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "wire/frame.h"
#include "wire/wire.h"

void
cdc_buffer_clear(StringInfo buffer)
{
	if (buffer->maxlen > CDC_KEEP_BUFFER)
	{
		char	   *data = buffer->data;
		MemoryContext oldcxt = MemoryContextSwitchTo(GetMemoryChunkContext(data));

		initStringInfo(buffer);
		MemoryContextSwitchTo(oldcxt);
		pfree(data);
	}
	buffer->len = 0;
}

void
cdc_parts_add(CdcParts *parts, const char *data, int len)
{
	Assert(parts->n < lengthof(parts->part));
	parts->part[parts->n].data = data;
	parts->part[parts->n].len = len;
	parts->n++;
}

static int
parts_length(const CdcParts *parts)
{
	int			len = 0;

	for (int i = 0; i < parts->n; i++)
		len += parts->part[i].len;
	return len;
}

static void
put_parts(StringInfo out, const CdcParts *parts)
{
	for (int i = 0; i < parts->n; i++)
		appendBinaryStringInfo(out, parts->part[i].data, parts->part[i].len);
}

void
cdc_frame_init(CdcFrame *frame, Cdc__V1__Codec codec)
{
	frame->compressor = NULL;
	if (codec == CDC__V1__CODEC__CODEC_UNSPECIFIED)
		return;
	frame->compressor = cdc_compressor_create(codec, CurrentMemoryContext);
	initStringInfo(&frame->raw);
	initStringInfo(&frame->packed);
}

int
cdc_frame_pack(CdcFrame *frame, CdcParts *parts)
{
	int			len = parts_length(parts);
	StringInfo	packed = &frame->packed;

	if (frame->compressor == NULL || len > CDC_MAX_COMPRESSED)
		return len;
	cdc_buffer_clear(&frame->raw);
	cdc_buffer_clear(packed);
	put_parts(&frame->raw, parts);
	if (cdc_compress_batch(frame->compressor, packed, frame->raw.data, frame->raw.len))
		cdc_buffer_clear(&frame->raw);
	else
		packed = &frame->raw;
	parts->n = 0;
	cdc_parts_add(parts, packed->data, packed->len);
	return packed->len;
}

void
cdc_frame_write(StringInfo out, const CdcParts *parts, int len)
{
	cdc_put_varint(out, (uint64) len);
	put_parts(out, parts);
}
