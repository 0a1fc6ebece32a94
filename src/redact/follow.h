/*
 * follow.h
 *	  Rules of redaction follow what they protect: the names that protected columns
 *	  get, and the columns that come to such names, are recorded.
 */
#ifndef CDC_FOLLOW_H
#define CDC_FOLLOW_H

#include "access/xlogdefs.h"

/* Records what has become of what the transaction has changed. */
extern void cdc_follow(void);

/* Lets a rule protect a column of a table, and of what is part of it, from here on.
 * ERROR where there is no such column. Locks them against other DDL. */
extern void cdc_follow_protect(int64 rule, Oid relid, const char *column);

/* A restored rule is right as it is: it protects what bears its names now. */
extern void cdc_follow_confirm(int64 rule);

/* Removes what is of relations that were dropped, or of rules that were removed, and that
 * no slot needs any more. */
extern void cdc_follow_prune(void);
extern void cdc_follow_forget_rules(void);

#endif							/* CDC_FOLLOW_H */
