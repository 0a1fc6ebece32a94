/*
 * streamsnapshot.c
 *	  Keeps the snapshot of a transaction that is sent in parts.
 *
 * Core ends a part early when a savepoint that it sends is found to be rolled back. It drops
 * what it holds of the transaction from there on, of which all is rolled back; all but the
 * newer snapshots that other transactions' commits have put between the changes. What comes
 * after the savepoint would be decoded without what these have done to its tables: rows
 * without columns that were added, or no row at all, since an emptied table has another file,
 * which is an ERROR each time the consumer comes back. So what a part ends with is noted, and
 * the next one begins with that.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "session/session.h"

/* Which transactions are visible to one. */
struct CdcVisible
{
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	TransactionId xip[FLEXIBLE_ARRAY_MEMBER];
};

static bool
is_visible_of(const CdcVisible *visible, const SnapshotData *snapshot)
{
	return visible != NULL && visible->xmin == snapshot->xmin && visible->xmax == snapshot->xmax &&
		visible->xcnt == snapshot->xcnt &&
		memcmp(visible->xip, snapshot->xip, sizeof(TransactionId) * visible->xcnt) == 0;
}

void
cdc_stream_note_snapshot(CdcTxn *txn, struct SnapBuild *builder)
{
	Snapshot	snapshot = cdc_build_snapshot(builder);
	Size		size = sizeof(TransactionId) * snapshot->xcnt;

	if (is_visible_of(txn->visible, snapshot))
		return;
	/* core's snapshot has the last one until the next part begins with a copy */
	if (txn->former_visible != NULL)
		pfree(txn->former_visible);
	txn->former_visible = txn->visible;
	txn->visible = MemoryContextAlloc(txn->cxt, offsetof(CdcVisible, xip) + size);
	txn->visible->xmin = snapshot->xmin;
	txn->visible->xmax = snapshot->xmax;
	txn->visible->xcnt = snapshot->xcnt;
	memcpy(txn->visible->xip, snapshot->xip, size);
}

/* Core's snapshot of a part is a copy of its own, of which it makes others by copying the array, too. */
void
cdc_stream_use_snapshot(CdcTxn *txn)
{
	Snapshot	snapshot = GetCatalogSnapshot(InvalidOid);

	if (txn->visible == NULL || !snapshot->copied || is_visible_of(txn->visible, snapshot))
		return;
	snapshot->xmin = txn->visible->xmin;
	snapshot->xmax = txn->visible->xmax;
	snapshot->xcnt = txn->visible->xcnt;
	snapshot->xip = txn->visible->xip;
}
