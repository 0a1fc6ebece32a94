/*
 * publication.h
 *	  What publications say of a relation: its operations, columns and row filters, and
 *	  under whose name it is sent.
 */
#ifndef CDC_PUBLICATION_H
#define CDC_PUBLICATION_H

#include "select/selection.h"

/* The publications that a session asks for. */
typedef struct CdcPublications CdcPublications;

/* `names` (char *) must live as long as `cxt`. NULL where there are none. */
extern CdcPublications *cdc_publications_create(const List *names, MemoryContext cxt);

/*
 * Those that publish a relation, by the catalogs as of the change; sets the selection's
 * `ops` and `relid`. Of those that name different ancestors only the ones with the highest
 * count for columns and rows.
 */
extern List *cdc_publications_find(CdcPublications *asked, Relation rel, CdcSelection *selection);

/* Sets the columns and row filters by these publications for the relation that rows are sent
 * under. They are allocated in `cxt`. */
extern void cdc_publications_narrow(CdcPublications *asked, List *publications, Relation rel,
									CdcSelection *selection, MemoryContext cxt);

#endif							/* CDC_PUBLICATION_H */
