/*
 * proto.h
 *	  A .proto file for the rows of a table.
 */
#ifndef CDC_PROTO_H
#define CDC_PROTO_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"

/* The type of a column's field. */
extern const char *cdc_proto_field_type(const Cdc__V1__Column *column);

/* Appends the file, in UTF-8. Numbers up to natts that are no column's are
 * reserved. Equal tables give equal files. */
extern void cdc_proto_write(StringInfo out, const Cdc__V1__Table *table,
							uint64 fingerprint, int natts);

#endif							/* CDC_PROTO_H */
