/*
 * event.h
 *	  ChangeEvents: which columns go where, for each operation and replica
 *	  identity.
 */
#ifndef CDC_EVENT_H
#define CDC_EVENT_H

#include "rows/delta.h"
#include "rows/row.h"
#include "wire/fields.h"

/* Bytes that an event may take: a message to the client, and the StringInfo it is
 * made in, end at 1 GB. */
#define CDC_MAX_EVENT (1000 * 1024 * 1024)

/* What all events have in common. */
typedef struct CdcEventHead
{
	Cdc__V1__Op op;
	uint64		lsn_offset;
	uint32		index;
	TransactionId subxid;		/* invalid: the transaction is not streamed */
} CdcEventHead;

/* A change of a row. `before` and `after` are NULL where the WAL has none. */
typedef struct CdcChange
{
	CdcEventHead head;
	const CdcTable *table;
	const CdcRow *before;
	const CdcRow *after;
	bool		old_full;		/* under FULL send the whole former row */
	bool		rewrite_start;
	bool		fetch;			/* values out of line are there to be read */
	bool	   *changed;		/* scratch, indexed by attnum - 1 */
	AttrNumber	failing;		/* the column being written, 0 = none */
} CdcChange;

/* Each appends one event as field `events` of a Batch. An ERROR leaves the
 * StringInfo with a partial event at its end: the caller cuts it off. A
 * message beyond max_len, or without a prefix (NULL: it is too long), is
 * replaced by a failure. */
extern void cdc_event_change(StringInfo out, CdcChange *change);
extern void cdc_event_truncate(StringInfo out, const CdcEventHead *head,
							   const CdcTable *table, bool cascade, bool restart_identity);
extern void cdc_event_message(StringInfo out, const CdcEventHead *head, bool transactional,
							  const char *prefix, const char *content, Size len,
							  Size max_len);

/* Appends the table's schema as field `schemas` of a Batch. */
extern void cdc_event_schema(StringInfo out, const CdcTable *table);

/* What a command has made of a relation. */
typedef struct CdcSchemaChange
{
	Cdc__V1__SchemaChangeKind kind;
	const char *command_tag;
	const char *former_schema;	/* NULL: the same */
	const char *former_name;
} CdcSchemaChange;

/* `table` is NULL where no more rows come. */
extern void cdc_event_schema_change(StringInfo out, const CdcEventHead *head, const CdcTable *table,
									const CdcSchemaChange *change);

/* In place of a change that could not be written. With `with_key` the key
 * before the change is tried, which may raise again. */
extern void cdc_event_failure(StringInfo out, CdcChange *change, bool with_key,
							  const char *sqlstate, const char *message, AttrNumber column);

#endif							/* CDC_EVENT_H */
