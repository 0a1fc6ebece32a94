/*
 * event.c
 *	  Writes ChangeEvents.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"

#include "rows/event.h"
#include "wire/fields.h"
#include "wire/wire.h"

static int
begin_event(StringInfo out, const CdcEventHead *head, uint64 fingerprint)
{
	int			body = cdc_msg_begin(out, CDC_BATCH_EVENTS);

	cdc_field_uint(out, CDC_EVENT_OP, head->op);
	cdc_field_uint_opt(out, CDC_EVENT_LSN_OFFSET, head->lsn_offset);
	cdc_field_uint_opt(out, CDC_EVENT_INDEX, head->index);
	cdc_field_fixed64_opt(out, CDC_EVENT_SCHEMA, fingerprint);
	return body;
}

static inline void
write_key(StringInfo out, uint32 field, CdcChange *c, const CdcRow *row)
{
	(void) cdc_row_write(out, field, c->table->keys, c->table->nkeys, row, NULL, &c->failing);
}

static inline bool
write_rest(StringInfo out, uint32 field, CdcChange *c, const CdcRow *row, const bool *only)
{
	return cdc_row_write(out, field, c->table->others, c->table->nothers, row, only, &c->failing);
}

/* Lists the columns for which `wanted` says so; `only` as in cdc_row_write(). */
static void
write_attnums(StringInfo out, uint32 field, const CdcTable *table, const CdcRow *row,
			  bool (*wanted) (const CdcColumn *column, const CdcRow *row),
			  const bool *only)
{
	uint32		attnums[MaxTupleAttributeNumber];
	int			n = 0;

	for (int i = 0; i < table->nothers; i++)
	{
		const CdcColumn *column = &table->others[i];

		if ((only == NULL || only[column->attnum - 1]) && wanted(column, row))
			attnums[n++] = column->attnum;
	}
	cdc_field_packed(out, field, attnums, n);
}

static bool
is_null(const CdcColumn *column, const CdcRow *row)
{
	return row->isnull[column->attnum - 1];
}

static bool
is_unavailable(const CdcColumn *column, const CdcRow *row)
{
	return !row->isnull[column->attnum - 1] &&
		cdc_value_not_logged(column, row->values[column->attnum - 1]);
}

/* Reads values that are stored out of line. */
static void
fetch_values(const CdcTable *table, const CdcRow *row)
{
	for (int i = 0; i < table->nvarlena; i++)
	{
		int			at = table->varlena[i] - 1;

		if (!row->isnull[at] && VARATT_IS_EXTERNAL(DatumGetPointer(row->values[at])))
			row->values[at] = PointerGetDatum(detoast_external_attr((struct varlena *)
																	DatumGetPointer(row->values[at])));
	}
}

/* INSERT, READ, REWRITE: the whole row. */
static void
write_insert(StringInfo out, CdcChange *c)
{
	bool		unavailable;

	if (c->fetch)
		fetch_values(c->table, c->after);
	write_key(out, CDC_EVENT_KEY, c, c->after);
	unavailable = write_rest(out, CDC_EVENT_NEW, c, c->after, NULL);
	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, c->head.subxid);
	if (unavailable)
		write_attnums(out, CDC_EVENT_UNAVAILABLE, c->table, c->after, is_unavailable, NULL);
}

/* A key value that the change did not touch may be TOASTed: it is the same as
 * before. */
static void
complete_key(const CdcTable *table, const CdcRow *before, const CdcRow *after)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		int			at = table->keys[i].attnum - 1;

		if (!after->isnull[at] && !before->isnull[at] &&
			cdc_value_not_logged(&table->keys[i], after->values[at]))
			after->values[at] = before->values[at];
	}
}

/* What identifies the row before the change where it cannot be a key. */
static void
write_identity(StringInfo out, CdcChange *c)
{
	if (c->table->identity != NULL)
		(void) write_rest(out, CDC_EVENT_OLD, c, c->before, c->table->identity);
}

static void
write_update(StringInfo out, CdcChange *c)
{
	const CdcTable *table = c->table;
	bool		full = c->before != NULL && table->replident == REPLICA_IDENTITY_FULL;
	bool		new_key;
	const bool *only = NULL;

	if (c->before != NULL)
	{
		complete_key(table, c->before, c->after);
		new_key = cdc_delta(table->keys, table->nkeys, c->before, c->after, c->changed);
		write_key(out, CDC_EVENT_KEY, c, c->before);
	}
	else
	{
		/* Not logged: the key did not change, unless nothing ever is. */
		new_key = table->replident == REPLICA_IDENTITY_NOTHING;
		if (!new_key)
			write_key(out, CDC_EVENT_KEY, c, c->after);
	}
	if (full)
	{
		(void) cdc_delta(table->others, table->nothers, c->before, c->after, c->changed);
		only = c->changed;
		(void) write_rest(out, CDC_EVENT_OLD, c, c->before,
						  c->old_full || table->nkeys == 0 ? NULL : only);
	}
	else if (c->before != NULL)
		write_identity(out, c);
	(void) write_rest(out, CDC_EVENT_NEW, c, c->after, only);
	write_attnums(out, CDC_EVENT_NULLS, table, c->after, is_null, only);
	if (new_key)
		write_key(out, CDC_EVENT_NEW_KEY, c, c->after);
	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, c->head.subxid);
}

static void
write_delete(StringInfo out, CdcChange *c)
{
	if (c->before != NULL)
	{
		write_key(out, CDC_EVENT_KEY, c, c->before);
		if (c->table->replident == REPLICA_IDENTITY_FULL)
			(void) write_rest(out, CDC_EVENT_OLD, c, c->before, NULL);
		else
			write_identity(out, c);
	}
	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, c->head.subxid);
}

void
cdc_event_change(StringInfo out, CdcChange *c)
{
	int			body = begin_event(out, &c->head, c->table->fingerprint);

	if (c->head.op == CDC__V1__OP__OP_DELETE)
		write_delete(out, c);
	else if (c->head.op == CDC__V1__OP__OP_UPDATE)
		write_update(out, c);
	else
		write_insert(out, c);
	cdc_field_uint_opt(out, CDC_EVENT_REWRITE_START, c->rewrite_start);
	cdc_msg_end(out, body);
}

void
cdc_event_truncate(StringInfo out, const CdcEventHead *head, const CdcTable *table,
				   bool cascade, bool restart_identity)
{
	int			body = begin_event(out, head, table->fingerprint);
	int			truncate;

	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, head->subxid);
	truncate = cdc_msg_begin(out, CDC_EVENT_TRUNCATE);
	cdc_field_uint_opt(out, CDC_TRUNCATE_CASCADE, cascade);
	cdc_field_uint_opt(out, CDC_TRUNCATE_RESTART_IDENTITY, restart_identity);
	cdc_msg_end(out, truncate);
	cdc_msg_end(out, body);
}

void
cdc_event_schema(StringInfo out, const CdcTable *table)
{
	int			body = cdc_msg_begin(out, CDC_BATCH_SCHEMAS);

	cdc_field_fixed64(out, CDC_SCHEMA_VERSION_FINGERPRINT, table->fingerprint);
	cdc_field_bytes(out, CDC_SCHEMA_VERSION_TABLE, table->descriptor, table->descriptor_len);
	cdc_field_uint_opt(out, CDC_SCHEMA_VERSION_VERSION, table->version);
	cdc_field_string_opt(out, CDC_SCHEMA_VERSION_UNMAPPED, table->unmapped);
	cdc_msg_end(out, body);
}

void
cdc_event_schema_change(StringInfo out, const CdcEventHead *head, const CdcTable *table,
						const CdcSchemaChange *change)
{
	int			body = begin_event(out, head, table == NULL ? 0 : table->fingerprint);
	int			message;

	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, head->subxid);
	message = cdc_msg_begin(out, CDC_EVENT_SCHEMA_CHANGE);
	cdc_field_uint_opt(out, CDC_SCHEMA_CHANGE_KIND, change->kind);
	cdc_field_string_opt(out, CDC_SCHEMA_CHANGE_COMMAND_TAG, change->command_tag);
	cdc_field_string_opt(out, CDC_SCHEMA_CHANGE_FORMER_SCHEMA, change->former_schema);
	cdc_field_string_opt(out, CDC_SCHEMA_CHANGE_FORMER_NAME, change->former_name);
	cdc_msg_end(out, message);
	cdc_msg_end(out, body);
}

static void
write_failure(StringInfo out, const char *sqlstate, const char *message, AttrNumber column)
{
	int			body = cdc_msg_begin(out, CDC_EVENT_FAILURE);

	cdc_field_string_opt(out, CDC_FAILURE_SQLSTATE, sqlstate);
	cdc_field_string_opt(out, CDC_FAILURE_MESSAGE, message);
	cdc_field_uint_opt(out, CDC_FAILURE_COLUMN, column);
	cdc_msg_end(out, body);
}

void
cdc_event_message(StringInfo out, const CdcEventHead *head, bool transactional,
				  const char *prefix, const char *content, Size len, Size max_len)
{
	int			body = begin_event(out, head, 0);
	int			message;
	bool		fits = prefix != NULL && len + strlen(prefix) <= max_len;

	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, head->subxid);
	message = cdc_msg_begin(out, CDC_EVENT_MESSAGE);
	cdc_field_uint_opt(out, CDC_MESSAGE_TRANSACTIONAL, transactional);
	cdc_field_string_opt(out, CDC_MESSAGE_PREFIX, prefix);
	if (fits)
		cdc_field_bytes_opt(out, CDC_MESSAGE_CONTENT, content, (int) len);
	cdc_msg_end(out, message);
	if (!fits)
		write_failure(out, "54000", "logical message is too large for one event", 0);
	cdc_msg_end(out, body);
}

void
cdc_event_failure(StringInfo out, CdcChange *c, bool with_key,
				  const char *sqlstate, const char *message, AttrNumber column)
{
	int			body = begin_event(out, &c->head, c->table->fingerprint);

	if (with_key)
	{
		if (c->before != NULL)
			write_key(out, CDC_EVENT_KEY, c, c->before);
		else if (c->after != NULL && (c->head.op != CDC__V1__OP__OP_UPDATE ||
									  c->table->replident != REPLICA_IDENTITY_NOTHING))
			write_key(out, CDC_EVENT_KEY, c, c->after);
	}
	cdc_field_uint_opt(out, CDC_EVENT_SUBXID, c->head.subxid);
	write_failure(out, sqlstate, message, column);
	cdc_field_uint_opt(out, CDC_EVENT_REWRITE_START, c->rewrite_start);
	cdc_msg_end(out, body);
}
