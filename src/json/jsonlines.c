/*
 * jsonlines.c
 *	  Renders batches as lines of JSON.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "json/jsonlines.h"
#include "json/jsonarray.h"
#include "json/jsonvalue.h"
#include "schema/descriptor.h"
#include "wire/compress.h"
#include "wire/fields.h"
#include "wire/fingerprint.h"
#include "wire/wire.h"

/* A line that is being made: an object whose members come one by one. */
typedef struct Line
{
	StringInfoData out;
	CdcJsonEmit emit;
	void	   *arg;
} Line;

/* Begins a member; in nested objects too. */
static void
member(StringInfo out, const char *name)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\"%s\":", name);
}

static void
member_string(StringInfo out, const char *name, const char *value)
{
	member(out, name);
	cdc_json_string(out, value, strlen(value));
}

static void
member_lsn(StringInfo out, const char *name, uint64 lsn)
{
	member(out, name);
	appendStringInfoChar(out, '"');
	cdc_json_lsn(out, lsn);
	appendStringInfoChar(out, '"');
}

/* Begins a member of any name. */
static void
member_any(StringInfo out, const char *name)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	cdc_json_string(out, name, strlen(name));
	appendStringInfoChar(out, ':');
}

/*
 * Hands the line over in the database's encoding. Other encodings than UTF-8
 * may lack characters, and converting may raise, so there everything but ASCII
 * is escaped; such bytes are within strings only.
 */
static void
emit_line(Line *line)
{
	StringInfoData ascii;
	const char *p = line->out.data;
	const char *end = p + line->out.len;

	if (GetDatabaseEncoding() == PG_UTF8)
	{
		line->emit(line->arg, p, line->out.len);
		return;
	}
	initStringInfo(&ascii);
	while (p < end)
	{
		int			len = pg_utf_mblen((const unsigned char *) p);
		pg_wchar	c = utf8_to_unicode((const unsigned char *) p);

		if (len == 1)
			appendStringInfoChar(&ascii, *p);
		else if (c < 0x10000)
			appendStringInfo(&ascii, "\\u%04x", c);
		else
			appendStringInfo(&ascii, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
							 0xDC00 + ((c - 0x10000) & 0x3FF));
		p += len;
	}
	line->emit(line->arg, ascii.data, ascii.len);
}

/* A row's fields by the columns of its table. */
typedef struct Fields
{
	CdcField   *values;			/* indexed like Table.columns */
	bool	   *present;
	CdcField   *redacted;		/* those in field 2000 + attnum */
	bool	   *redacted_present;
} Fields;

/* Reads a row; fields that the table does not know are passed over. */
static void
read_row(Fields *fields, const Cdc__V1__Table *table, ProtobufCBinaryData row)
{
	CdcCursor	cursor = cdc_cursor(row.data, row.len);
	CdcField	field;
	int			n = Max((int) table->n_columns, 1);
	int			at;

	fields->values = palloc(sizeof(CdcField) * n);
	fields->present = palloc0(sizeof(bool) * n);
	fields->redacted = palloc(sizeof(CdcField) * n);
	fields->redacted_present = palloc0(sizeof(bool) * n);
	while (cdc_read_field(&cursor, &field))
	{
		if ((at = cdc_column_place(table, field.number)) >= 0)
		{
			fields->values[at] = field;
			fields->present[at] = true;
		}
		else if (field.number > CDC_REDACTED_BASE &&
				 (at = cdc_column_place(table, field.number - CDC_REDACTED_BASE)) >= 0)
		{
			if (field.type != CDC_WIRE_LEN)
				cdc_json_damaged("redacted value is not a string");
			fields->redacted[at] = field;
			fields->redacted_present[at] = true;
		}
	}
	if (cursor.error != NULL)
		cdc_json_damaged(cursor.error);
}

/* An object of columns; `nulls` are attnums to show as null. */
static void
member_row(StringInfo out, const char *name, const Cdc__V1__Table *table,
		   const Fields *fields, const uint32 *nulls, size_t n_nulls)
{
	int			start = out->len;
	bool		any = false;
	bool	   *is_null = palloc0(sizeof(bool) * Max(table->n_columns, 1));

	for (size_t i = 0; i < n_nulls; i++)
	{
		int			at = cdc_column_place(table, nulls[i]);

		if (at < 0)
			cdc_json_damaged("NULL of a column that the schema does not have");
		is_null[at] = true;
	}
	member(out, name);
	appendStringInfoChar(out, '{');
	for (size_t i = 0; i < table->n_columns; i++)
	{
		if (!is_null[i] && !fields->present[i])
			continue;
		any = true;
		member_any(out, table->columns[i]->name);
		if (is_null[i])
			appendStringInfoString(out, "null");
		else
			cdc_json_value(out, table->columns[i], &fields->values[i]);
	}
	appendStringInfoChar(out, '}');
	if (!any)
		out->len = start;
}

/* Which nulls in `new` are NULL, where a value may be null as well. */
static void
member_nulls(StringInfo out, const Cdc__V1__Table *table, const uint32 *nulls, size_t n_nulls)
{
	int			start = out->len;
	const char *separator = "";
	bool	   *is_null = palloc0(sizeof(bool) * Max(table->n_columns, 1));

	for (size_t i = 0; i < n_nulls; i++)
		is_null[cdc_column_place(table, nulls[i])] = true;
	member(out, "nulls");
	appendStringInfoChar(out, '[');
	for (size_t i = 0; i < table->n_columns; i++)
	{
		const Cdc__V1__Column *column = table->columns[i];

		if (!is_null[i] || column->type != CDC__V1__TYPE__TYPE_JSON)
			continue;
		appendStringInfoString(out, separator);
		cdc_json_string(out, column->name, strlen(column->name));
		separator = ",";
	}
	appendStringInfoChar(out, ']');
	if (*separator == '\0')
		out->len = start;
}

/* The last part of an enum value's name, in lower case: REDACTION_MASK gives
 * mask. */
static void
append_enum(StringInfo out, const ProtobufCEnumDescriptor *descriptor, int value, int prefix_len,
			bool lower)
{
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);

	if (found == NULL)
	{
		appendStringInfo(out, "%d", value);
		return;
	}
	for (const char *p = found->name + prefix_len; *p != '\0'; p++)
		appendStringInfoChar(out, lower ? pg_tolower((unsigned char) *p) : *p);
}

#define ENUM_NAME(out, descriptor, prefix, value, lower) \
	append_enum((out), &(descriptor), (value), (int) strlen(prefix), (lower))

/* What stands in place of redacted columns, in any of the event's rows. */
static void
member_redacted(StringInfo out, const Cdc__V1__Table *table, const Fields *rows, int nrows)
{
	int			start = out->len;
	bool		any = false;

	member(out, "redacted");
	appendStringInfoChar(out, '{');
	for (size_t i = 0; i < table->n_columns; i++)
	{
		if (table->columns[i]->redaction == CDC__V1__REDACTION__REDACTION_UNSPECIFIED)
			continue;
		any = true;
		member_any(out, table->columns[i]->name);
		appendStringInfoChar(out, '{');
		member(out, "method");
		appendStringInfoChar(out, '"');
		ENUM_NAME(out, cdc__v1__redaction__descriptor, "REDACTION_",
				  table->columns[i]->redaction, true);
		appendStringInfoChar(out, '"');
		for (int row = 0; row < nrows; row++)
		{
			static const char *const names[] = {"key", "new_key", "old", "new"};

			if (!rows[row].redacted_present[i])
				continue;
			member(out, names[row]);
			cdc_json_string(out, rows[row].redacted[i].data, rows[row].redacted[i].len);
		}
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, '}');
	if (!any)
		out->len = start;
}

static void
member_unavailable(StringInfo out, const Cdc__V1__Table *table, const Cdc__V1__ChangeEvent *e)
{
	if (e->n_unavailable == 0)
		return;
	member(out, "unavailable");
	appendStringInfoChar(out, '[');
	for (size_t i = 0; i < e->n_unavailable; i++)
	{
		int			at = cdc_column_place(table, e->unavailable[i]);

		if (at < 0)
			cdc_json_damaged("unavailable column that the schema does not have");
		if (i > 0)
			appendStringInfoChar(out, ',');
		cdc_json_string(out, table->columns[at]->name, strlen(table->columns[at]->name));
	}
	appendStringInfoChar(out, ']');
}

static void
member_relation(StringInfo out, const Cdc__V1__Table *table, uint64 fingerprint)
{
	StringInfoData name;

	initStringInfo(&name);
	cdc_append_qualified(&name, table->schema, table->name);
	member_string(out, "relation", name.data);
	member(out, "fingerprint");
	appendStringInfo(out, "\"" CDC_FINGERPRINT_FORMAT "\"", fingerprint);
}

static void
member_metadata(StringInfo out, const Cdc__V1__Transaction *t)
{
	if (t == NULL || t->n_metadata == 0)
		return;
	member(out, "metadata");
	appendStringInfoChar(out, '{');
	for (size_t i = 0; i < t->n_metadata; i++)
	{
		member_any(out, t->metadata[i]->key);
		cdc_json_string(out, t->metadata[i]->value, strlen(t->metadata[i]->value));
	}
	appendStringInfoChar(out, '}');
}

/* What a command has made of the relation. */
static void
members_of_schema_change(StringInfo out, const Cdc__V1__SchemaChange *change)
{
	member(out, "change");
	appendStringInfoChar(out, '"');
	ENUM_NAME(out, cdc__v1__schema_change_kind__descriptor, "SCHEMA_CHANGE_KIND_", change->kind, true);
	appendStringInfoChar(out, '"');
	member_string(out, "command", change->command_tag);
	if (*change->former_name != '\0')
	{
		StringInfoData name;

		initStringInfo(&name);
		cdc_append_qualified(&name, change->former_schema, change->former_name);
		member_string(out, "former_relation", name.data);
	}
}

/* What the operation adds. */
static void
members_of_op(StringInfo out, const Cdc__V1__ChangeEvent *e)
{
	if (e->truncate != NULL && e->truncate->cascade)
	{
		member(out, "cascade");
		appendStringInfoString(out, "true");
	}
	if (e->truncate != NULL && e->truncate->restart_identity)
	{
		member(out, "restart_identity");
		appendStringInfoString(out, "true");
	}
	if (e->message != NULL)
	{
		member(out, "transactional");
		appendStringInfoString(out, e->message->transactional ? "true" : "false");
		member_string(out, "prefix", e->message->prefix);
		member(out, "content");
		cdc_json_hex(out, e->message->content.data, e->message->content.len);
	}
	if (e->failure != NULL)
	{
		member(out, "failure");
		appendStringInfoChar(out, '{');
		member_string(out, "sqlstate", e->failure->sqlstate);
		member_string(out, "message", e->failure->message);
		if (e->failure->column != 0)
		{
			member(out, "column");
			appendStringInfo(out, "%u", e->failure->column);
		}
		appendStringInfoChar(out, '}');
	}
	if (e->schema_change != NULL)
		members_of_schema_change(out, e->schema_change);
	if (e->rewrite_start)
	{
		member(out, "rewrite_start");
		appendStringInfoString(out, "true");
	}
}

static void
begin_line(Line *line)
{
	resetStringInfo(&line->out);
	appendStringInfoChar(&line->out, '{');
}

/* Members that events and outcomes share. */
static void
members_of_transaction(StringInfo out, const Cdc__V1__Transaction *t)
{
	if (t == NULL)
		return;
	member(out, "xid");
	appendStringInfo(out, "%u", t->xid);
	if (t->commit_time != 0)
	{
		member(out, "commit_time");
		cdc_json_unix_time(out, t->commit_time);
	}
}

static void
render_event(Line *line, CdcSchemas *schemas, const Cdc__V1__Batch *batch,
			 const Cdc__V1__ChangeEvent *e)
{
	StringInfo	out = &line->out;
	const Cdc__V1__Transaction *t = batch->transaction;
	uint64		lsn = (t != NULL ? t->first_lsn : 0) + e->lsn_offset;

	begin_line(line);
	/* what is read has no place in the WAL */
	if (e->op != CDC__V1__OP__OP_READ)
	{
		member(out, "position");
		appendStringInfoChar(out, '"');
		cdc_json_lsn(out, t != NULL ? t->commit_lsn : lsn);
		appendStringInfoChar(out, '/');
		cdc_json_lsn(out, lsn);
		appendStringInfo(out, "/%u\"", e->index);
	}
	members_of_transaction(out, t);
	member(out, "op");
	appendStringInfoChar(out, '"');
	ENUM_NAME(out, cdc__v1__op__descriptor, "OP_", e->op, false);
	appendStringInfoChar(out, '"');
	if (e->schema != 0)
	{
		const Cdc__V1__Table *table = cdc_schemas_find(schemas, e->schema);
		Fields		rows[4];	/* key, new_key, old, new */

		if (table == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("schema with fingerprint " CDC_FINGERPRINT_FORMAT " is missing",
							e->schema),
					 errhint("It came in an earlier batch of the connection; with the option schemas = 'batch' every batch has what it needs.")));
		read_row(&rows[0], table, e->key);
		read_row(&rows[1], table, e->new_key);
		read_row(&rows[2], table, e->old);
		read_row(&rows[3], table, e->new_);
		member_relation(out, table, e->schema);
		member_row(out, "key", table, &rows[0], NULL, 0);
		member_row(out, "new_key", table, &rows[1], NULL, 0);
		member_row(out, "old", table, &rows[2], NULL, 0);
		member_row(out, "new", table, &rows[3], e->nulls, e->n_nulls);
		member_nulls(out, table, e->nulls, e->n_nulls);
		member_redacted(out, table, rows, lengthof(rows));
		member_unavailable(out, table, e);
	}
	member_metadata(out, t);
	members_of_op(out, e);
	appendStringInfoChar(out, '}');
	emit_line(line);
}

static void
render_outcome(Line *line, const Cdc__V1__Batch *batch)
{
	StringInfo	out = &line->out;
	const Cdc__V1__Transaction *t = batch->transaction;

	begin_line(line);
	members_of_transaction(out, t);
	member(out, "op");
	appendStringInfoChar(out, '"');
	ENUM_NAME(out, cdc__v1__outcome__descriptor, "OUTCOME_", batch->outcome, false);
	appendStringInfoChar(out, '"');
	if (*t->origin != '\0')
		member_string(out, "origin", t->origin);
	if (*t->gid != '\0')
		member_string(out, "gid", t->gid);
	member_metadata(out, t);
	if (t->commit_lsn != 0)
		member_lsn(out, "commit_lsn", t->commit_lsn);
	if (t->prepare_lsn != 0)
		member_lsn(out, "prepare_lsn", t->prepare_lsn);
	member_lsn(out, "end_lsn", batch->end_lsn);
	member(out, "event_count");
	appendStringInfo(out, UINT64_FORMAT "}", batch->event_count);
	emit_line(line);
}

/* A batch without its events. They are unpacked one by one, since an event of a
 * few bytes takes hundreds when it is unpacked. */
static Cdc__V1__Batch *
unpack_frame(const void *data, size_t len)
{
	CdcCursor	cursor = cdc_cursor(data, len);
	CdcField	field;
	const char *start = cursor.p;
	StringInfoData frame;
	Cdc__V1__Batch *batch;

	initStringInfo(&frame);
	for (; cdc_read_field(&cursor, &field); start = cursor.p)
		if (field.number != CDC_BATCH_EVENTS)
			appendBinaryStringInfo(&frame, start, (int) (cursor.p - start));
	if (cursor.error != NULL)
		cdc_json_damaged(cursor.error);
	batch = cdc__v1__batch__unpack(CDC_PB_ALLOCATOR, frame.len, (const uint8_t *) frame.data);
	pfree(frame.data);
	if (batch == NULL)
		cdc_json_damaged("bytes are not a Batch message");
	return batch;
}

static void
unpack_and_render_event(Line *line, CdcSchemas *schemas, const Cdc__V1__Batch *batch,
						const CdcField *bytes)
{
	Cdc__V1__ChangeEvent *e = NULL;

	if (bytes->type == CDC_WIRE_LEN)
		e = cdc__v1__change_event__unpack(CDC_PB_ALLOCATOR, bytes->len, (const uint8_t *) bytes->data);
	if (e == NULL)
		cdc_json_damaged("bytes are not a ChangeEvent message");
	render_event(line, schemas, batch, e);
}

void
cdc_json_batch(CdcSchemas *schemas, const void *data, size_t len, CdcJsonEmit emit, void *arg)
{
	Cdc__V1__Batch *batch = unpack_frame(data, len);
	CdcCursor	cursor;
	CdcField	field;
	MemoryContext event_cxt;
	MemoryContext oldcxt;
	Line		line = {.emit = emit, .arg = arg};

	if (batch->compressed.len > 0)
	{
		len = batch->raw_size;
		data = cdc_decompress_batch(batch);
		batch = data == NULL ? NULL : unpack_frame(data, len);
		if (batch == NULL || batch->compressed.len > 0)
			cdc_json_damaged("batch does not decompress");
	}
	cursor = cdc_cursor(data, len);
	for (size_t i = 0; i < batch->n_schemas; i++)
		cdc_schemas_add(schemas, batch->schemas[i]);

	initStringInfo(&line.out);
	event_cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc json event",
									  ALLOCSET_DEFAULT_SIZES);
	while (cdc_read_field(&cursor, &field))
	{
		if (field.number != CDC_BATCH_EVENTS)
			continue;
		CHECK_FOR_INTERRUPTS();
		oldcxt = MemoryContextSwitchTo(event_cxt);
		unpack_and_render_event(&line, schemas, batch, &field);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(event_cxt);
	}
	if (batch->transaction != NULL && batch->outcome != CDC__V1__OUTCOME__OUTCOME_OPEN)
		render_outcome(&line, batch);
	MemoryContextDelete(event_cxt);
}

void
cdc_json_table(StringInfo out, const Cdc__V1__Table *table)
{
	appendStringInfoChar(out, '{');
	member_string(out, "schema", table->schema);
	member_string(out, "name", table->name);
	member(out, "replica_identity");
	appendStringInfoChar(out, '"');
	ENUM_NAME(out, cdc__v1__replica_identity__descriptor, "REPLICA_IDENTITY_",
			  table->replica_identity, true);
	appendStringInfoChar(out, '"');
	member(out, "columns");
	appendStringInfoChar(out, '[');
	for (size_t i = 0; i < table->n_columns; i++)
	{
		const Cdc__V1__Column *c = table->columns[i];
		const struct
		{
			const char *name;
			bool		set;
		}			flags[] = {{"key", c->key}, {"not_null", c->not_null}, {"generated", c->generated},
			{"missing_unavailable", c->missing_unavailable}};

		appendStringInfoString(out, i > 0 ? ",{" : "{");
		member(out, "number");
		appendStringInfo(out, "%u", c->number);
		member_string(out, "name", c->name);
		member(out, "type");
		appendStringInfoChar(out, '"');
		ENUM_NAME(out, cdc__v1__type__descriptor, "TYPE_", c->type, false);
		appendStringInfoChar(out, '"');
		member_string(out, "pg_type", c->pg_type);
		if (c->element != CDC__V1__TYPE__TYPE_UNSPECIFIED)
		{
			member(out, "element");
			appendStringInfoChar(out, '"');
			ENUM_NAME(out, cdc__v1__type__descriptor, "TYPE_", c->element, false);
			appendStringInfoChar(out, '"');
		}
		for (int f = 0; f < lengthof(flags); f++)
		{
			if (!flags[f].set)
				continue;
			member(out, flags[f].name);
			appendStringInfoString(out, "true");
		}
		if (c->redaction != CDC__V1__REDACTION__REDACTION_UNSPECIFIED)
		{
			member(out, "redaction");
			appendStringInfoChar(out, '"');
			ENUM_NAME(out, cdc__v1__redaction__descriptor, "REDACTION_", c->redaction, true);
			appendStringInfoChar(out, '"');
		}
		if (c->missing.len > 0)
		{
			CdcCursor	cursor = cdc_cursor(c->missing.data, c->missing.len);
			CdcField	field;

			if (!cdc_read_field(&cursor, &field))
				cdc_json_damaged("value of older rows is not a row");
			member(out, "missing");
			if (field.number > CDC_REDACTED_BASE && field.type == CDC_WIRE_LEN)
				cdc_json_string(out, field.data, field.len);
			else
				cdc_json_value(out, c, &field);
		}
		appendStringInfoChar(out, '}');
	}
	appendStringInfoString(out, "]}");
}
