/*
 * command.c
 *	  Writes and reads the messages of commands.
 *
 * A message is 32 bytes of HMAC-SHA-256 and a body in the encoding of Protobuf.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_event_trigger.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "session/command.h"
#include "util/settings.h"
#include "util/utf8.h"
#include "wire/wire.h"

/* Fields of the body. */
enum
{
	COMMAND_TAG = 1,
	COMMAND_RELID = 2,			/* repeated, as the next one */
	COMMAND_TYPES_OF_RELID = 3,
	COMMAND_XID = 4				/* of the top-level transaction */
};

bool
cdc_command_key(CdcHmacKey *key)
{
	Relation	rel = cdc_exttable_open("message_secret", AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tup;
	bool		found = false;

	if (rel == NULL)
		return false;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	if (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		isnull;
		bytea	   *secret = DatumGetByteaPP(heap_getattr(tup, Anum_cdc_message_secret_secret,
														  RelationGetDescr(rel), &isnull));

		found = VARSIZE_ANY_EXHDR(secret) == CDC_HMAC_BYTES;
		if (found)
			cdc_hmac_prepare(key, (const uint8 *) VARDATA_ANY(secret), CDC_HMAC_BYTES);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

bool
cdc_commands_tracked(void)
{
	HeapTuple	tup = SearchSysCache1(EVENTTRIGGERNAME, CStringGetDatum("cdc_track_schema"));
	bool		enabled;

	if (!HeapTupleIsValid(tup))
		return false;
	enabled = ((Form_pg_event_trigger) GETSTRUCT(tup))->evtenabled != TRIGGER_DISABLED;
	ReleaseSysCache(tup);
	return enabled && cdc_track_schema;
}

void
cdc_command_log(const CdcHmacKey *key, const CdcCommand *command)
{
	StringInfoData body;
	StringInfoData message;
	uint8		digest[CDC_HMAC_BYTES];

	initStringInfo(&body);
	cdc_field_string_opt(&body, COMMAND_TAG, command->tag);
	for (int i = 0; i < command->n; i++)
		cdc_field_uint(&body, command->touched[i].types ? COMMAND_TYPES_OF_RELID : COMMAND_RELID,
					   command->touched[i].relid);
	cdc_field_uint(&body, COMMAND_XID, GetTopTransactionId());
	cdc_hmac(key, body.data, body.len, digest);
	initStringInfo(&message);
	appendBinaryStringInfo(&message, (const char *) digest, sizeof(digest));
	appendBinaryStringInfo(&message, body.data, body.len);
	(void) cdc_log_message(CDC_COMMAND_PREFIX, message.data, message.len);
	/* A message counts at the end of its record, where the next one of the transaction may
	 * start: this one stands between. */
	(void) cdc_log_message(CDC_COMMAND_PREFIX, "", 0);
}

/* In a time that does not say where they differ. */
static bool
is_same(const uint8 *digest, const uint8 *given)
{
	uint8		bits = 0;

	for (int i = 0; i < CDC_HMAC_BYTES; i++)
		bits |= digest[i] ^ given[i];
	return bits == 0;
}

bool
cdc_command_read(CdcCommand *command, const CdcHmacKey *key, TransactionId xid,
				 const char *content, Size size)
{
	uint8		digest[CDC_HMAC_BYTES];
	const char *body = content + CDC_HMAC_BYTES;
	TransactionId written_by = InvalidTransactionId;
	CdcCursor	cursor;
	CdcField	field;

	memset(command, 0, sizeof(CdcCommand));
	if (size < CDC_HMAC_BYTES)
		return false;
	size -= CDC_HMAC_BYTES;
	cdc_hmac(key, body, size, digest);
	if (!is_same(digest, (const uint8 *) content))
		return false;
	cursor = cdc_cursor(body, size);
	/* a relation takes two bytes at least */
	command->touched = palloc(sizeof(CdcTouched) * (size / 2 + 1));
	while (cdc_read_field(&cursor, &field))
	{
		if (field.number == COMMAND_TAG)
			command->tag = cdc_utf8_escaped(pnstrdup(field.data, field.len));
		else if (field.number == COMMAND_RELID || field.number == COMMAND_TYPES_OF_RELID)
			command->touched[command->n++] =
				(CdcTouched) {(Oid) field.value, field.number == COMMAND_TYPES_OF_RELID};
		else if (field.number == COMMAND_XID)
			written_by = (TransactionId) field.value;
	}
	return written_by == xid;
}
