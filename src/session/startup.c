/*
 * startup.c
 *	  Begins a decoding session: options, what is needed of the catalogs, and
 *	  the session's state.
 *
 * A walsender calls this outside of a transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/exttable.h"
#include "options/missing.h"
#include "options/slotoption.h"
#include "select/filter.h"
#include "session/command.h"
#include "session/session.h"
#include "util/guard.h"
#include "util/settings.h"
#include "util/utf8.h"
#include "wire/source.h"

/* The first minor releases that tell transactions in progress of changes to
 * catalogs: before, their rows may be read by an outdated schema. */
static const int good_minors[] = {150013, 160009, 170005};

static void
warn_of_old_minor(void)
{
	int			version = cdc_server_version();

	if (!cdc_warn_of_old_minor)
		return;
	for (int i = 0; i < lengthof(good_minors); i++)
		if (version / 10000 == good_minors[i] / 10000 && version < good_minors[i])
			ereport(WARNING,
					(errmsg("this server may decode changes wrongly that were made beside ALTER TABLE or ALTER PUBLICATION"),
					 errdetail("PostgreSQL before %d.%d does not tell transactions in progress of such changes.",
							   good_minors[i] / 10000, good_minors[i] % 10000),
					 errhint("Install the newest minor release.")));
}

/*
 * What startup needs of the catalogs: they are as of now, where the changes to
 * be decoded need those of their time; so nothing of it may stay in a cache.
 */
static void
read_catalogs(LogicalDecodingContext *ctx, CdcState *state, char **source, int *source_len)
{
	Oid			reader;
	List	   *stored;
	MemoryContext oldcxt = CurrentMemoryContext;
	bool		own_transaction = !IsTransactionState();
	Oid			extension;
	char	   *database;

	if (own_transaction)
		StartTransactionCommand();
	extension = get_extension_oid("cdc", true);
	database = get_database_name(MyDatabaseId);
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"cdc\" is not installed in database \"%s\"", database),
				 errhint("Run CREATE EXTENSION cdc in that database.")));
	cdc_exttable_require_version();
	MemoryContextSwitchTo(oldcxt);
	stored = cdc_slot_options_load(NameStr(ctx->slot->data.name), &reader);
	cdc_access_refresh(state->access);
	cdc_access_warn(state->access);
	if (OidIsValid(reader) && !cdc_access_superuser(state->access))
	{
		cdc_slot_require_reader(NameStr(ctx->slot->data.name), reader);
		cdc_options_check_bound(ctx->output_plugin_options);
	}
	cdc_options_parse(&state->options, stored, ctx->output_plugin_options);
	state->commands_known = cdc_command_key(&state->command_key);
	*source_len = cdc_source(cdc_utf8(database), NameStr(ctx->slot->data.name),
							 state->options.schema_changes && state->commands_known && cdc_commands_tracked(),
							 source);
	cdc_missing_warn_versions(cdc_requested_read(state->options.versions, state->options.versions_stored));
	cdc_missing_warn_tables(&state->options);
	if (own_transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(oldcxt);
	InvalidateSystemCaches();
}

/*
 * A slot is being created. Options that are stored under its name are those of an
 * earlier one, which was not dropped by cdc.drop_slot(): they must not filter what is sent
 * of this one. What a slot has kept since it was made says nothing about which one they
 * are for, so they are removed now; but in a transaction of the client's nothing can be
 * written, as it is for the snapshot that is to be made. A standby leaves that to its
 * primary. pg_upgrade makes the very slots for which its cluster has the options.
 */
static void
forget_stored_options(LogicalDecodingContext *ctx)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	const char *slot_name = NameStr(ctx->slot->data.name);
	Oid			reader;
	bool		own_transaction = !IsTransactionState();
	bool		found;

	if (RecoveryInProgress() || IsBinaryUpgrade || (!own_transaction && cdc_slot_options_expected(slot_name)))
		return;
	if (own_transaction)
		StartTransactionCommand();
	cdc_slot_options_refuse_taken(slot_name);
	found = cdc_slot_options_load(slot_name, &reader) != NIL || OidIsValid(reader);
	if (found && !own_transaction)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("options are stored for an earlier slot \"%s\"", slot_name),
				 errdetail("They would count for the new one, and cannot be removed while it is made."),
				 errhint("cdc.create_slot() replaces them.")));
	if (found && cdc_slot_options_forget(slot_name))
		ereport(WARNING,
				(errmsg("options of an earlier slot \"%s\" do not count for the new one, and were removed", slot_name),
				 errhint("cdc.alter_slot() stores options.")));
	if (own_transaction)
		CommitTransactionCommand();
	else
		InvalidateCatalogSnapshot();
	MemoryContextSwitchTo(oldcxt);
	InvalidateSystemCaches();
}

static void
create_state(LogicalDecodingContext *ctx, CdcState *state, const char *source, int source_len)
{
	state->tables = cdc_tablecache_create(&state->options, state->access, ctx->context);
	state->batch = cdc_batch_create(ctx, &state->options, source, source_len, &state->stats,
									ctx->context);
	state->change_cxt = AllocSetContextCreate(ctx->context, "cdc change", ALLOCSET_DEFAULT_SIZES);
	state->metadata = cdc_metadata_create(ctx->context);
	state->plain.cxt = AllocSetContextCreate(ctx->context, "cdc transaction", ALLOCSET_SMALL_SIZES);
	state->plain.head.metadata = state->metadata;
	state->before = cdc_row_alloc(MaxTupleAttributeNumber);
	state->after = cdc_row_alloc(MaxTupleAttributeNumber);
	state->changed = MemoryContextAlloc(ctx->context, sizeof(bool) * MaxTupleAttributeNumber);
}

void
cdc_startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	CdcState   *state = MemoryContextAllocZero(ctx->context, sizeof(CdcState));
	MemoryContext oldcxt = MemoryContextSwitchTo(ctx->context);
	char	   *source = NULL;
	int			source_len = 0;

	ctx->output_plugin_private = state;
	cdc_stats_attach(&state->stats, is_init);
	if (is_init)
	{
		forget_stored_options(ctx);
		cdc_options_parse(&state->options, NIL, ctx->output_plugin_options);
	}
	else
	{
		warn_of_old_minor();
		state->access = cdc_access_create(true, ctx->context);
		read_catalogs(ctx, state, &source, &source_len);
	}
	opt->output_type = state->options.json ? OUTPUT_PLUGIN_TEXTUAL_OUTPUT :
		OUTPUT_PLUGIN_BINARY_OUTPUT;
	opt->receive_rewrites = state->options.rewrites;
	ctx->streaming &= state->options.streaming;
	if (state->options.two_phase)
		ctx->twophase_opt_given = true;
	/* it would be called for every record; one of nobody is never sent but in parts */
	if (!state->options.local_only && !ctx->streaming)
		ctx->callbacks.filter_by_origin_cb = NULL;
	/* Creating a slot decodes nothing. */
	if (!is_init)
		create_state(ctx, state, source, source_len);
	MemoryContextSwitchTo(oldcxt);
}
