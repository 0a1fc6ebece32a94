/*
 * wire_read.c
 *	  src/wire/wire.c reads what protobuf-c writes, and says what is damaged.
 */
#include "postgres_fe.h"

#include "cdc/v1/cdc.pb-c.h"
#include "unit.pb-c.h"
#include "tap.h"
#include "wire/wire.h"

static const char TRUNCATED_VARINT[] = "truncated varint";
static const char LONG_VARINT[] = "varint of more than 64 bits";
static const char TRUNCATED_FIXED[] = "truncated fixed-width value";
static const char BAD_NUMBER[] = "invalid field number";
static const char BEYOND[] = "length beyond the end of the message";
static const char BAD_TYPE[] = "unknown wire type";

#define BYTES(s) (s), sizeof(s) - 1
#define FF9 "\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define Z9 "\x80\x80\x80\x80\x80\x80\x80\x80\x80"

/* What is read before the end or the error, and the error. */
static const struct
{
	const char *name;
	const char *data;
	size_t		len;
	int			fields;
	uint64		value;			/* of the last field: value or length */
	const char *error;
}			cases[] = {
	{"nothing", BYTES(""), 0, 0, NULL},
	{"a varint", BYTES("\x08\x01"), 1, 1, NULL},
	{"the longest varint", BYTES("\x08" FF9 "\x01"), 1, PG_UINT64_MAX, NULL},
	{"a varint that is not minimal", BYTES("\x08" Z9 "\x00"), 1, 0, NULL},
	{"the highest field number", BYTES("\xf8\xff\xff\xff\x0f\x07"), 1, 7, NULL},
	{"a fixed64", BYTES("\x09\x08\x07\x06\x05\x04\x03\x02\x01"), 1, UINT64CONST(0x0102030405060708), NULL},
	{"a fixed32", BYTES("\x0d\x04\x03\x02\x81"), 1, 0x81020304, NULL},
	{"empty bytes", BYTES("\x0a\x00"), 1, 0, NULL},
	{"bytes to the end", BYTES("\x0a\x02zz"), 1, 2, NULL},
	{"bytes and a varint", BYTES("\x0a\x02zz\x08\x05"), 2, 5, NULL},

	{"a tag cut short", BYTES("\x80"), 0, 0, TRUNCATED_VARINT},
	{"a tag alone", BYTES("\x08"), 0, 0, TRUNCATED_VARINT},
	{"a varint cut short", BYTES("\x08\x80\x80"), 0, 0, TRUNCATED_VARINT},
	{"a varint of 9 bytes cut short", BYTES("\x08" FF9), 0, 0, TRUNCATED_VARINT},
	{"a field, then a tag alone", BYTES("\x08\x01\x10"), 1, 1, TRUNCATED_VARINT},
	{"a length cut short", BYTES("\x0a\x80"), 0, 0, TRUNCATED_VARINT},
	{"a length missing", BYTES("\x0a"), 0, 0, TRUNCATED_VARINT},
	{"a varint of 11 bytes", BYTES("\x08" FF9 "\x81\x00"), 0, 0, LONG_VARINT},
	{"a varint of 65 bits", BYTES("\x08" FF9 "\x02"), 0, 0, LONG_VARINT},
	{"a varint of 70 bits", BYTES("\x08" FF9 "\x7f"), 0, 0, LONG_VARINT},
	{"a tag of 11 bytes", BYTES("\x88" Z9 "\x80\x00"), 0, 0, LONG_VARINT},
	{"a length of 65 bits", BYTES("\x0a" FF9 "\x02"), 0, 0, LONG_VARINT},
	{"a fixed64 missing", BYTES("\x09"), 0, 0, TRUNCATED_FIXED},
	{"a fixed64 of 7 bytes", BYTES("\x09" "1234567"), 0, 0, TRUNCATED_FIXED},
	{"a fixed32 missing", BYTES("\x0d"), 0, 0, TRUNCATED_FIXED},
	{"a fixed32 of 3 bytes", BYTES("\x0d" "123"), 0, 0, TRUNCATED_FIXED},
	{"field number 0", BYTES("\x00\x00"), 0, 0, BAD_NUMBER},
	{"field number 0, bytes", BYTES("\x02\x00"), 0, 0, BAD_NUMBER},
	{"a field number of 30 bits", BYTES("\x80\x80\x80\x80\x10\x00"), 0, 0, BAD_NUMBER},
	{"a tag of 64 bits", BYTES(FF9 "\x01\x00"), 0, 0, BAD_NUMBER},
	{"a group's start", BYTES("\x0b\x0c"), 0, 0, BAD_TYPE},
	{"a group's end", BYTES("\x0c"), 0, 0, BAD_TYPE},
	{"wire type 6", BYTES("\x0e\x00"), 0, 0, BAD_TYPE},
	{"wire type 7", BYTES("\x0f\x00"), 0, 0, BAD_TYPE},
	{"one byte missing", BYTES("\x0a\x01"), 0, 0, BEYOND},
	{"some bytes missing", BYTES("\x0a\x05zz"), 0, 0, BEYOND},
	{"a length of 2^31", BYTES("\x0a\x80\x80\x80\x80\x08zz"), 0, 0, BEYOND},
	{"a length of 2^64 - 1", BYTES("\x0a" FF9 "\x01zz"), 0, 0, BEYOND},
};

static bool
text_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
test_cases(void)
{
	for (int i = 0; i < lengthof(cases); i++)
	{
		/* in memory that ends where the message does, for the sanitizer */
		char	   *data = pg_malloc(cases[i].len + (cases[i].len == 0));
		CdcCursor	c = cdc_cursor(data, cases[i].len);
		CdcField	f = {0};
		uint64		value = 0;
		int			n = 0;
		bool		again;

		memcpy(data, cases[i].data, cases[i].len);
		while (cdc_read_field(&c, &f))
		{
			value = f.type == CDC_WIRE_LEN ? f.len : f.value;
			n++;
		}
		again = cdc_read_field(&c, &f);
		if (!ok(n == cases[i].fields && value == cases[i].value && !again &&
				text_same(c.error, cases[i].error) &&
				(cases[i].error != NULL || c.p == c.end), "%s", cases[i].name))
			diag("%d fields, the last " UINT64_FORMAT ", error: %s", n, value,
				 c.error ? c.error : "none");
		free(data);
	}
}

/* Every field of a message that protobuf-c wrote. */
static void
test_round_trip(void)
{
	static uint32 packed[] = {0, 127, 128, PG_UINT32_MAX};
	static const struct
	{
		uint32		number;
		CdcWireType type;
		uint64		value;		/* value, or length */
	}			wanted[] = {
		{1, CDC_WIRE_VARINT, PG_UINT64_MAX},
		{2, CDC_WIRE_VARINT, PG_UINT32_MAX},	/* zigzag of the least int32 */
		{15, CDC_WIRE_VARINT, PG_UINT64_MAX},	/* zigzag of the least int64 */
		{16, CDC_WIRE_FIXED64, UINT64CONST(0x8000000000000001)},
		{17, CDC_WIRE_FIXED64, UINT64CONST(0x3FF8000000000000)},
		{1600, CDC_WIRE_VARINT, 0},
		{2000, CDC_WIRE_LEN, 1 + 1 + 2 + 5},
		{2047, CDC_WIRE_LEN, 3},
		{2048, CDC_WIRE_LEN, 0},
		{536870911, CDC_WIRE_VARINT, 1},
	};
	Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
	uint8_t		buf[256];
	CdcCursor	c;
	CdcField	f;
	int			n = 0;

	m.has_u64 = m.has_s32 = m.has_s64 = m.has_f64 = m.has_d = m.has_b = m.has_bytes = m.has_last = true;
	m.u64 = PG_UINT64_MAX;
	m.s32 = PG_INT32_MIN;
	m.s64 = PG_INT64_MIN;
	m.f64 = UINT64CONST(0x8000000000000001);
	m.d = 1.5;
	m.n_packed = lengthof(packed);
	m.packed = packed;
	m.bytes.data = (uint8_t *) "\0\1\2";
	m.bytes.len = 3;
	m.text = "";
	m.last = 1;
	c = cdc_cursor(buf, cdc__unit__scalars__pack(&m, buf));
	while (cdc_read_field(&c, &f) && n < lengthof(wanted))
	{
		uint64		value = f.type == CDC_WIRE_LEN ? f.len : f.value;

		ok(f.number == wanted[n].number && f.type == wanted[n].type && value == wanted[n].value,
		   "field %u, wire type %d, " UINT64_FORMAT, f.number, f.type, value);
		if (f.number == 2000)
		{
			CdcCursor	p = cdc_cursor(f.data, f.len);
			uint64		v;
			int			k = 0;

			while (p.p < p.end && cdc_read_varint(&p, &v) && k < 4 && v == packed[k])
				k++;
			ok(k == 4 && p.p == p.end && p.error == NULL, "its packed values");
		}
		else if (f.number == 2047)
			ok(memcmp(f.data, "\0\1\2", 3) == 0, "its bytes");
		n++;
	}
	ok(n == lengthof(wanted) && c.error == NULL && c.p == c.end, "and nothing else");
}

/* A message cut at each byte: the fields before the cut are as in the whole
 * one, and there is an error unless the cut is between two fields. */
static void
test_cuts(void)
{
	Cdc__V1__Batch batch = CDC__V1__BATCH__INIT;
	Cdc__V1__Transaction txn = CDC__V1__TRANSACTION__INIT;
	Cdc__V1__ChangeEvent event = CDC__V1__CHANGE_EVENT__INIT;
	Cdc__V1__ChangeEvent *events[] = {&event, &event};
	uint32		xids[] = {1, 300, PG_UINT32_MAX};
	char		row[200];
	uint8_t		whole[1024];
	bool		boundary[1024] = {false};
	size_t		len;
	CdcCursor	c;
	CdcField	f;
	int			wrong = 0;
	int			clean = 0;

	memset(row, 0x7F, sizeof(row));
	txn.xid = 740;
	txn.first_lsn = 1 << 24;
	txn.origin = "o";
	batch.transaction = &txn;
	batch.part = 3;
	batch.end_lsn = 99;
	batch.event_count = 1 << 21;
	event.op = CDC__V1__OP__OP_INSERT;
	event.schema = 42;
	event.new_.data = (uint8_t *) row;
	event.new_.len = sizeof(row);
	batch.n_events = 2;
	batch.events = events;
	batch.n_rolled_back_xids = 3;
	batch.rolled_back_xids = xids;
	len = cdc__v1__batch__pack(&batch, whole);

	c = cdc_cursor(whole, len);
	boundary[0] = true;
	while (cdc_read_field(&c, &f))
		boundary[c.p - (char *) whole] = true;
	ok(c.error == NULL && c.p == c.end, "a batch of %zu bytes", len);

	for (size_t cut = 0; cut < len; cut++)
	{
		uint8_t    *part = pg_malloc(cut + 1);
		CdcCursor	w = cdc_cursor(whole, len);
		CdcField	g;

		memcpy(part, whole, cut);
		c = cdc_cursor(part, cut);
		while (cdc_read_field(&c, &f))
			if (!cdc_read_field(&w, &g) || f.number != g.number || f.type != g.type ||
				f.value != g.value || f.len != g.len ||
				(f.len > 0 && memcmp(f.data, g.data, f.len) != 0))
				wrong++;
		if ((c.error == NULL) != boundary[cut])
			wrong++;
		clean += c.error == NULL;
		free(part);
	}
	ok(wrong == 0 && clean == 7, "cut at each byte: an error but at the %d places between fields", clean);
}

int
main(void)
{
	test_cases();
	test_round_trip();
	test_cuts();
	return done_testing();
}
