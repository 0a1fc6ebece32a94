/*
 * descriptor.h
 *	  cdc.v1.Table, the description of a schema: reading it, finding columns, and names
 *	  as it has them.
 */
#ifndef CDC_DESCRIPTOR_H
#define CDC_DESCRIPTOR_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"

/* With this protobuf-c allocates in the current memory context. */
extern const ProtobufCAllocator cdc_pb_allocator;

#define CDC_PB_ALLOCATOR unconstify(ProtobufCAllocator *, &cdc_pb_allocator)

/* Unpacks a serialized Table into the current memory context; NULL when it is
 * damaged. */
extern Cdc__V1__Table *cdc_table_unpack(const void *data, size_t len);

/* Place in Table.columns, which ascend by number, of the column of this number; -1 if
 * there is none. */
extern int	cdc_column_place(const Cdc__V1__Table *table, uint32 number);

/* The column itself, or NULL. */
extern const Cdc__V1__Column *cdc_column_find(const Cdc__V1__Table *table, uint32 number);

/* Whether the second type takes all values of the first, with the same bytes: of integers
 * the wider one is read as well. */
extern bool cdc_type_widens(Cdc__V1__Type from, Cdc__V1__Type to);

/* Appends an identifier in double quotes if it has other characters than
 * lower-case letters, digits and underscores. Keywords are not quoted: beside
 * a dot any of them may stand. */
extern void cdc_append_identifier(StringInfo out, const char *name);

/* The same for both parts of a name, with the dot. */
extern void cdc_append_qualified(StringInfo out, const char *schema, const char *name);

#endif							/* CDC_DESCRIPTOR_H */
