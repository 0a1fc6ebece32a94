/*
 * wire_fuzz.c
 *	  Whatever the bytes are, src/wire/wire.c reads inside them, and what it writes
 *	  it reads back.
 */
#include "postgres_fe.h"

#include "cdc/v1/cdc.pb-c.h"
#include "wire/wire.h"

#define MAX_DEPTH 20
#define MAX_OPS 400

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that does not depend on NDEBUG */
#define require(condition) \
	do { if (!(condition)) { fprintf(stderr, "not so: %s, line %d\n", #condition, __LINE__); abort(); } } while (0)

/* Walks a message and all that may be messages in it. Returns whether the
 * message itself is sound. */
static bool
walk(const char *data, size_t len, int depth)
{
	CdcCursor	c = cdc_cursor(data, len);
	CdcField	f;
	const char *last = data;

	while (cdc_read_field(&c, &f))
	{
		require(c.error == NULL && c.p > last && c.p <= c.end);
		require(f.number >= 1 && f.number < 1 << 29);
		if (f.type == CDC_WIRE_LEN)
		{
			require(f.data >= last && f.data + f.len == c.p);
			if (depth < MAX_DEPTH)
				(void) walk(f.data, f.len, depth + 1);
		}
		else
			require(f.type == CDC_WIRE_VARINT || f.value <= PG_UINT32_MAX || f.type == CDC_WIRE_FIXED64);
		last = c.p;
	}
	require(c.error != NULL || c.p == c.end);
	require(!cdc_read_field(&c, &f));
	return c.error == NULL;
}

/* Writes again what a sound message has. */
static void
copy(StringInfo out, const char *data, size_t len)
{
	CdcCursor	c = cdc_cursor(data, len);
	CdcField	f;

	while (cdc_read_field(&c, &f))
	{
		switch (f.type)
		{
			case CDC_WIRE_VARINT:
				cdc_field_uint(out, f.number, f.value);
				break;
			case CDC_WIRE_FIXED64:
				cdc_field_fixed64(out, f.number, f.value);
				break;
			case CDC_WIRE_LEN:
				cdc_field_bytes(out, f.number, f.data, (int) f.len);
				break;
			case CDC_WIRE_FIXED32:
				cdc_put_varint(out, CDC_TAG(f.number, CDC_WIRE_FIXED32));
				cdc_advance(out, cdc_fixed32(cdc_reserve(out, 4), (uint32) f.value));
				break;
		}
	}
}

/* A copy is never longer, is sound, and is its own copy. */
static void
check_copy(const char *data, size_t len)
{
	StringInfoData once,
				twice;

	initStringInfo(&once);
	initStringInfo(&twice);
	copy(&once, data, len);
	require(once.len <= len && walk(once.data, once.len, MAX_DEPTH));
	copy(&twice, once.data, once.len);
	require(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	free(once.data);
	free(twice.data);
}

/* What protobuf-c takes for a Batch and writes again is sound and minimal. */
static void
check_oracle(const uint8_t *data, size_t size)
{
	Cdc__V1__Batch *batch = cdc__v1__batch__unpack(NULL, size, data);

	if (batch == NULL)
		return;
	if (batch->base.n_unknown_fields == 0)
	{
		size_t		len = cdc__v1__batch__get_packed_size(batch);
		uint8_t    *packed = malloc(len + 1);
		StringInfoData out;

		len = cdc__v1__batch__pack(batch, packed);
		require(walk((char *) packed, len, MAX_DEPTH));
		initStringInfo(&out);
		copy(&out, (char *) packed, len);
		require(out.len == len && memcmp(out.data, packed, len) == 0);
		free(out.data);
		free(packed);
	}
	cdc__v1__batch__free_unpacked(batch, NULL);
}

/* The input as a program that writes nested messages. */
typedef struct Program
{
	const uint8_t *p;
	const uint8_t *end;
	int			ops;
	uint64		values[MAX_OPS];	/* of each op, to be found again */
} Program;

static uint64
take(Program *program, int bytes)
{
	uint64		v = 0;

	while (bytes-- > 0 && program->p < program->end)
		v = v << 8 | *program->p++;
	return v;
}

enum
{
	OP_END, OP_UINT, OP_FIXED64, OP_BYTES, OP_MESSAGE, OP_PACKED, OP_COUNT
};

static uint32
number_of(int op, int which)
{
	return op + 8 * (which % 2 == 0 ? 1 : 100);
}

static void
write_message(Program *program, StringInfo out, int depth)
{
	static const char filler[300];
	static const uint32 many[] = {1, 128, PG_UINT32_MAX};

	while (program->p < program->end && program->ops < MAX_OPS)
	{
		int			op = take(program, 1) % OP_COUNT;
		int			this = program->ops;
		uint32		number = number_of(op, this);
		uint64		v = 0;
		int			body;

		if (op == OP_END)
			return;
		program->ops++;
		switch (op)
		{
			case OP_UINT:
				v = take(program, 8);
				v >>= v & 63;
				cdc_field_uint(out, number, v);
				break;
			case OP_FIXED64:
				v = take(program, 8);
				cdc_field_fixed64(out, number, v);
				break;
			case OP_BYTES:
				v = take(program, 2) % sizeof(filler);
				cdc_field_bytes(out, number, filler, (int) v);
				break;
			case OP_PACKED:
				v = 1 + take(program, 1) % lengthof(many);
				cdc_field_packed(out, number, many, (int) v);
				break;
			case OP_MESSAGE:
				body = cdc_msg_begin(out, number);
				if (depth < MAX_DEPTH)
					write_message(program, out, depth + 1);
				cdc_msg_end(out, body);
				break;
		}
		program->values[this] = v;
	}
}

/* Reads it back, in the order of writing. */
static int
read_message(const Program *program, const char *data, size_t len, int at)
{
	CdcCursor	c = cdc_cursor(data, len);
	CdcField	f;

	while (cdc_read_field(&c, &f))
	{
		int			op = f.number % 8;
		uint64		v = at < program->ops ? program->values[at] : 0;

		require(at < program->ops && f.number == number_of(op, at));
		at++;
		switch (op)
		{
			case OP_UINT:
				require(f.type == CDC_WIRE_VARINT && f.value == v);
				break;
			case OP_FIXED64:
				require(f.type == CDC_WIRE_FIXED64 && f.value == v);
				break;
			case OP_BYTES:
				require(f.type == CDC_WIRE_LEN && f.len == v);
				break;
			case OP_PACKED:
				require(f.type == CDC_WIRE_LEN && f.len == (v == 1 ? 1 : v == 2 ? 3 : 8));
				break;
			case OP_MESSAGE:
				require(f.type == CDC_WIRE_LEN);
				at = read_message(program, f.data, f.len, at);
				break;
			default:
				require(false);
		}
	}
	require(c.error == NULL);
	return at;
}

static void
check_program(const uint8_t *data, size_t size)
{
	Program		program = {data, data + size, 0, {0}};
	StringInfoData out;

	initStringInfo(&out);
	while (program.p < program.end && program.ops < MAX_OPS)
		write_message(&program, &out, 0);
	require(read_message(&program, out.data, out.len, 0) == program.ops);
	free(out.data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (walk((const char *) data, size, 0))
		check_copy((const char *) data, size);
	check_oracle(data, size);
	check_program(data, size);
	return 0;
}
