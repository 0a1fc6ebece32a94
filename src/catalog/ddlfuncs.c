/*
 * ddlfuncs.c
 *	  Event trigger functions that look at a statement before it is run: options of
 *	  tables that would stop slots, and what DROP EXTENSION leaves behind.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "replication/slot.h"
#include "storage/lwlock.h"

#include "catalog/exttable.h"
#include "util/settings.h"

PG_FUNCTION_INFO_V1(cdc_refuse_catalog_tables);
PG_FUNCTION_INFO_V1(cdc_dropping_extension);

/* The statement that an event trigger is called for. */
static Node *
statement(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function is for event triggers alone")));
	return ((EventTriggerData *) fcinfo->context)->parsetree;
}

/* --- user_catalog_table --------------------------------------------------- */

static bool
sets_catalog_table(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (option->defnamespace == NULL && strcmp(option->defname, "user_catalog_table") == 0 &&
			defGetBoolean(option))
			return true;
	}
	return false;
}

static bool
alters_to_catalog_table(AlterTableStmt *alter)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if ((cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ReplaceRelOptions) &&
			sets_catalog_table((List *) cmd->def))
			return true;
	}
	return false;
}

/* Whether a statement makes a table a catalog of its owner. CREATE SCHEMA has others in it. */
static bool
makes_catalog_table(Node *node)
{
	List	   *elements = NIL;
	ListCell   *lc;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_CreateStmt:
			return sets_catalog_table(((CreateStmt *) node)->options);
		case T_CreateTableAsStmt:
			return sets_catalog_table(((CreateTableAsStmt *) node)->into->options);
		case T_AlterTableStmt:
			return alters_to_catalog_table((AlterTableStmt *) node);
		case T_CreateSchemaStmt:
			elements = ((CreateSchemaStmt *) node)->schemaElts;
			break;
		default:
			break;
	}
	foreach(lc, elements)
		if (makes_catalog_table(lfirst(lc)))
			return true;
	return false;
}

/*
 * Core reads the catalog for each change of such a table, and raises an ERROR where it
 * is not there any more: at every slot of the database, whatever its plugin, for ever.
 */
Datum
cdc_refuse_catalog_tables(PG_FUNCTION_ARGS)
{
	Node	   *node = statement(fcinfo);

	if (!cdc_allow_user_catalog_tables && !superuser() && makes_catalog_table(node))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set user_catalog_table"),
				 errdetail("When such a table is dropped with changes of it waiting, no slot of the database can be read any more."),
				 errhint("A superuser can allow it by cdc.allow_user_catalog_tables.")));
	PG_RETURN_NULL();
}

/* --- DROP EXTENSION --------------------------------------------------------- */

static bool
drops_extension(Node *node)
{
	ListCell   *lc;

	if (node == NULL || !IsA(node, DropStmt) || ((DropStmt *) node)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) node)->objects)
		if (strcmp(strVal(lfirst(lc)), "cdc") == 0)
			return true;
	return false;
}

/* The names of the slots of this database that have the plugin, which cannot be read
 * without the extension, and keep WAL. */
static List *
own_slots(void)
{
	List	   *found = NIL;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		if (slot->in_use && slot->data.database == MyDatabaseId &&
			strcmp(NameStr(slot->data.plugin), "cdc") == 0)
			found = lappend(found, pstrdup(NameStr(slot->data.name)));
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

static void
notice_slots(void)
{
	List	   *slots = own_slots();
	StringInfoData list;
	ListCell   *lc;

	if (slots == NIL)
		return;
	initStringInfo(&list);
	foreach(lc, slots)
		appendStringInfo(&list, "%s\"%s\"", list.len > 0 ? ", " : "", (char *) lfirst(lc));
	ereport(NOTICE,
			(errmsg("replication slots remain that only the extension \"cdc\" can read: %s", list.data),
			 errdetail("The server keeps WAL for them."),
			 errhint("pg_drop_replication_slot() drops them; after a new CREATE EXTENSION they are read on, without the rules of redaction and the options that are dropped now.")));
}

/* Those that are the extension's own, as all are that it has made. */
static void
drop_secrets(void)
{
	if (!OidIsValid(cdc_exttable_find("redaction_secret")))
		return;
	SPI_connect();
	if (SPI_execute("SELECT pg_catalog.lo_unlink(m.oid) FROM pg_catalog.pg_largeobject_metadata m"
					" JOIN pg_catalog.pg_extension e ON e.extname OPERATOR(pg_catalog.=) 'cdc'"
					" AND e.extowner OPERATOR(pg_catalog.=) m.lomowner"
					" WHERE m.oid OPERATOR(pg_catalog.=)"
					" ANY (ARRAY(SELECT s.large_object FROM cdc.redaction_secret s))", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not drop the secrets");
	SPI_finish();
}

/*
 * The secrets go with the extension. Not by a trigger of what was dropped: the tables
 * that say which they are, and the trigger, are gone then.
 */
Datum
cdc_dropping_extension(PG_FUNCTION_ARGS)
{
	/* a user who may not gets core's error */
	if (!drops_extension(statement(fcinfo)) || !superuser())
		PG_RETURN_NULL();
	notice_slots();
	drop_secrets();
	PG_RETURN_NULL();
}
