/*
 * options.h
 *	  The options that are stored for a slot, and those that a client gives with
 *	  START_REPLICATION or to the SQL functions.
 */
#ifndef CDC_OPTIONS_H
#define CDC_OPTIONS_H

#include "nodes/pg_list.h"
#include "utils/array.h"

#include "cdc/v1/cdc.pb-c.h"

typedef struct CdcOptions
{
	int			proto_version;	/* of the wire format: 1 */
	int			batch_bytes;	/* a batch is closed when its events take more */
	bool		schemas_batch;	/* every batch carries all schemas it needs */
	bool		old_full;		/* under FULL, UPDATE sends the whole old row */
	bool		json;			/* format = 'json' */
	bool		rewrites;		/* send the rows of table rewrites */
	bool		streaming;		/* send transactions while they are in progress */
	bool		two_phase;		/* send transactions when they are prepared */
	bool		stop_on_error;	/* on_error = 'stop' */
	bool		all_messages;	/* messages = '*' */
	List	   *messages;		/* prefixes (char *) to send */
	bool		local_only;		/* origin = 'none' */
	List	   *publications;	/* names (char *) */
	List	   *tables;			/* patterns, see pattern.h */
	List	   *exclude_tables;
	Cdc__V1__Codec compression; /* UNSPECIFIED: none */
	List	   *versions;		/* see requested.h */
	bool		schema_changes; /* send OP_SCHEMA */
	bool		versions_stored;	/* for the slot */
} CdcOptions;

/* The defaults, then what is stored for the slot, then what the client gives
 * (lists of DefElems). An unknown, repeated or malformed option is an ERROR that
 * lists what is allowed; a stored one that the client replaces is not looked at. */
extern void cdc_options_parse(CdcOptions *options, List *stored, List *given);

/* Names and values in turn (text[]), as DefElems; a NULL value has no arg. */
extern List *cdc_options_list(ArrayType *array);

/* ERROR when an option that is not known is among them. */
extern void cdc_options_check_names(List *given);

/* ERROR 42501 when an option is among them that the client of a slot that is bound to
 * a role may not give. */
extern void cdc_options_check_bound(List *given);

/* Whether logical messages with this prefix are sent. */
extern bool cdc_options_want_message(const CdcOptions *options, const char *prefix);

#endif							/* CDC_OPTIONS_H */
