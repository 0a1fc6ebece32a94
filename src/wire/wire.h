/*
 * wire.h
 *	  Protobuf's wire format over StringInfo: bytes only, no meaning.
 *
 * Layer 0: knows nothing of PostgreSQL but StringInfo, and builds with
 * -DFRONTEND. Writers append to a StringInfo and always write minimal
 * varints. "put" writes a value alone, "field" writes a tag and a value, and
 * "field_..._opt" leaves a zero or empty value out, as proto3 does for fields
 * without presence.
 *
 * Nested messages are written in one pass: cdc_msg_begin() reserves one byte
 * for the length, cdc_msg_end() fills it in and moves the body only when the
 * length needs more.
 */
#ifndef CDC_WIRE_H
#define CDC_WIRE_H

#include "lib/stringinfo.h"

typedef enum CdcWireType
{
	CDC_WIRE_VARINT = 0,
	CDC_WIRE_FIXED64 = 1,
	CDC_WIRE_LEN = 2,
	CDC_WIRE_FIXED32 = 5
} CdcWireType;

#define CDC_MAX_VARINT	10		/* bytes of the longest varint */
#define CDC_MAX_TAG		5		/* bytes of the longest tag */

#define CDC_TAG(field, wiretype) (((uint32) (field) << 3) | (uint32) (wiretype))

/* What is said of an event that takes more than it may. */
#define CDC_TOO_LARGE	"row is too large for one event"

/* Protobuf's zigzag: small negative numbers become small unsigned ones. */
static inline uint64
cdc_zigzag(int64 v)
{
	return ((uint64) v << 1) ^ (uint64) (v >> 63);
}

static inline int64
cdc_unzigzag(uint64 v)
{
	return (int64) (v >> 1) ^ -(int64) (v & 1);
}

/* Number of bytes that a varint takes: 1 to 10. */
static inline int
cdc_varint_size(uint64 v)
{
	int			n = 1;

	while (v >= 0x80)
	{
		v >>= 7;
		n++;
	}
	return n;
}

/* Writes a varint at p, which must have room; returns the byte after it. */
static inline char *
cdc_varint(char *p, uint64 v)
{
	while (v >= 0x80)
	{
		*p++ = (char) (v | 0x80);
		v >>= 7;
	}
	*p++ = (char) v;
	return p;
}

/* Little-endian fixed-width values at p; the byte after them. */
static inline char *
cdc_fixed64(char *p, uint64 v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (char) (v >> (8 * i));
	return p + 8;
}

static inline char *
cdc_fixed32(char *p, uint32 v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char) (v >> (8 * i));
	return p + 4;
}

/*
 * Makes a buffer larger. Where its `cursor`, which nobody reads from here, is not 0, it is
 * the length that the buffer may have, and what is longer raises an ERROR.
 */
extern void cdc_grow(StringInfo out, int n);

/*
 * Makes room for n more bytes and returns where they go. The caller writes
 * them and ends with cdc_advance(). The StringInfo's terminating zero byte is
 * not kept: nobody reads these buffers as C strings.
 */
static inline char *
cdc_reserve(StringInfo out, int n)
{
	if (unlikely(out->maxlen - out->len <= n))
		cdc_grow(out, n);
	return out->data + out->len;
}

static inline void
cdc_advance(StringInfo out, const char *end)
{
	out->len = (int) (end - out->data);
}

static inline void
cdc_put_varint(StringInfo out, uint64 v)
{
	cdc_advance(out, cdc_varint(cdc_reserve(out, CDC_MAX_VARINT), v));
}

static inline void
cdc_field_uint(StringInfo out, uint32 field, uint64 v)
{
	char	   *p = cdc_reserve(out, CDC_MAX_TAG + CDC_MAX_VARINT);

	p = cdc_varint(p, CDC_TAG(field, CDC_WIRE_VARINT));
	cdc_advance(out, cdc_varint(p, v));
}

static inline void
cdc_field_fixed64(StringInfo out, uint32 field, uint64 v)
{
	char	   *p = cdc_reserve(out, CDC_MAX_TAG + 8);

	p = cdc_varint(p, CDC_TAG(field, CDC_WIRE_FIXED64));
	cdc_advance(out, cdc_fixed64(p, v));
}

static inline void
cdc_field_bytes(StringInfo out, uint32 field, const void *data, int len)
{
	char	   *p = cdc_reserve(out, CDC_MAX_TAG + CDC_MAX_VARINT + len);

	p = cdc_varint(p, CDC_TAG(field, CDC_WIRE_LEN));
	p = cdc_varint(p, (uint64) len);
	memcpy(p, data, len);
	cdc_advance(out, p + len);
}

#define cdc_field_uint_opt(out, field, v) \
	do { if ((v) != 0) cdc_field_uint((out), (field), (v)); } while (0)
#define cdc_field_fixed64_opt(out, field, v) \
	do { if ((v) != 0) cdc_field_fixed64((out), (field), (v)); } while (0)
#define cdc_field_bytes_opt(out, field, data, len) \
	do { if ((len) > 0) cdc_field_bytes((out), (field), (data), (len)); } while (0)
#define cdc_field_string_opt(out, field, s) \
	do { if ((s) != NULL) cdc_field_bytes_opt((out), (field), (s), (int) strlen(s)); } while (0)

/* Writes the tag of a nested message and one byte for its length; returns
 * where its body starts, for cdc_msg_end(). */
static inline int
cdc_msg_begin(StringInfo out, uint32 field)
{
	char	   *p = cdc_reserve(out, CDC_MAX_TAG + 1);

	p = cdc_varint(p, CDC_TAG(field, CDC_WIRE_LEN));
	cdc_advance(out, p + 1);
	return out->len;
}

extern void cdc_msg_end_long(StringInfo out, int body);

static inline void
cdc_msg_end(StringInfo out, int body)
{
	int			len = out->len - body;

	if (likely(len < 0x80))
		out->data[body - 1] = (char) len;
	else
		cdc_msg_end_long(out, body);
}

/* Writes a packed repeated field of varints; nothing when n is 0. */
extern void cdc_field_packed(StringInfo out, uint32 field, const uint32 *v, int n);

/*
 * Reading. A cursor walks the fields of one message; data stays where it is.
 * Nothing is allocated and nothing is raised: damage ends the walk and sets
 * `error` to a constant text.
 */
typedef struct CdcCursor
{
	const char *p;				/* next byte */
	const char *end;
	const char *error;			/* NULL as long as all is well */
} CdcCursor;

typedef struct CdcField
{
	uint32		number;			/* 1 to 2^29 - 1 */
	CdcWireType type;
	uint64		value;			/* VARINT, FIXED64, FIXED32 */
	const char *data;			/* LEN: the bytes */
	size_t		len;			/* LEN: how many */
} CdcField;

static inline CdcCursor
cdc_cursor(const void *data, size_t len)
{
	CdcCursor	c = {(const char *) data, (const char *) data + len, NULL};

	return c;
}

/* Reads a varint of at most 10 bytes; false at the end or on damage. */
extern bool cdc_read_varint(CdcCursor *c, uint64 *v);

/* Reads a value of type f->type, without a tag, as in packed fields; false on
 * damage. */
extern bool cdc_read_value(CdcCursor *c, CdcField *f);

/* Reads the next field; false at the end of the message or on damage (then
 * c->error is set). Groups and field number 0 are damage. */
extern bool cdc_read_field(CdcCursor *c, CdcField *f);

#endif							/* CDC_WIRE_H */
