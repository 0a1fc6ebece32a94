/*
 * event.h
 *	  ChangeEvents: which columns go where, for each operation and replica
 *	  identity.
 */
#ifndef CDC_EVENT_H
#define CDC_EVENT_H

#include "delta.h"
#include "row.h"

/* Field numbers of the messages that are written by hand; test/unit compares
 * them with the .proto. */
enum
{
	CDC_BATCH_TRANSACTION = 1,
	CDC_BATCH_PART = 2,
	CDC_BATCH_OUTCOME = 3,
	CDC_BATCH_END_LSN = 4,
	CDC_BATCH_EVENT_COUNT = 5,
	CDC_BATCH_SCHEMAS = 6,
	CDC_BATCH_EVENTS = 7,
	CDC_BATCH_ROLLED_BACK_XIDS = 8,
	CDC_BATCH_SOURCE = 9,
	CDC_BATCH_CODEC = 10,
	CDC_BATCH_COMPRESSED = 11,
	CDC_BATCH_RAW_SIZE = 12,
	CDC_BATCH_SNAPSHOT = 13,

	CDC_SNAPSHOT_XMIN = 1,
	CDC_SNAPSHOT_XMAX = 2,
	CDC_SNAPSHOT_XIP = 3,

	CDC_TRANSACTION_XID = 1,
	CDC_TRANSACTION_FIRST_LSN = 2,
	CDC_TRANSACTION_COMMIT_LSN = 3,
	CDC_TRANSACTION_COMMIT_TIME = 4,
	CDC_TRANSACTION_ORIGIN = 5,
	CDC_TRANSACTION_GID = 6,
	CDC_TRANSACTION_METADATA = 7,
	CDC_TRANSACTION_PREPARE_LSN = 8,
	CDC_MAP_KEY = 1,
	CDC_MAP_VALUE = 2,

	CDC_METADATA_XID = 1,
	CDC_METADATA_KEY = 2,
	CDC_METADATA_VALUE = 3,

	CDC_SCHEMA_VERSION_FINGERPRINT = 1,
	CDC_SCHEMA_VERSION_TABLE = 2,
	CDC_SCHEMA_VERSION_VERSION = 3,
	CDC_SCHEMA_VERSION_UNMAPPED = 4,

	CDC_EVENT_OP = 1,
	CDC_EVENT_LSN_OFFSET = 2,
	CDC_EVENT_INDEX = 3,
	CDC_EVENT_SCHEMA = 4,
	CDC_EVENT_KEY = 5,
	CDC_EVENT_OLD = 6,
	CDC_EVENT_NEW = 7,
	CDC_EVENT_NULLS = 8,
	CDC_EVENT_NEW_KEY = 9,
	CDC_EVENT_SUBXID = 10,
	CDC_EVENT_UNAVAILABLE = 11,
	CDC_EVENT_TRUNCATE = 12,
	CDC_EVENT_MESSAGE = 13,
	CDC_EVENT_FAILURE = 14,
	CDC_EVENT_REWRITE_START = 15,

	CDC_TRUNCATE_CASCADE = 1,
	CDC_TRUNCATE_RESTART_IDENTITY = 2,

	CDC_MESSAGE_TRANSACTIONAL = 1,
	CDC_MESSAGE_PREFIX = 2,
	CDC_MESSAGE_CONTENT = 3,

	CDC_FAILURE_SQLSTATE = 1,
	CDC_FAILURE_MESSAGE = 2,
	CDC_FAILURE_COLUMN = 3
};

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

/* In place of a change that could not be written. With `with_key` the key
 * before the change is tried, which may raise again. */
extern void cdc_event_failure(StringInfo out, CdcChange *change, bool with_key,
							  const char *sqlstate, const char *message, AttrNumber column);

#endif							/* CDC_EVENT_H */
