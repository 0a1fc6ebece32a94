/*
 * wire_write.c
 *	  What src/wire/wire.c writes is, byte for byte, what protobuf-c writes.
 */
#include "postgres_fe.h"

#include "cdc/v1/cdc.pb-c.h"
#include "unit.pb-c.h"
#include "tap.h"
#include "wire/wire.h"

static void
dump(const char *who, const uint8_t *data, size_t len, size_t from)
{
	printf("#   %-10s %zu bytes, from %zu:", who, len, from);
	for (size_t i = from; i < len && i < from + 16; i++)
		printf(" %02x", data[i]);
	putchar('\n');
}

/* Compares and frees; says where they differ. */
static bool
equal(StringInfo out, const ProtobufCMessage *oracle)
{
	size_t		len = protobuf_c_message_get_packed_size(oracle);
	uint8_t    *packed = pg_malloc(len + 1);
	size_t		at = 0;
	bool		same;

	len = protobuf_c_message_pack(oracle, packed);
	while (at < len && at < out->len && packed[at] == (uint8_t) out->data[at])
		at++;
	same = at == len && at == out->len;
	if (!same)
	{
		dump("wire.c", (uint8_t *) out->data, out->len, at);
		dump("protobuf-c", packed, len, at);
	}
	free(packed);
	free(out->data);
	return same;
}

#define same(out, oracle, ...) ok(equal((out), &(oracle)->base), __VA_ARGS__)

static ProtobufCBinaryData
bytes(const void *data, size_t len)
{
	ProtobufCBinaryData b = {len, (uint8_t *) data};

	return b;
}

/* All values around the places where a varint grows by a byte. */
static int
boundaries(uint64 *v)
{
	int			n = 0;

	v[n++] = 0;
	v[n++] = 1;
	for (int bits = 7; bits < 64; bits += 7)
		for (int d = -1; d <= 1; d++)
			v[n++] = (UINT64CONST(1) << bits) + d;
	for (int bits = 31; bits < 64; bits += 16)
		v[n++] = (UINT64CONST(1) << bits);
	v[n++] = PG_UINT32_MAX;
	v[n++] = (uint64) PG_UINT32_MAX + 1;
	v[n++] = PG_INT64_MAX;
	v[n++] = PG_UINT64_MAX;
	return n;
}

static void
test_varints(void)
{
	uint64		v[64];
	int			n = boundaries(v);

	for (int i = 0; i < n; i++)
	{
		Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
		StringInfoData out;
		char		buf[CDC_MAX_VARINT];

		m.has_u64 = true;
		m.u64 = v[i];
		initStringInfo(&out);
		cdc_field_uint(&out, 1, v[i]);
		same(&out, &m, "uint64 " UINT64_FORMAT, v[i]);
		if (cdc_varint(buf, v[i]) - buf != cdc_varint_size(v[i]))
			ok(false, "size of the varint " UINT64_FORMAT, v[i]);
	}
}

static void
test_zigzag(void)
{
	static const int64 v[] = {
		0, -1, 1, -2, 63, -64, 64, -65, 8191, -8192, 8192, -8193,
		PG_INT16_MIN, PG_INT16_MAX, PG_INT32_MIN, PG_INT32_MAX,
		(int64) PG_INT32_MAX + 1, (int64) PG_INT32_MIN - 1,
		PG_INT64_MIN, PG_INT64_MIN + 1, PG_INT64_MAX
	};

	for (int i = 0; i < lengthof(v); i++)
	{
		Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
		StringInfoData out;

		initStringInfo(&out);
		if (v[i] >= PG_INT32_MIN && v[i] <= PG_INT32_MAX)
		{
			m.has_s32 = true;
			m.s32 = (int32) v[i];
			cdc_field_uint(&out, 2, cdc_zigzag(v[i]));
		}
		m.has_s64 = true;
		m.s64 = v[i];
		cdc_field_uint(&out, 15, cdc_zigzag(v[i]));
		same(&out, &m, "zigzag " INT64_FORMAT, v[i]);
		if (cdc_unzigzag(cdc_zigzag(v[i])) != v[i])
			ok(false, "zigzag " INT64_FORMAT " and back", v[i]);
	}
}

static void
test_fixed(void)
{
	static const uint64 v[] = {0, 1, 0xFF, UINT64CONST(0x0102030405060708),
	UINT64CONST(0x8000000000000000), PG_UINT64_MAX};
	static const double d[] = {0.0, -0.0, 1.5, -1e308, 5e-324};

	for (int i = 0; i < lengthof(v); i++)
	{
		Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
		StringInfoData out;
		char		buf[4];

		m.has_f64 = true;
		m.f64 = v[i];
		initStringInfo(&out);
		cdc_field_fixed64(&out, 16, v[i]);
		same(&out, &m, "fixed64 " UINT64_FORMAT, v[i]);
		cdc_fixed32(buf, (uint32) v[i]);
		for (int b = 0; b < 4; b++)
			if ((uint8) buf[b] != (uint8) (v[i] >> (8 * b)))
				ok(false, "byte %d of fixed32 %u", b, (uint32) v[i]);
	}
	for (int i = 0; i < lengthof(d); i++)
	{
		Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
		StringInfoData out;
		uint64		image;

		m.has_d = true;
		m.d = d[i];
		memcpy(&image, &d[i], sizeof(image));
		initStringInfo(&out);
		cdc_field_fixed64(&out, 17, image);
		same(&out, &m, "double %g", d[i]);
	}
}

/* Tags of one to five bytes. */
static void
test_tags(void)
{
	Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
	StringInfoData out;

	m.has_u64 = m.has_s64 = m.has_f64 = m.has_b = m.has_bytes = m.has_last = true;
	m.bytes = bytes("x", 1);
	m.text = "y";
	initStringInfo(&out);
	cdc_field_uint(&out, 1, 0);
	cdc_field_uint(&out, 15, 0);
	cdc_field_fixed64(&out, 16, 0);
	cdc_field_uint(&out, 1600, 0);
	cdc_field_bytes(&out, 2047, "x", 1);
	cdc_field_bytes(&out, 2048, "y", 1);
	cdc_field_uint(&out, 536870911, 0);
	same(&out, &m, "zero values and tags of 1 to 5 bytes");
}

/* What proto3 leaves out is left out. */
static void
test_optional(void)
{
	Cdc__V1__Source empty = CDC__V1__SOURCE__INIT;
	Cdc__V1__Source set = CDC__V1__SOURCE__INIT;
	StringInfoData out;
	const char *none = NULL;

	initStringInfo(&out);
	cdc_field_fixed64_opt(&out, 1, 0);
	cdc_field_uint_opt(&out, 2, 0);
	cdc_field_string_opt(&out, 3, "");
	cdc_field_string_opt(&out, 4, none);
	cdc_field_bytes_opt(&out, 5, "x", 0);
	cdc_field_uint_opt(&out, 6, 0);
	same(&out, &empty, "_opt leaves zero and empty values out");

	set.system_identifier = 7;
	set.timeline = 1;
	set.database = "d";
	set.slot = "s";
	set.plugin_version = "1.0";
	set.server_version = 150020;
	initStringInfo(&out);
	cdc_field_fixed64_opt(&out, 1, 7);
	cdc_field_uint_opt(&out, 2, 1);
	cdc_field_string_opt(&out, 3, "d");
	cdc_field_string_opt(&out, 4, "s");
	cdc_field_bytes_opt(&out, 5, "1.0", 3);
	cdc_field_uint_opt(&out, 6, 150020);
	same(&out, &set, "_opt writes the others");
}

static void
test_packed(void)
{
	static const int counts[] = {0, 1, 127, 128, 1600, 16384};

	for (int i = 0; i < lengthof(counts); i++)
	{
		for (int wide = 0; wide < 2; wide++)
		{
			Cdc__Unit__Scalars m = CDC__UNIT__SCALARS__INIT;
			uint32	   *v = pg_malloc0(sizeof(uint32) * (counts[i] + 1));
			StringInfoData out;

			for (int k = 0; k < counts[i]; k++)
				v[k] = wide ? PG_UINT32_MAX - k : k % 128;
			m.n_packed = counts[i];
			m.packed = v;
			initStringInfo(&out);
			cdc_field_packed(&out, 2000, v, counts[i]);
			same(&out, &m, "packed, %d %s values", counts[i], wide ? "long" : "short");
			free(v);
		}
	}
}

/* Lengths around the places where the length of a length changes. */
static const int lengths[] = {
	0, 1, 2, 126, 127, 128, 129, 16382, 16383, 16384, 16385,
	2097150, 2097151, 2097152, 2097153
};

static void
test_bytes(void)
{
	char	   *data = pg_malloc(2097153);

	memset(data, 'b', 2097153);
	for (int i = 0; i < lengthof(lengths); i++)
	{
		Cdc__Unit__Node m = CDC__UNIT__NODE__INIT;
		StringInfoData out;

		m.has_data = true;
		m.data = bytes(data, lengths[i]);
		initStringInfo(&out);
		cdc_field_bytes(&out, 1, data, lengths[i]);
		same(&out, &m, "%d bytes", lengths[i]);
	}
	free(data);
}

/* Bytes that a data field takes beside the data. */
static int
overhead(int body)
{
	for (int n = 1; n <= 5; n++)
		if (body - 1 - n >= 0 && cdc_varint_size(body - 1 - n) == n)
			return 1 + n;
	return -1;
}

/*
 * A message whose body has exactly each of the lengths, first at the start of
 * the buffer and then after and before other fields, inside another message.
 */
static void
test_messages(void)
{
	char	   *data = pg_malloc(2097153);

	for (int k = 0; k < 2097153; k++)
		data[k] = (char) (k * 31);
	for (int i = 0; i < lengthof(lengths); i++)
	{
		Cdc__Unit__Node outer = CDC__UNIT__NODE__INIT;
		Cdc__Unit__Node middle = CDC__UNIT__NODE__INIT;
		Cdc__Unit__Node inner = CDC__UNIT__NODE__INIT;
		Cdc__Unit__Node *more[2] = {&inner, &inner};
		StringInfoData out;
		int			rest = lengths[i];
		int			body;

		/* some body lengths cannot be made by one field alone */
		if (rest > 0 && overhead(rest) < 0)
			continue;
		initStringInfo(&out);
		body = cdc_msg_begin(&out, 2);
		if (rest > 0)
		{
			rest -= overhead(rest);
			inner.has_data = true;
			inner.data = bytes(data, rest);
			cdc_field_bytes(&out, 1, data, rest);
		}
		if (out.len - body != lengths[i])
			ok(false, "the body has %d bytes, not %d", out.len - body, lengths[i]);
		cdc_msg_end(&out, body);
		outer.child = &inner;
		same(&out, &outer, "message of %d bytes", lengths[i]);

		middle.has_data = outer.has_data = true;
		middle.data = outer.data = bytes("before", 6);
		middle.n_more = 2;
		middle.more = more;
		outer.child = &middle;
		initStringInfo(&out);
		cdc_field_bytes(&out, 1, "before", 6);
		body = cdc_msg_begin(&out, 2);
		cdc_field_bytes(&out, 1, "before", 6);
		for (int k = 0; k < 2; k++)
		{
			int			m = cdc_msg_begin(&out, 3);

			if (inner.has_data)
				cdc_field_bytes(&out, 1, data, rest);
			cdc_msg_end(&out, m);
		}
		cdc_msg_end(&out, body);
		same(&out, &outer, "two messages of %d bytes in a message between fields", lengths[i]);
	}
	free(data);
}

/* Deep nesting: the bodies of the outer levels move when inner ones grow. */
static void
test_depth(void)
{
	static const int depths[] = {2, 10, 64, 65, 200, 4000, 9000};

	for (int i = 0; i < lengthof(depths); i++)
	{
		int			n = depths[i];
		Cdc__Unit__Node *m = pg_malloc(sizeof(Cdc__Unit__Node) * n);
		int		   *body = pg_malloc(sizeof(int) * n);
		StringInfoData out;

		initStringInfo(&out);
		for (int k = 0; k < n; k++)
		{
			cdc__unit__node__init(&m[k]);
			m[k].has_data = true;
			m[k].data = bytes("#", 1);
			if (k > 0)
			{
				m[k - 1].child = &m[k];
				body[k] = cdc_msg_begin(&out, 2);
			}
			cdc_field_bytes(&out, 1, "#", 1);
		}
		for (int k = n - 1; k > 0; k--)
			cdc_msg_end(&out, body[k]);
		same(&out, m, "%d messages in one another", n);
		free(m);
		free(body);
	}
}

/* Whatever room is left in the buffer when a write begins. */
static void
test_room(void)
{
	bool		all = true;
	char		pad[1024];

	memset(pad, 'p', sizeof(pad));
	for (int len = 900; len <= 1024; len++)
	{
		Cdc__Unit__Node m = CDC__UNIT__NODE__INIT;
		Cdc__Unit__Node child = CDC__UNIT__NODE__INIT;
		Cdc__Unit__Node grandchild = CDC__UNIT__NODE__INIT;
		StringInfoData out;
		int			a,
					b;

		m.has_data = child.has_data = grandchild.has_data = true;
		m.data = bytes(pad, len);
		child.data = bytes(pad, 0);
		grandchild.data = bytes(pad, 127);
		m.child = &child;
		child.child = &grandchild;
		initStringInfo(&out);
		cdc_field_bytes(&out, 1, pad, len);
		a = cdc_msg_begin(&out, 2);
		cdc_field_bytes(&out, 1, pad, 0);
		b = cdc_msg_begin(&out, 2);
		cdc_field_bytes(&out, 1, pad, 127);
		cdc_msg_end(&out, b);
		cdc_msg_end(&out, a);
		all &= equal(&out, &m.base);
	}
	ok(all, "any room left in the buffer");
}

/*
 * A whole batch: every kind of field that the plugin writes, in its order. Each part is put
 * into the batch, for protobuf-c to write, and written by our functions.
 */
static char table_bytes[300];
static char row_bytes[20000];

static void
put_transaction(StringInfo out, Cdc__V1__Batch *batch)
{
	static Cdc__V1__Transaction txn = CDC__V1__TRANSACTION__INIT;
	static Cdc__V1__Transaction__MetadataEntry entry[2] = {
		CDC__V1__TRANSACTION__METADATA_ENTRY__INIT,
		CDC__V1__TRANSACTION__METADATA_ENTRY__INIT
	};
	static Cdc__V1__Transaction__MetadataEntry *entries[2] = {&entry[0], &entry[1]};
	int			body,
				m;

	txn.xid = PG_UINT32_MAX;
	txn.first_lsn = UINT64CONST(0x16B374D848);
	txn.commit_lsn = UINT64CONST(0x16B374D900);
	txn.commit_time = -1;
	txn.origin = "west";
	entry[0].key = "a";
	entry[0].value = "1";
	entry[1].key = "traceparent";
	entry[1].value = "\xc3\xa4";
	txn.n_metadata = 2;
	txn.metadata = entries;
	batch->transaction = &txn;
	body = cdc_msg_begin(out, 1);
	cdc_field_uint(out, 1, PG_UINT32_MAX);
	cdc_field_fixed64(out, 2, UINT64CONST(0x16B374D848));
	cdc_field_fixed64(out, 3, UINT64CONST(0x16B374D900));
	cdc_field_fixed64(out, 4, (uint64) -1);
	cdc_field_string_opt(out, 5, "west");
	for (int i = 0; i < 2; i++)
	{
		m = cdc_msg_begin(out, 7);
		cdc_field_bytes(out, 1, entry[i].key, strlen(entry[i].key));
		cdc_field_bytes(out, 2, entry[i].value, strlen(entry[i].value));
		cdc_msg_end(out, m);
	}
	cdc_msg_end(out, body);
}

static void
put_outcome(StringInfo out, Cdc__V1__Batch *batch)
{
	batch->part = 300;
	batch->outcome = CDC__V1__OUTCOME__OUTCOME_COMMITTED;
	batch->end_lsn = 1;
	batch->event_count = UINT64CONST(5000000000);
	cdc_field_uint_opt(out, 2, 300);
	cdc_field_uint_opt(out, 3, 1);
	cdc_field_fixed64_opt(out, 4, 1);
	cdc_field_uint_opt(out, 5, UINT64CONST(5000000000));
}

static void
put_schema(StringInfo out, Cdc__V1__Batch *batch)
{
	static Cdc__V1__SchemaVersion schema = CDC__V1__SCHEMA_VERSION__INIT;
	static Cdc__V1__SchemaVersion *schemas[1] = {&schema};
	int			body;

	schema.fingerprint = UINT64CONST(0xFEDCBA9876543210);
	schema.table = bytes(table_bytes, sizeof(table_bytes));
	batch->n_schemas = 1;
	batch->schemas = schemas;
	body = cdc_msg_begin(out, 6);
	cdc_field_fixed64(out, 1, schema.fingerprint);
	cdc_field_bytes(out, 2, table_bytes, sizeof(table_bytes));
	cdc_msg_end(out, body);
}

static void
put_update(StringInfo out, Cdc__V1__ChangeEvent *update)
{
	static uint32 nulls[] = {3, 4, 1600};
	static uint32 unavailable[] = {200};
	int			body;

	update->op = CDC__V1__OP__OP_UPDATE;
	update->lsn_offset = 56;
	update->index = 2;
	update->schema = UINT64CONST(0xFEDCBA9876543210);
	update->key = bytes("\x08\x02", 2);
	update->old = bytes(row_bytes, 127);
	update->new_ = bytes(row_bytes, sizeof(row_bytes));
	update->n_nulls = 3;
	update->nulls = nulls;
	update->new_key = bytes("\x08\x04", 2);
	update->n_unavailable = 1;
	update->unavailable = unavailable;
	update->rewrite_start = true;
	body = cdc_msg_begin(out, 7);
	cdc_field_uint(out, 1, 2);
	cdc_field_uint_opt(out, 2, 56);
	cdc_field_uint_opt(out, 3, 2);
	cdc_field_fixed64_opt(out, 4, update->schema);
	cdc_field_bytes_opt(out, 5, "\x08\x02", 2);
	cdc_field_bytes_opt(out, 6, row_bytes, 127);
	cdc_field_bytes_opt(out, 7, row_bytes, (int) sizeof(row_bytes));
	cdc_field_packed(out, 8, nulls, 3);
	cdc_field_bytes_opt(out, 9, "\x08\x04", 2);
	cdc_field_packed(out, 11, unavailable, 1);
	cdc_field_uint_opt(out, 15, 1);
	cdc_msg_end(out, body);
}

static void
put_truncate(StringInfo out, Cdc__V1__ChangeEvent *truncate)
{
	static Cdc__V1__Truncate how = CDC__V1__TRUNCATE__INIT;
	int			body,
				inner;

	truncate->op = CDC__V1__OP__OP_TRUNCATE;
	truncate->truncate = &how;
	body = cdc_msg_begin(out, 7);
	cdc_field_uint(out, 1, 4);
	inner = cdc_msg_begin(out, 12);
	cdc_msg_end(out, inner);
	cdc_msg_end(out, body);
}

static void
put_message(StringInfo out, Cdc__V1__ChangeEvent *message)
{
	static Cdc__V1__Message logical = CDC__V1__MESSAGE__INIT;
	int			body,
				inner;

	logical.transactional = true;
	logical.prefix = "app";
	logical.content = bytes(row_bytes, 16384);
	message->op = CDC__V1__OP__OP_MESSAGE;
	message->message = &logical;
	body = cdc_msg_begin(out, 7);
	cdc_field_uint(out, 1, 5);
	inner = cdc_msg_begin(out, 13);
	cdc_field_uint_opt(out, 1, 1);
	cdc_field_string_opt(out, 2, "app");
	cdc_field_bytes_opt(out, 3, row_bytes, 16384);
	cdc_msg_end(out, inner);
	cdc_msg_end(out, body);
}

static void
put_failure(StringInfo out, Cdc__V1__ChangeEvent *failure)
{
	static Cdc__V1__Failure why = CDC__V1__FAILURE__INIT;
	int			body,
				inner;

	why.sqlstate = "22P02";
	why.message = "no";
	why.column = 1600;
	failure->op = CDC__V1__OP__OP_INSERT;
	failure->failure = &why;
	body = cdc_msg_begin(out, 7);
	cdc_field_uint(out, 1, 1);
	inner = cdc_msg_begin(out, 14);
	cdc_field_string_opt(out, 1, "22P02");
	cdc_field_string_opt(out, 2, "no");
	cdc_field_uint_opt(out, 3, 1600);
	cdc_msg_end(out, inner);
	cdc_msg_end(out, body);
}

static void
put_source(StringInfo out, Cdc__V1__Batch *batch)
{
	static Cdc__V1__Source source = CDC__V1__SOURCE__INIT;
	int			body;

	source.database = "shop";
	batch->source = &source;
	body = cdc_msg_begin(out, 9);
	cdc_field_string_opt(out, 3, "shop");
	cdc_msg_end(out, body);
}

static void
test_batch(void)
{
	static void (*const put[]) (StringInfo out, Cdc__V1__ChangeEvent *event) = {
		put_update, put_truncate, put_message, put_failure
	};
	Cdc__V1__ChangeEvent event[lengthof(put)];
	Cdc__V1__ChangeEvent *events[lengthof(put)];
	Cdc__V1__Batch batch = CDC__V1__BATCH__INIT;
	StringInfoData out;

	memset(table_bytes, 0xAB, sizeof(table_bytes));
	memset(row_bytes, 0xCD, sizeof(row_bytes));
	initStringInfo(&out);
	put_transaction(&out, &batch);
	put_outcome(&out, &batch);
	put_schema(&out, &batch);
	for (int i = 0; i < lengthof(put); i++)
	{
		cdc__v1__change_event__init(&event[i]);
		put[i] (&out, &event[i]);
		events[i] = &event[i];
	}
	batch.n_events = lengthof(put);
	batch.events = events;
	put_source(&out, &batch);

	same(&out, &batch, "a batch of every kind of field");
}

int
main(void)
{
	test_varints();
	test_zigzag();
	test_fixed();
	test_tags();
	test_optional();
	test_packed();
	test_bytes();
	test_messages();
	test_depth();
	test_room();
	test_batch();
	return done_testing();
}
