/*
 * table.h
 *	  A relation, resolved once for encoding its rows: columns with their
 *	  encoders, key, and the serialized Table with its fingerprint.
 */
#ifndef CDC_TABLE_H
#define CDC_TABLE_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "typcodec.h"

/* A column that is sent. Columns that are dropped, or have no value in the
 * tuple (virtual generated ones), have none. */
typedef struct CdcColumn
{
	AttrNumber	attnum;			/* also the field number */
	bool		key;			/* stands in key and new_key */
	bool		attbyval;
	int16		attlen;
	CdcCodec	codec;			/* how a value is written */
} CdcColumn;

/* Lives in one memory context, of which it is the only owner. */
typedef struct CdcTable
{
	Oid			relid;
	char		replident;		/* pg_class.relreplident */
	bool		has_key;		/* some column is part of the key */
	bool		may_raise;		/* some output function may raise an ERROR */
	bool		needs_settings; /* some output function reads settings */
	int			ncolumns;
	CdcColumn  *columns;		/* in attnum order */
	uint64		fingerprint;
	int			descriptor_len;
	char	   *descriptor;		/* the serialized cdc.v1.Table */
} CdcTable;

/*
 * Resolves a relation by the catalogs that are visible now; the caller holds
 * it open. The result and all it points to are allocated in the current
 * memory context. Needs a transaction; call cdc_fix_settings() before.
 */
extern CdcTable *cdc_table_resolve(Relation rel);

/* Whether changes of this relation are ever sent: not those of catalogs,
 * materialized views, or the extension's own tables. */
extern bool cdc_table_is_sent(Relation rel);

/* First 8 bytes, big endian, of SHA-256 over `len` bytes. */
extern uint64 cdc_fingerprint(const void *data, size_t len);

#endif							/* CDC_TABLE_H */
