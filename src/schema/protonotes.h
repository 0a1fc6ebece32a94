/*
 * protonotes.h
 *	  What a .proto file says beside the table: comments, labels, former names.
 */
#ifndef CDC_PROTONOTES_H
#define CDC_PROTONOTES_H

#include "utils/rel.h"

#include "schema/proto.h"

/*
 * Notes about a table that is made of a relation and had columns up to natts, but for
 * version and fingerprint: from COMMENT ON, the relation's enum types, and the registry,
 * as they are now. In the current memory context.
 */
extern CdcProtoNotes *cdc_proto_notes(Relation rel, const Cdc__V1__Table *table, int natts,
									  const List *versions);

#endif							/* CDC_PROTONOTES_H */
