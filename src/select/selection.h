/*
 * selection.h
 *	  What is sent of a relation, for its rows.
 */
#ifndef CDC_SELECTION_H
#define CDC_SELECTION_H

#include "registry/requested.h"
#include "rows/rowfilter.h"

#define CDC_OP_BIT(op)	(1 << CDC__V1__OP__OP_##op)

/* What is sent of a relation. */
typedef struct CdcSelection
{
	uint32		ops;			/* 1 << op of each operation */
	Oid			relid;			/* under whose name: its own, or an ancestor's */
	List	   *ancestors;		/* of a partition, as OIDs */
	Bitmapset  *columns;		/* attnums of relid's; NULL: all */
	CdcRowFilter *rows;			/* NULL: all rows */
	CdcRequested *requested;	/* the version of relid's that is asked for; or NULL */
	char		persistence;	/* of the relation itself, as in pg_class */
	Oid			access_method;
	bool		withheld;		/* a value of the last row was, by a rule with a path */

	/* Where the attnums of an ancestor are others. */
	AttrNumber *map;			/* the partition's, by the ancestor's - 1; or NULL */
	int			map_len;
	CdcRow		before;			/* space for rows in the ancestor's order */
	CdcRow		after;
} CdcSelection;

/* Finds the columns of an ancestor (`to`) in its partition (`from`). */
extern void cdc_selection_map(CdcSelection *selection, TupleDesc from, TupleDesc to, MemoryContext cxt);

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

#endif							/* CDC_SELECTION_H */
