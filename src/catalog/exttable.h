/*
 * exttable.h
 *	  The extension's own tables, read and written directly.
 *
 * The plugin has no portal to run SQL in, and whoever decodes needs no right on them.
 * Rows are written so that no output plugin decodes them: subscribers of FOR ALL TABLES
 * publications may have no such tables. For that the tables have no replica identity.
 * Their columns are numbered as in PostgreSQL's catalogs (Anum_cdc_slot_option_value); the
 * numbers are made out of the install script.
 */
#ifndef CDC_EXTTABLE_H
#define CDC_EXTTABLE_H

#include "access/genam.h"
#include "access/htup.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "cdc/columns.h"

/* ERROR where the tables are of another version than this library: then they need not be
 * what it takes them for, and rules of redaction are among them. */
extern void cdc_exttable_require_version(void);

/* By its name in schema cdc; InvalidOid where there is none. Needs a transaction,
 * as all of these do. */
extern Oid	cdc_exttable_find(const char *name);

/* Opens it; NULL where there is none. */
extern Relation cdc_exttable_open(const char *name, LOCKMODE lockmode);

/* Columns of a row; NULL, InvalidOid, 0 or `missing` for NULL. Text and names are
 * allocated in the current memory context. */
extern char *cdc_exttable_text(Relation rel, HeapTuple tup, int column);
extern char *cdc_exttable_name(Relation rel, HeapTuple tup, int column);
extern Oid	cdc_exttable_oid(Relation rel, HeapTuple tup, int column);
extern int	cdc_exttable_int(Relation rel, HeapTuple tup, int column, int missing);
extern int16 cdc_exttable_int16(Relation rel, HeapTuple tup, int column);
extern int64 cdc_exttable_int64(Relation rel, HeapTuple tup, int column, int64 missing);

/* How far a row is. Decoding runs ahead of what is visible: a transaction counts as one in
 * progress until its backend has left the list of those, which with a synchronous standby
 * can be long after its commit is decoded. */
typedef struct CdcRowState
{
	bool		being_added;	/* by a transaction that is in progress */
	bool		being_removed;
} CdcRowState;

typedef void (*CdcExtRowFn) (Relation rel, HeapTuple tup, CdcRowState state, void *arg);

/*
 * Calls fn with each row that is there now, or may be: those of transactions in progress
 * too, and those that such a one removes. Returns the table's OID, or InvalidOid where
 * there is none. Not under a historic snapshot.
 */
extern Oid	cdc_exttable_read(const char *name, CdcExtRowFn fn, void *arg);

/* A scan by the first n columns of the primary key, of rows that are visible now.
 * CdcExtKey must live as long as the scan. */
typedef struct CdcExtKey
{
	ScanKeyData keys[INDEX_MAX_KEYS];
} CdcExtKey;

extern SysScanDesc cdc_exttable_scan(Relation rel, CdcExtKey *key, const Datum *values, int n);

/* ERROR where nothing can be written: on a standby, with what to do instead, and in a
 * transaction that is read only. `function` is what was called. */
extern void cdc_exttable_require_primary(const char *function);

/* ERROR unless the current user may write the table: not whoever may call a function. */
extern void cdc_exttable_require_writer(const char *name);

/* Writes a row; others and decoding sessions hear of it. The row is seen after the next
 * CommandCounterIncrement(). */
extern void cdc_exttable_insert(Relation rel, const Datum *values, const bool *nulls);
extern void cdc_exttable_delete(Relation rel, HeapTuple tup);

/* The name of the session's user, as a Datum for a column of type name. */
extern Datum cdc_exttable_user(void);

#endif							/* CDC_EXTTABLE_H */
