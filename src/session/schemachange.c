/*
 * schemachange.c
 *	  Tells what commands have made of relations.
 *
 * A command's message names the relations that it may have changed. Each is resolved as it is
 * at this point of the transaction, and as it was when the transaction last looked at it, or
 * before the transaction: the catalogs have both, by the number of the command from which on
 * a row is visible. What differs is the event: so a message can say nothing that is not so.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/logical.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "schema/descriptor.h"
#include "session/command.h"
#include "session/newest.h"
#include "session/session.h"
#include "util/guard.h"
#include "util/utf8.h"

/* Relations that are looked at between two reports of progress. */
#define PROGRESS_INTERVAL 100

/* What a relation is at a command. */
typedef struct Look
{
	bool		there;
	bool		sent;			/* rows of it come, under its own name */
	bool		known;			/* or came, while the user could read it */
	uint64		fingerprint;
	const char *schema;			/* UTF-8 */
	const char *name;
} Look;

/* When the transaction last looked at a relation. */
typedef struct Looked
{
	Oid			relid;			/* hash key */
	CommandId	command;
} Looked;

typedef struct Relid
{
	Oid			relid;
	bool		types;			/* values of its types may read otherwise */
	CommandId	since;			/* when the transaction last looked at it */
	Look		before;
	Look		after;
} Relid;

/* The relations of a command. */
typedef struct Looks
{
	LogicalDecodingContext *ctx;
	ReorderBufferTXN *txn;
	CdcState   *state;
	MemoryContext cxt;
	int			n;
	Relid	   *relids;
} Looks;

/* The command from which on the transaction's changes are not visible. */
static CommandId *
visible_command(void)
{
	return &GetCatalogSnapshot(InvalidOid)->curcid;
}

/* Notes that the transaction looks at a relation now; returns when it did so before. */
static CommandId
look_since(CdcTxn *txn, Oid relid)
{
	Looked	   *looked;
	CommandId	since;
	bool		found;

	if (txn->looked == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Looked), .hcxt = txn->cxt};

		txn->looked = hash_create("cdc looked", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	looked = hash_search(txn->looked, &relid, HASH_ENTER, &found);
	since = found ? looked->command : FirstCommandId;
	looked->command = *visible_command();
	return since;
}

/* As which it is sent: with the option versions that may be another name. */
static void
describe(const CdcTable *table, MemoryContext cxt, Look *result)
{
	Cdc__V1__Table *desc = cdc_table_unpack(table->descriptor, table->descriptor_len);

	result->fingerprint = table->fingerprint;
	result->schema = MemoryContextStrdup(cxt, desc->schema);
	result->name = MemoryContextStrdup(cxt, desc->name);
}

static Look
look(const Looks *looks, Oid relid)
{
	Look		result = {false};
	Relation	rel;
	MemoryContext cxt;
	MemoryContext oldcxt;
	const CdcTable *table;

	/* one that is open in the session stays in the relation cache, even if it is not there */
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return result;
	rel = RelationIdGetRelation(relid);
	if (!RelationIsValid(rel))
		return result;
	cxt = AllocSetContextCreate(looks->cxt, "cdc look", ALLOCSET_SMALL_SIZES);
	oldcxt = MemoryContextSwitchTo(cxt);
	result.there = true;
	table = cdc_tablecache_look(looks->state->tables, rel, cxt, &result.known);
	result.sent = table != NULL;
	result.known &= result.sent || cdc_access_then(rel);
	if (result.sent)
		describe(table, oldcxt, &result);
	MemoryContextSwitchTo(oldcxt);
	if (result.known && !result.sent)
	{
		result.schema = cdc_utf8(get_namespace_name(RelationGetNamespace(rel)));
		result.name = cdc_utf8(pstrdup(RelationGetRelationName(rel)));
	}
	RelationClose(rel);
	MemoryContextDelete(cxt);
	return result;
}

/* One after the other is what may take long. */
static void
step(const Looks *looks, int i)
{
	CHECK_FOR_INTERRUPTS();
	if (i % PROGRESS_INTERVAL == PROGRESS_INTERVAL - 1)
		OutputPluginUpdateProgress(looks->ctx, false);
}

/* Looks at those that were last looked at from one command on, as of then. */
static void
look_back(Looks *looks, CommandId since)
{
	CommandId  *visible = visible_command();
	CommandId	current = *visible;

	*visible = since;
	PG_TRY();
	{
		cdc_tablecache_reset_catalogs(looks->txn);
		for (int i = 0; i < looks->n; i++)
			if (looks->relids[i].since == since)
			{
				looks->relids[i].before = look(looks, looks->relids[i].relid);
				step(looks, i);
			}
	}
	PG_FINALLY();
	{
		*visible = current;
	}
	PG_END_TRY();
}

/* All looks, of relations in the order of when they were last looked at. */
static void
look_at_all(void *arg)
{
	Looks	   *looks = arg;
	Relid	   *r = looks->relids;

	for (int i = 0; i < looks->n; i++)
		if (i == 0 || r[i].since != r[i - 1].since)
			look_back(looks, r[i].since);
	cdc_tablecache_reset_catalogs(looks->txn);
	for (int i = 0; i < looks->n; i++)
	{
		r[i].after = look(looks, r[i].relid);
		step(looks, i);
	}
}

/* Takes what was looked at out of the caches: a command names what others have changed, too. */
static void
forget(const Looks *looks)
{
	for (int i = 0; i < looks->n; i++)
		cdc_tablecache_forget(looks->relids[i].relid);
}

/* What is in core's caches after an error, which may be that the transaction is aborted, may be
 * as of then; and relations that were open are not any more. */
static ErrorData *
look_guarded(Looks *looks)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		error = cdc_guarded(look_at_all, looks);
	}
	PG_CATCH();
	{
		cdc_tablecache_reset_catalogs(looks->txn);
		forget(looks);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (error != NULL)
	{
		cdc_tablecache_reset_catalogs(looks->txn);
		forget(looks);
	}
	return error;
}

static int
compare_since(const void *a, const void *b)
{
	const Relid *left = a;
	const Relid *right = b;

	if (left->since != right->since)
		return left->since < right->since ? -1 : 1;
	return (left->relid > right->relid) - (left->relid < right->relid);
}

static Cdc__V1__SchemaChangeKind
kind_of(const Relid *r)
{
	const Look *before = &r->before;
	const Look *after = &r->after;

	if (after->sent && !before->sent)
		return before->there ? CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_ENTERED :
			CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_CREATED;
	if (before->known && !after->there)
		return CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_DROPPED;
	if (before->sent && !after->sent)
		return CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_LEFT;
	if (after->sent && (r->types || before->fingerprint != after->fingerprint))
		return CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_ALTERED;
	return CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_UNSPECIFIED;
}

static bool
is_renamed(const Look *before, const Look *after)
{
	return strcmp(before->schema, after->schema) != 0 || strcmp(before->name, after->name) != 0;
}

/* Writes the event of a relation, if the command has made something of it. */
static void
tell(CdcState *state, CdcEventHead *head, const char *tag, const Relid *r)
{
	CdcSchemaChange change = {kind_of(r), tag};
	CdcTableEntry *entry = NULL;

	if (change.kind == CDC__V1__SCHEMA_CHANGE_KIND__SCHEMA_CHANGE_KIND_UNSPECIFIED)
		return;
	if (r->before.known && (!r->after.sent || is_renamed(&r->before, &r->after)))
	{
		change.former_schema = r->before.schema;
		change.former_name = r->before.name;
	}
	if (r->after.sent)
	{
		Relation	rel = RelationIdGetRelation(r->relid);

		entry = cdc_tablecache_get(state->tables, r->relid, rel);
		RelationClose(rel);
		if (entry->table == NULL)
			return;
	}
	cdc_event_schema_change(cdc_batch_events(state->batch), head, entry == NULL ? NULL : entry->table,
							&change);
	cdc_batch_added(state->batch, entry);
	head->index++;
}

/* The relations of a command at which the transaction has not looked since its last command. */
static Looks
relations_of(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, const CdcCommand *command)
{
	CdcState   *state = ctx->output_plugin_private;
	Looks		looks = {ctx, txn, state, CurrentMemoryContext};

	looks.relids = palloc0(sizeof(Relid) * Max(command->n, 1));
	for (int i = 0; i < command->n; i++)
	{
		Relid	   *r = &looks.relids[looks.n];

		r->relid = command->touched[i].relid;
		r->types = command->touched[i].types;
		r->since = look_since(state->txn, r->relid);
		looks.n += r->since != *visible_command();
	}
	qsort(looks.relids, looks.n, sizeof(Relid), compare_since);
	return looks;
}

/* Whether there was something to tell. */
static bool
tell_all(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, CdcEventHead *head, const CdcCommand *command)
{
	CdcState   *state = ctx->output_plugin_private;
	Looks		looks = relations_of(ctx, txn, command);
	ErrorData  *error = look_guarded(&looks);

	if (error != NULL)
	{
		ereport(LOG,
				(errmsg("could not tell a change of a schema: %s", error->message)));
		cdc_stats_count(&state->stats, CDC_COUNT_FAILURES, 1);
		return false;
	}
	for (int i = 0; i < looks.n; i++)
		tell(state, head, command->tag, &looks.relids[i]);
	forget(&looks);
	return head->index > 0;
}

bool
cdc_schema_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, CdcEventHead *head,
				   const char *content, Size size)
{
	CdcState   *state = ctx->output_plugin_private;
	CdcCommand	command;
	CdcNewest	former;
	volatile bool told = false;

	head->op = CDC__V1__OP__OP_SCHEMA;
	if (!state->commands_known ||
		!cdc_command_read(&command, &state->command_key, txn->xid, content, size))
	{
		cdc_stats_count(&state->stats, CDC_COUNT_FORGED_MESSAGES, 1);
		return false;
	}
	cdc_newest_begin(&former, state->txn->head.commit_lsn == InvalidXLogRecPtr ? NULL : ctx->snapshot_builder);
	PG_TRY();
	{
		told = tell_all(ctx, txn, head, &command);
	}
	PG_FINALLY();
	{
		cdc_newest_end(&former);
	}
	PG_END_TRY();
	return told;
}
