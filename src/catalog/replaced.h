/*
 * replaced.h
 *	  The names that a relation has, and has had in this transaction.
 *
 * A statement replaces rows of catalogs, and what it has replaced stays there until its
 * transaction has ended: so it is known what was renamed, whatever statement did it.
 */
#ifndef CDC_REPLACED_H
#define CDC_REPLACED_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

/* Until a command of this transaction; the last one there can be: now. */
#define CDC_STILL	InvalidCommandId

typedef struct CdcTableName
{
	const char *schema;
	const char *table;
	CommandId	from;			/* 0: since before this transaction */
	CommandId	until;
} CdcTableName;

typedef struct CdcColumnName
{
	AttrNumber	attnum;
	const char *column;
	CommandId	from;
	CommandId	until;
} CdcColumnName;

typedef struct CdcRelationNames
{
	bool		table;			/* a table that may be sent; otherwise the rest is empty */
	bool		changed;		/* by this transaction: what it is, or a column of it */
	bool		dropped;
	CdcTableName current;
	List	   *tables;			/* CdcTableName: now and former ones */
	List	   *columns;		/* CdcColumnName: now and former ones */
} CdcRelationNames;

/* Allocated in the current memory context. */
extern void cdc_relation_names(Oid relid, CdcRelationNames *names);

/* Names of schemas that this transaction has renamed: the former name and its OID. */
typedef struct CdcSchemaName
{
	Oid			schema;
	const char *former;
} CdcSchemaName;

extern List *cdc_renamed_schemas(void);

#endif							/* CDC_REPLACED_H */
