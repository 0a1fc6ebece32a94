/*
 * filter.h
 *	  Which tables, columns, operations and rows are sent: publications and
 *	  the options `tables` and `exclude_tables`.
 */
#ifndef CDC_FILTER_H
#define CDC_FILTER_H

#include "utils/rel.h"

#include "older.h"
#include "options.h"
#include "rowfilter.h"
#include "access.h"

/* Of a decoding session. */
typedef struct CdcFilter CdcFilter;

/* What is sent of a relation. */
typedef struct CdcSelection
{
	uint32		ops;			/* 1 << op of each operation */
	Oid			relid;			/* under whose name: its own, or an ancestor's */
	List	   *ancestors;		/* of a partition, as OIDs */
	Bitmapset  *columns;		/* attnums of relid's; NULL: all */
	CdcRowFilter *rows;			/* NULL: all rows */
	CdcOlder   *older;			/* the version of relid's that is asked for; or NULL */
	char		persistence;	/* of the relation itself, as in pg_class */
	Oid			access_method;

	/* Where the attnums of an ancestor are others. */
	AttrNumber *map;			/* the partition's, by the ancestor's - 1; or NULL */
	int			map_len;
	CdcRow		before;			/* space for rows in the ancestor's order */
	CdcRow		after;
} CdcSelection;

/* The tables of which nothing is sent, as they are not there now or never are, and why, in
 * words; an empty string for none. Needs a transaction, and no historic snapshot. */
extern char *cdc_filter_missing(List *tables);

/* A WARNING that names them. */
extern void cdc_filter_warn_of_missing(const CdcOptions *options);

/* Of what cdc_older_read() has not found. */
extern void cdc_filter_warn_of_gone(const char *versions);

extern CdcFilter *cdc_filter_create(const CdcOptions *options, MemoryContext cxt);

/*
 * Decides on a relation, by the catalogs as of the change that is being
 * decoded; without `ops` nothing of it is sent. The result is allocated in `cxt`,
 * which the caller resets when catalogs have changed.
 */
extern CdcSelection *cdc_filter_resolve(CdcFilter *filter, Relation rel, MemoryContext cxt);

/* The relation as the user may be sent it, allocated in `cxt`; NULL: not at all. */
extern CdcTable *cdc_selection_table(const CdcSelection *selection, CdcAccess *access,
									 Relation rel, MemoryContext cxt);

static inline bool
cdc_selection_has(const CdcSelection *selection, Cdc__V1__Op op)
{
	return (selection->ops & (1 << op)) != 0;
}

/*
 * Puts the rows of a change into the order of the relation that they are sent
 * under, and asks the row filter as cdc_rowfilter_apply() does.
 */
extern bool cdc_selection_pass(CdcSelection *selection, CdcChange *change, ErrorData **error);

/*
 * Whether the rows of a rewritten relation, which come under a transient one,
 * can be sent: SET LOGGED and SET ACCESS METHOD rewrite one partition alone,
 * and under the name of its root they would be taken for the root's whole
 * content.
 */
extern bool cdc_selection_can_rewrite(const CdcSelection *selection, Oid relid,
									  Relation transient);

#endif							/* CDC_FILTER_H */
