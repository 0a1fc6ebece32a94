/*
 * newest.h
 *	  Has catalogs read as of the commits that come before the transaction in the stream.
 */
#ifndef CDC_NEWEST_H
#define CDC_NEWEST_H

#include "utils/snapshot.h"

struct SnapBuild;

/* What the historic snapshot has been before. */
typedef struct CdcNewest
{
	Snapshot	snapshot;		/* NULL: it is as it was */
	SnapshotData visible;
} CdcNewest;

/* Until the end, which has to come also after an ERROR, the catalogs are as of the newest commit of
 * others that was read, and as of the command of the transaction itself. Without a builder nothing
 * is done. */
extern void cdc_newest_begin(CdcNewest *former, struct SnapBuild *builder);
extern void cdc_newest_end(CdcNewest *former);

#endif							/* CDC_NEWEST_H */
