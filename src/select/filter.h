/*
 * filter.h
 *	  Which tables, columns, operations and rows are sent: publications and
 *	  the options `tables` and `exclude_tables`.
 */
#ifndef CDC_FILTER_H
#define CDC_FILTER_H

#include "utils/rel.h"

#include "access/access.h"
#include "options/options.h"
#include "select/selection.h"

/* Of a decoding session. */
typedef struct CdcFilter CdcFilter;

extern CdcFilter *cdc_filter_create(const CdcOptions *options, MemoryContext cxt);

/*
 * Decides on a relation, by the catalogs as of the change that is being
 * decoded; without `ops` nothing of it is sent. The result is allocated in `cxt`,
 * which the caller resets when catalogs have changed.
 */
extern CdcSelection *cdc_filter_resolve(CdcFilter *filter, Relation rel, MemoryContext cxt);

/* The relation as the user may be sent it, allocated in `cxt`; NULL: not at all. */
extern CdcTable *cdc_selection_table(CdcSelection *selection, CdcAccess *access,
									 Relation rel, MemoryContext cxt);

#endif							/* CDC_FILTER_H */
