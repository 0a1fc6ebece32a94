/*
 * proto.h
 *	  A .proto file for the rows of a table.
 */
#ifndef CDC_PROTO_H
#define CDC_PROTO_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "cdc/v1/cdc.pb-c.h"

/* The type of a column's field. */
extern const char *cdc_proto_field_type(const Cdc__V1__Column *column);

/* Whether nothing stands for a column's values: it has no field. */
extern bool cdc_proto_is_held_back(const Cdc__V1__Column *column);

/* The names of the fields, by place in table->columns. */
extern char **cdc_proto_field_names(const Cdc__V1__Table *table);

/* The name of the message, and the name of the package without its version. */
extern char *cdc_proto_message_name(const Cdc__V1__Table *table);
extern char *cdc_proto_package_name(const Cdc__V1__Table *table);

/* What a file says beside the table. Arrays are by number - 1, of `natts`; all text is
 * UTF-8. */
typedef struct CdcProtoNotes
{
	uint32		version;		/* major, of the registry; 0: none */
	uint64		fingerprint;
	int			natts;			/* numbers up to it that are no column's are reserved */
	const char *comment;		/* of the table; NULL: none */
	const char **comments;		/* of columns; NULL: none */
	const char **labels;		/* of their enum types, for a comment; NULL: no enum */
	List	   *former_names;	/* names (char *) of columns that are gone */
} CdcProtoNotes;

/* Appends the file, in UTF-8. Equal tables and notes give equal files. */
extern void cdc_proto_write(StringInfo out, const Cdc__V1__Table *table,
							const CdcProtoNotes *notes);

#endif							/* CDC_PROTO_H */
