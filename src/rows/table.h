/*
 * table.h
 *	  A relation, resolved once for encoding its rows: columns with their
 *	  encoders, key, and the serialized Table with its fingerprint.
 */
#ifndef CDC_TABLE_H
#define CDC_TABLE_H

#include "access/attnum.h"
#include "nodes/bitmapset.h"
#include "utils/rel.h"

#include "redact/redact.h"
#include "values/codec.h"
#include "wire/fingerprint.h"

/* A column that is sent. Columns that are dropped, or have no value in the
 * tuple (virtual generated ones), have none. */
typedef struct CdcColumn
{
	AttrNumber	attnum;			/* also the field number */
	bool		attbyval;
	int16		attlen;
	CdcCodec	codec;			/* how a value, or what stands for it, is written */
} CdcColumn;

/* Lives in one memory context, of which it is the only owner. */
typedef struct CdcTable
{
	Oid			relid;
	char		replident;		/* pg_class.relreplident */
	bool		may_raise;		/* some encoder may raise an ERROR */
	bool		restricted;		/* some column is redacted or withheld: no text of
								 * errors may be sent or logged */
	bool		needs_settings; /* some output function reads settings */
	bool	   *identity;		/* by attnum - 1: columns of a key that is not
								 * sent as such; or NULL */
	int			nkeys;
	CdcColumn  *keys;			/* the key, in attnum order */
	int			nothers;
	CdcColumn  *others;			/* all other columns, in attnum order */
	int			nvarlena;
	AttrNumber *varlena;		/* columns whose values may be compressed or out of line */
	int			ntypes;
	uint32	   *types;			/* whose names are in the descriptor: their hash values
								 * in the system cache TYPEOID */
	List	   *built;			/* of CdcBuilt: what reads types when it meets values */
	uint64		fingerprint;
	uint32		version;		/* of the whole schema in the registry; 0: none */
	char	   *unmapped;		/* why it is not the version that is asked for; or NULL */
	int			descriptor_len;
	char	   *descriptor;		/* the serialized cdc.v1.Table */
} CdcTable;

/* How a relation is sent when not as itself and with all its columns. */
typedef struct CdcTableView
{
	Relation	as;				/* the relation whose name and attnums are used */
	const AttrNumber *map;		/* by these - 1, the relation's own attnums;
								 * NULL: the same */
	const Bitmapset *columns;	/* by these, what is sent; NULL: all */
	const CdcRedaction *const *redactions;	/* by the relation's own attnums - 1; NULL: none */
	const Cdc__V1__Table *older;	/* a schema that rows can be sent in, see versionmap.h;
									 * NULL: as they are */
	bool	   *withheld;		/* to be set when a value is withheld by a rule with a path */
} CdcTableView;

/*
 * Resolves a relation by the catalogs that are visible now; the caller holds
 * it open. `view` may be NULL. The result and all it points to are allocated
 * in the current memory context. Needs a transaction; call cdc_fix_settings()
 * before.
 */
extern CdcTable *cdc_table_resolve(Relation rel, const CdcTableView *view);

/* Whether it was resolved by what a composite type's relation says. */
extern bool cdc_table_uses(const CdcTable *table, Oid relid);

/* The index that the key is of; invalid where there is none. */
extern Oid	cdc_key_index(Relation rel);

/* Whether changes of this relation are ever sent: only tables, and none of
 * those that belong to the extension. */
extern bool cdc_table_is_sent(Relation rel);

#endif							/* CDC_TABLE_H */
