/*
 * changed.h
 *	  What the current transaction changes in the catalogs, for who follows it.
 *
 * The catalogs say it, not the commands: whatever changes a row about a relation in
 * pg_class, pg_attribute, pg_index or pg_inherits has the relation cache told.
 */
#ifndef CDC_CHANGED_H
#define CDC_CHANGED_H

#include "nodes/pg_list.h"

/* Who takes it; each is told everything. */
typedef enum CdcFollower
{
	CDC_FOLLOWER_RULES,
	CDC_FOLLOWER_REGISTRY,
	CDC_FOLLOWER_STREAM,
	CDC_FOLLOWERS
} CdcFollower;

typedef struct CdcChanged
{
	List	   *relids;			/* changed, made or dropped; and perhaps by others */
	bool		everything;		/* too much to be noted: any relation may have changed */
	bool		schemas;		/* so may schemas */
} CdcChanged;

/* Notes it from now on, as long as the session lasts. */
extern void cdc_changed_watch(void);

/* What was noted since the last call or the start of the transaction. Commands are heard
 * of when they have ended (CommandCounterIncrement). In the current memory context. */
extern CdcChanged cdc_changed_take(CdcFollower follower);

#endif							/* CDC_CHANGED_H */
