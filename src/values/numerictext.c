/*
 * numerictext.c
 *	  Writes the text of numeric values.
 *
 * numeric_out() takes three allocations and two copies for each. What is read here is the
 * stored form, which numeric.c describes and pg_upgrade relies on: a header with sign,
 * scale and weight, in one or two halfwords, then digits of base 10000, of which the
 * first stands for 10000^weight.
 */
#include "postgres.h"

#include "compat.h"
#include "values/numerictext.h"
#include "wire/wire.h"

/* The first halfword. */
#define KIND_MASK 0xC000
#define KIND_SHORT 0x8000
#define KIND_SPECIAL 0xC000
#define LONG_NEGATIVE 0x4000
#define LONG_SCALE 0x3FFF
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE(header) (((header) & 0x1F80) >> 7)
/* seven bits with a sign */
#define SHORT_WEIGHT(header) (((header) & 0x003F) - ((header) & 0x0040))
#define SPECIAL_MASK 0xF000
#define SPECIAL_NAN 0xC000
#define SPECIAL_INFINITY 0xD000

#define DIGIT_CHARS 4			/* decimal digits in one of base 10000 */

static const char pairs[] =
"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
"8081828384858687888990919293949596979899";

static inline uint16
halfword(const char *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

typedef struct Digits
{
	const char *data;
	int			count;
} Digits;

/* Those that are zero at the ends are not stored. */
static inline unsigned int
digit(const Digits *digits, int n)
{
	return n >= 0 && n < digits->count ? halfword(digits->data + n * sizeof(uint16)) % 10000 : 0;
}

static inline char *
put_digit(char *p, unsigned int digit)
{
	memcpy(p, &pairs[digit / 100 * 2], 2);
	memcpy(p + 2, &pairs[digit % 100 * 2], 2);
	return p + DIGIT_CHARS;
}

/* The first one, without zeros before it. */
static inline char *
put_first_digit(char *p, unsigned int digit)
{
	char		all[DIGIT_CHARS];
	int			skip = (digit < 1000) + (digit < 100) + (digit < 10);

	put_digit(all, digit);
	memcpy(p, all + skip, DIGIT_CHARS - skip);
	return p + DIGIT_CHARS - skip;
}

static void
put_special(StringInfo out, uint16 header)
{
	header &= SPECIAL_MASK;
	appendStringInfoString(out, header == SPECIAL_NAN ? "NaN" :
						   header == SPECIAL_INFINITY ? "Infinity" : "-Infinity");
}

void
cdc_numeric_text(StringInfo out, const struct varlena *value)
{
	Digits		digits = {VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value)};
	uint16		header = halfword(digits.data);
	bool		is_short = (header & KIND_MASK) == KIND_SHORT;
	bool		negative;
	int			scale;
	int			weight;
	int			n = 0;
	char	   *p;
	char	   *end;

	if ((header & KIND_MASK) == KIND_SPECIAL)
	{
		put_special(out, header);
		return;
	}
	if (is_short)
	{
		negative = (header & SHORT_NEGATIVE) != 0;
		scale = SHORT_SCALE(header);
		weight = SHORT_WEIGHT(header);
	}
	else
	{
		negative = (header & KIND_MASK) == LONG_NEGATIVE;
		scale = header & LONG_SCALE;
		weight = (int16) halfword(digits.data + sizeof(uint16));
	}
	digits.data += is_short ? sizeof(uint16) : 2 * sizeof(uint16);
	digits.count = (int) (digits.count - (is_short ? sizeof(uint16) : 2 * sizeof(uint16))) / (int) sizeof(uint16);

	p = cdc_reserve(out, 2 + (Max(weight, 0) + 1) * DIGIT_CHARS + scale + DIGIT_CHARS);
	if (negative)
		*p++ = '-';
	if (weight < 0)
	{
		*p++ = '0';
		n = weight + 1;
	}
	else
	{
		p = put_first_digit(p, digit(&digits, n++));
		while (n <= weight)
			p = put_digit(p, digit(&digits, n++));
	}
	if (scale > 0)
	{
		*p++ = '.';
		for (end = p + scale; p < end;)
			p = put_digit(p, digit(&digits, n++));
		p = end;
	}
	cdc_advance(out, p);
}
