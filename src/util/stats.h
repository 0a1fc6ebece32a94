/*
 * stats.h
 *	  Counts what is sent from slots, and what is not.
 *
 * In shared memory where the library is in shared_preload_libraries, so that
 * cdc.stats can show it; otherwise counted for nobody.
 */
#ifndef CDC_STATS_H
#define CDC_STATS_H

#include "fmgr.h"

/* Since the slot was made, or the server started. */
typedef enum CdcCounter
{
	CDC_COUNT_TRANSACTIONS,		/* with an outcome, of which something was sent */
	CDC_COUNT_BATCHES,
	CDC_COUNT_BYTES,			/* of batches */
	CDC_COUNT_EVENTS,
	CDC_COUNT_FAILURES,			/* events that say that a change cannot be encoded; commands
								 * of which no event could be made */
	CDC_COUNT_WITHHELD_CHANGES, /* of tables that the user may not be sent */
	CDC_COUNT_WITHHELD_MESSAGES,
	CDC_COUNT_WITHHELD_VALUES,	/* changes with one that is not what a path expects */
	CDC_COUNT_DROPPED_METADATA, /* entries that are malformed, or too many */
	CDC_COUNT_FORGED_MESSAGES,	/* of commands, which the extension did not write */
	CDC_COUNTERS
} CdcCounter;

/* What a session has counted, and has not yet added to its slot's. */
typedef struct CdcStats
{
	uint64		pending[CDC_COUNTERS];
	struct CdcSlotStats *slot;	/* NULL: nobody sees it */
} CdcStats;

/* From _PG_init(), while libraries are preloaded. */
extern void cdc_stats_reserve(void);

/* The session's slot is counted from now on; with `created` from 0. */
extern void cdc_stats_attach(CdcStats *stats, bool created);

/* Adds what is pending. */
extern void cdc_stats_flush(CdcStats *stats);

/* Whether anything is counted. */
extern bool cdc_stats_preloaded(void);

/* The counters of a slot, by its number among all slots; false where it was not
 * read from. */
extern bool cdc_stats_read(int number, const char *slot_name, uint64 *counters);

static inline void
cdc_stats_count(CdcStats *stats, CdcCounter counter, uint64 n)
{
	stats->pending[counter] += n;
}

#endif							/* CDC_STATS_H */
