/*
 * builttext.h
 *	  The text of composite values, and of what contains them.
 *
 * The server's own output function opens the type's relation with a lock, and so
 * waits for a transaction that alters the type. Here the type is read from the
 * catalogs as of the change, without one. The text is the same.
 *
 * Arrays of arrays (by way of a domain) are written here, too: their text doubles
 * with every level, and cannot be interrupted there.
 */
#ifndef CDC_BUILTTEXT_H
#define CDC_BUILTTEXT_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* A type whose values' text is built here, with all that it is made of. */
typedef struct CdcBuilt CdcBuilt;

/* Whether the text of a type's values, which is no domain, is built here. */
extern bool cdc_is_built(Oid typid);

/* In the current memory context. Reads no catalogs: what is needed of them is read when
 * a value is met. */
extern CdcBuilt *cdc_built_create(Oid typid);

/* Appends the text of a value, in the server's encoding, without a zero byte. */
extern void cdc_built_text(StringInfo out, CdcBuilt *built, Datum value);

/* Whether it was read from a relation, so that it is to be made anew when that
 * changes. */
extern bool cdc_built_uses(const CdcBuilt *built, Oid relid);

/* The type without domains; can be interrupted on the way. */
extern Oid	cdc_base_type(Oid typid);

#endif							/* CDC_BUILTTEXT_H */
