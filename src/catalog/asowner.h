/*
 * asowner.h
 *	  Runs what a table's owner may have written as that owner.
 *
 * Reading a table can run code of whoever owns it: input and output functions,
 * checks of domains, operators, functions in indexes. Whoever reads must lend it
 * no rights.
 */
#ifndef CDC_ASOWNER_H
#define CDC_ASOWNER_H

#include "utils/portal.h"
#include "utils/rel.h"

/* Who called, for cdc_as_owner_end(). */
typedef struct CdcCaller
{
	Oid			user;
	int			context;
	int			nestlevel;		/* of settings */
} CdcCaller;

/*
 * From here on the current user is the owner of a relation, in a
 * security-restricted operation under fixed settings. An ERROR in between ends it,
 * too.
 */
extern CdcCaller cdc_as_owner_begin(Relation rel);
extern void cdc_as_owner_end(CdcCaller caller);

/*
 * Opens a cursor that reads under the active snapshot. Whether its tables may be
 * read, and which of their rows, is the caller's to have decided: neither
 * privileges nor row security are asked. The current user needs USAGE on their
 * schemas. Needs SPI.
 */
extern Portal cdc_as_owner_cursor(const char *name, const char *sql, int nparams,
								  Oid *types, Datum *values);

#endif							/* CDC_ASOWNER_H */
