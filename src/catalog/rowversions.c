/*
 * rowversions.c
 *	  Reads rows of catalogs in every version that may count.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "storage/procarray.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "catalog/rowversions.h"
#include "compat.h"

bool
cdc_unsettled_ended(const CdcUnsettled *unsettled)
{
	for (int i = 0; i < unsettled->n; i++)
		if (!TransactionIdIsInProgress(unsettled->xids[i]))
			return true;
	return unsettled->more;
}

static void
add_xid(CdcUnsettled *unsettled, TransactionId xid)
{
	for (int i = 0; i < unsettled->n; i++)
		if (TransactionIdEquals(unsettled->xids[i], xid))
			return;
	if (unsettled->n < lengthof(unsettled->xids))
		unsettled->xids[unsettled->n++] = xid;
	else
		unsettled->more = true;
}

void
cdc_unsettled_add(CdcUnsettled *unsettled, HeapTuple tup, bool being_added, bool being_removed)
{
	if (being_added)
		add_xid(unsettled, HeapTupleHeaderGetXmin(tup->t_data));
	if (being_removed)
		add_xid(unsettled, HeapTupleHeaderGetUpdateXid(tup->t_data));
}

/* One look through the rows; without a snapshot at all versions. */
static void
scan_rows(Relation rel, Oid index, ScanKey key, int nkeys, Snapshot snapshot,
		  CdcVersionFn fn, void *arg, CdcUnsettled *unsettled)
{
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tup;

	InitDirtySnapshot(dirty);
	scan = systable_beginscan(rel, index, OidIsValid(index),
							  snapshot != NULL ? snapshot : &dirty, nkeys, key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		coming = snapshot == NULL && TransactionIdIsValid(dirty.xmin);
		bool		going = snapshot == NULL && TransactionIdIsValid(dirty.xmax);

		if (fn(rel, tup, snapshot != NULL ? CDC_VERSION_SEEN :
			   going ? CDC_VERSION_GOING : coming ? CDC_VERSION_COMING : CDC_VERSION_SETTLED, arg))
			cdc_unsettled_add(unsettled, tup, coming, going);
	}
	systable_endscan(scan);
}

/*
 * Dirty reads alone could miss a row that is replaced while they look for it: the former
 * version is gone, and the next one was not there yet. A row that a snapshot sees is
 * always found.
 */
void
cdc_versions_read(Oid catalog, Oid index, AttrNumber attnum, Oid key,
				  CdcVersionFn fn, void *arg, CdcUnsettled *unsettled)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(catalog));
	int			nkeys = OidIsValid(key) ? 1 : 0;
	ScanKeyData scankey;

	if (nkeys > 0)
		ScanKeyInit(&scankey, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	scan_rows(rel, index, &scankey, nkeys, snapshot, fn, arg, unsettled);
	UnregisterSnapshot(snapshot);
	scan_rows(rel, index, &scankey, nkeys, NULL, fn, arg, unsettled);
	table_close(rel, AccessShareLock);
}
