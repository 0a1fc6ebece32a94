/*
 * rowversions.h
 *	  Rows of catalogs as of now, in every version that may count: what takes a right
 *	  away counts from the moment that it is written.
 *
 * Decoding runs ahead of what is visible: a transaction's commit is decoded before its
 * backend has left the list of those in progress, with a synchronous standby long before.
 */
#ifndef CDC_ROWVERSIONS_H
#define CDC_ROWVERSIONS_H

#include "access/htup.h"
#include "access/skey.h"
#include "utils/rel.h"

/* Transactions in progress that may change what was decided. */
typedef struct CdcUnsettled
{
	TransactionId xids[32];
	int			n;
	bool		more;			/* than that */
} CdcUnsettled;

/* One has ended, so that it is worth to look again. */
extern bool cdc_unsettled_ended(const CdcUnsettled *unsettled);

/* Notes who adds a row, or removes it. */
extern void cdc_unsettled_add(CdcUnsettled *unsettled, HeapTuple tup, bool being_added,
							  bool being_removed);

/* How a version of a row is seen. */
typedef enum CdcVersion
{
	CDC_VERSION_SEEN,			/* by a snapshot of now; these come first */
	CDC_VERSION_SETTLED,		/* the same ones once more */
	CDC_VERSION_COMING,			/* made by a transaction in progress */
	CDC_VERSION_GOING			/* replaced or removed by one */
} CdcVersion;

/* Told of a version; true if what was decided may be something else when the transaction
 * in progress has ended. */
typedef bool (*CdcVersionFn) (Relation catalog, HeapTuple tup, CdcVersion version, void *arg);

/*
 * Calls fn with the rows of a catalog whose column `attnum` is an OID, found by an
 * index, or with InvalidOid all: first those that a snapshot of now sees, then those, and
 * what transactions in progress leave or make. Also under a historic snapshot.
 */
extern void cdc_versions_read(Oid catalog, Oid index, AttrNumber attnum, Oid key,
							  CdcVersionFn fn, void *arg, CdcUnsettled *unsettled);

#endif							/* CDC_ROWVERSIONS_H */
