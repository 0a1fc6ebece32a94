/*
 * wire.c
 *	  The parts of Protobuf's wire format that are not inline: long lengths,
 *	  packed fields, reading.
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "wire/wire.h"

void
cdc_grow(StringInfo out, int n)
{
#ifndef FRONTEND
	if (out->cursor > 0 && n > out->cursor - out->len)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg(CDC_TOO_LARGE)));
#endif
	enlargeStringInfo(out, n);
}

/* The length of the message whose body starts at `body` takes more than the
 * one byte that cdc_msg_begin() reserved: move the body. */
void
cdc_msg_end_long(StringInfo out, int body)
{
	int			len = out->len - body;
	int			more = cdc_varint_size((uint64) len) - 1;

	(void) cdc_reserve(out, more);
	memmove(out->data + body + more, out->data + body, len);
	(void) cdc_varint(out->data + body - 1, (uint64) len);
	out->len += more;
}

void
cdc_field_packed(StringInfo out, uint32 field, const uint32 *v, int n)
{
	int			body;

	if (n == 0)
		return;
	body = cdc_msg_begin(out, field);
	for (int i = 0; i < n; i++)
		cdc_put_varint(out, v[i]);
	cdc_msg_end(out, body);
}

bool
cdc_read_varint(CdcCursor *c, uint64 *v)
{
	uint64		result = 0;

	for (int shift = 0; shift < 70; shift += 7)
	{
		uint8		b;

		if (c->p == c->end)
		{
			c->error = "truncated varint";
			return false;
		}
		b = (uint8) *c->p++;
		if (shift == 63 && b > 1)
			break;
		result |= (uint64) (b & 0x7F) << shift;
		if (b < 0x80)
		{
			*v = result;
			return true;
		}
	}
	c->error = "varint of more than 64 bits";
	return false;
}

/* Reads n little-endian bytes. */
static bool
read_fixed(CdcCursor *c, int n, uint64 *v)
{
	if (c->end - c->p < n)
	{
		c->error = "truncated fixed-width value";
		return false;
	}
	*v = 0;
	for (int i = 0; i < n; i++)
		*v |= (uint64) (uint8) c->p[i] << (8 * i);
	c->p += n;
	return true;
}

bool
cdc_read_value(CdcCursor *c, CdcField *f)
{
	uint64		len;

	f->value = 0;
	f->data = NULL;
	f->len = 0;
	switch (f->type)
	{
		case CDC_WIRE_VARINT:
			return cdc_read_varint(c, &f->value);
		case CDC_WIRE_FIXED64:
			return read_fixed(c, 8, &f->value);
		case CDC_WIRE_FIXED32:
			return read_fixed(c, 4, &f->value);
		case CDC_WIRE_LEN:
			if (!cdc_read_varint(c, &len))
				return false;
			if (len > (uint64) (c->end - c->p))
			{
				c->error = "length beyond the end of the message";
				return false;
			}
			f->data = c->p;
			f->len = (size_t) len;
			c->p += len;
			return true;
	}
	c->error = "unknown wire type";
	return false;
}

bool
cdc_read_field(CdcCursor *c, CdcField *f)
{
	uint64		tag;

	if (c->error != NULL || c->p == c->end)
		return false;
	if (!cdc_read_varint(c, &tag))
		return false;
	if (tag > PG_UINT32_MAX || tag >> 3 == 0)
	{
		c->error = "invalid field number";
		return false;
	}
	f->number = (uint32) (tag >> 3);
	f->type = (CdcWireType) (tag & 7);
	return cdc_read_value(c, f);
}
