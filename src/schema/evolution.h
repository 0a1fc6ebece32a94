/*
 * evolution.h
 *	  Compares two schemas of a relation: what readers of the one meet in data of
 *	  the other.
 */
#ifndef CDC_EVOLUTION_H
#define CDC_EVOLUTION_H

#include "nodes/bitmapset.h"

#include "cdc/v1/cdc.pb-c.h"

/* What a change breaks: readers of the newer schema with older data, or readers of
 * the older schema with newer data. */
typedef enum CdcBreaks
{
	CDC_BREAKS_NONE = 0,
	CDC_BREAKS_BACKWARD = 1,
	CDC_BREAKS_FORWARD = 2,
	CDC_BREAKS_BOTH = 3
} CdcBreaks;

typedef struct CdcFinding
{
	const char *rule;			/* a row of docs/schema-evolution.md */
	CdcBreaks	breaks;
	bool		wire;			/* the bytes have another meaning; otherwise names and
								 * declarations alone differ */
	const char *column;			/* NULL: the relation itself */
	char	   *detail;
} CdcFinding;

typedef void (*CdcFindingSink) (void *arg, const CdcFinding *finding);

/* Finds all differences that break anything, in the order of the rules and then of
 * the columns. `defaults`: attnums of columns of `after` whose value in older rows
 * the stream tells. */
extern void cdc_evolution_compare(const Cdc__V1__Table *before, const Cdc__V1__Table *after,
								  const Bitmapset *defaults, CdcFindingSink sink, void *arg);

#endif							/* CDC_EVOLUTION_H */
