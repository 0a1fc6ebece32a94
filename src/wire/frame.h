/*
 * frame.h
 *	  What stream and snapshot do alike to their batches: buffers whose memory is given back,
 *	  and a batch with its length in front, compressed where that is asked for.
 */
#ifndef CDC_FRAME_H
#define CDC_FRAME_H

#include "lib/stringinfo.h"

#include "wire/compress.h"

/* A buffer that a large event has blown up beyond this is given back to the system. */
#define CDC_KEEP_BUFFER (1024 * 1024)

/* Empties a buffer, whose memory stays in its context. */
extern void cdc_buffer_clear(StringInfo buffer);

/* The fields of a batch, as serialized parts in the order in which they are written. */
typedef struct CdcParts
{
	int			n;
	struct
	{
		const char *data;
		int			len;
	}			part[6];
} CdcParts;

extern void cdc_parts_add(CdcParts *parts, const char *data, int len);

/* What batches of a stream or a snapshot are made in. */
typedef struct CdcFrame
{
	CdcCompressor *compressor;	/* NULL: batches are sent as they are */
	StringInfoData raw;			/* a batch to be compressed */
	StringInfoData packed;		/* and one that has it */
} CdcFrame;

/* In the current memory context, where the buffers stay. */
extern void cdc_frame_init(CdcFrame *frame, Cdc__V1__Codec codec);

/*
 * Compresses a batch into the frame's buffer if that is asked for, and worth it: then the parts
 * are replaced by one. Returns the length of the batch.
 */
extern int	cdc_frame_pack(CdcFrame *frame, CdcParts *parts);

/* Appends the length, then the parts. */
extern void cdc_frame_write(StringInfo out, const CdcParts *parts, int len);

#endif							/* CDC_FRAME_H */
