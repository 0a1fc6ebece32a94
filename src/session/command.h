/*
 * command.h
 *	  The logical message by which a command says which relations it may have changed.
 *
 * Anybody can emit one: under the secret in cdc.message_secret it is the extension's, and of
 * this transaction. It says no more than where to look.
 */
#ifndef CDC_COMMAND_H
#define CDC_COMMAND_H

#include "nodes/pg_list.h"

#include "redact/hmac.h"

/* Prefix of these messages. */
#define CDC_COMMAND_PREFIX "cdc.schema"

/* A relation that a command may have changed. */
typedef struct CdcTouched
{
	Oid			relid;
	bool		types;			/* values of its types may read otherwise */
} CdcTouched;

typedef struct CdcCommand
{
	const char *tag;			/* UTF-8 */
	int			n;
	CdcTouched *touched;
} CdcCommand;

/* The secret; false where there is none. Needs a transaction, and no historic snapshot. */
extern bool cdc_command_key(CdcHmacKey *key);

/* Whether commands of this database are noted, as far as this session can tell. Needs a
 * transaction. */
extern bool cdc_commands_tracked(void);

/* Writes the message of a command of the current transaction into the WAL. */
extern void cdc_command_log(const CdcHmacKey *key, const CdcCommand *command);

/* Reads it, of a transaction with that top-level xid; false where it is none. Allocated in the
 * current memory context. */
extern bool cdc_command_read(CdcCommand *command, const CdcHmacKey *key, TransactionId xid,
							 const char *content, Size size);

#endif							/* CDC_COMMAND_H */
