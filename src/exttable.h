/*
 * exttable.h
 *	  The extension's own tables, read and written directly: the plugin has no
 *	  portal to run SQL in, and whoever decodes needs no right on them.
 */
#ifndef CDC_EXTTABLE_H
#define CDC_EXTTABLE_H

#include "access/htup.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

/* By its name in schema cdc; InvalidOid where there is none. Needs a transaction,
 * as all of these do. */
extern Oid	cdc_exttable_find(const char *name);

/* Opens it; NULL where there is none. */
extern Relation cdc_exttable_open(const char *name, LOCKMODE lockmode);

/* Columns of a row; NULL, InvalidOid or `missing` for NULL. Text and names are
 * allocated in the current memory context. */
extern char *cdc_exttable_text(Relation rel, HeapTuple tup, int column);
extern char *cdc_exttable_name(Relation rel, HeapTuple tup, int column);
extern Oid	cdc_exttable_oid(Relation rel, HeapTuple tup, int column);
extern int	cdc_exttable_int(Relation rel, HeapTuple tup, int column, int missing);

/* The name of the session's user, as a Datum for a column of type name. */
extern Datum cdc_exttable_user(void);

#endif							/* CDC_EXTTABLE_H */
