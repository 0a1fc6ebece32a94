/*
 * newest.c
 *	  Has catalogs read as of the commits that come before the transaction in the stream.
 *
 * Core has the catalogs as of each change. That is right for what the transaction has locked. A
 * command may also change what it does not lock: ALTER TYPE and ALTER SCHEMA name tables that
 * others alter, and commit, before the transaction does. These are sent first; what the command
 * then told as of itself would take their changes back. So what a command is told to have made is
 * read as of the newest commit. What is sent before the transaction has ended cannot know of these.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "session/newest.h"
#include "session/tablecache.h"

/* By the others' commits; what is the transaction's own is told apart before that. */
static bool
is_committed(TransactionId xid, const SnapshotData *snapshot)
{
	if (TransactionIdPrecedes(xid, snapshot->xmin))
		return true;
	if (TransactionIdFollowsOrEquals(xid, snapshot->xmax))
		return false;
	return bsearch(&xid, snapshot->xip, snapshot->xcnt, sizeof(TransactionId), xidComparator) != NULL;
}

static bool
is_own(TransactionId xid, const SnapshotData *snapshot)
{
	return bsearch(&xid, snapshot->subxip, snapshot->subxcnt, sizeof(TransactionId), xidComparator) != NULL;
}

/* Whether others have committed since. Of what is older than the newest one's xmin, that one
 * does not say. */
static bool
has_others(const SnapshotData *newest, const SnapshotData *current)
{
	if (newest->xmin != current->xmin)
		return true;
	for (uint32 i = 0; i < newest->xcnt; i++)
		if (!is_own(newest->xip[i], current) && !is_committed(newest->xip[i], current))
			return true;
	return false;
}

void
cdc_newest_begin(CdcNewest *former, struct SnapBuild *builder)
{
	Snapshot	current = GetCatalogSnapshot(InvalidOid);
	Snapshot	newest;

	former->snapshot = NULL;
	/* the transaction has changed no catalog: core's snapshot does not know what is its own */
	if (builder == NULL || !current->copied)
		return;
	newest = cdc_build_snapshot(builder);
	if (!has_others(newest, current))
		return;
	former->snapshot = current;
	former->visible = *current;
	current->xmin = newest->xmin;
	current->xmax = newest->xmax;
	current->xcnt = newest->xcnt;
	current->xip = newest->xip;
	cdc_tablecache_reset();
}

void
cdc_newest_end(CdcNewest *former)
{
	Snapshot	current = former->snapshot;

	if (current == NULL)
		return;
	former->snapshot = NULL;
	current->xmin = former->visible.xmin;
	current->xmax = former->visible.xmax;
	current->xcnt = former->visible.xcnt;
	current->xip = former->visible.xip;
	cdc_tablecache_reset();
}
