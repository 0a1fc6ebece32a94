/*
 * slotfuncs.c
 *	  SQL functions that make, change, copy, advance and drop slots.
 *
 * A slot is made before anything is written, since the server demands it;
 * what is stored for it follows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "options/missing.h"
#include "options/options.h"
#include "options/slotoption.h"
#include "registry/requested.h"
#include "select/filter.h"
#include "session/session.h"
#include "slots/slotneeds.h"
#include "util/pattern.h"
#include "util/stats.h"

/* How long drop_slot(force) tries, how often it looks, and tells a process again to end,
 * in milliseconds. */
#define FORCE_TIMEOUT 10000
#define POLL_INTERVAL 10
#define TELL_AGAIN 500

PG_FUNCTION_INFO_V1(cdc_create_slot);
PG_FUNCTION_INFO_V1(cdc_alter_slot);
PG_FUNCTION_INFO_V1(cdc_copy_slot);
PG_FUNCTION_INFO_V1(cdc_advance_slot);
PG_FUNCTION_INFO_V1(cdc_drop_slot);
PG_FUNCTION_INFO_V1(cdc_slot_counters);
PG_FUNCTION_INFO_V1(cdc_missing_tables);

/* ERROR unless there is such a slot of ours. Returns the process that uses it,
 * 0 = none. */
static int
require_slot(Datum name)
{
	Oid			types[] = {NAMEOID};
	const char *slot_name = NameStr(*DatumGetName(name));
	bool		found;
	bool		ours = false;
	int			pid = 0;
	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args("SELECT s.plugin::text OPERATOR(pg_catalog.=) 'cdc'"
							  " AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database(), s.active_pid"
							  " FROM pg_catalog.pg_replication_slots s"
							  " WHERE s.slot_name OPERATOR(pg_catalog.=) $1",
							  1, types, &name, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_replication_slots");
	found = SPI_processed == 1;
	if (found)
	{
		ours = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)) && !isnull;
		pid = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
		pid = isnull ? 0 : pid;
	}
	SPI_finish();
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("replication slot \"%s\" does not exist", slot_name)));
	if (!ours)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("replication slot \"%s\" is not a cdc slot of this database", slot_name),
				 errhint("The view cdc.slots lists those that are.")));
	return pid;
}

/* The same, but for what this session has itself: a temporary slot. */
static int
slot_user(Datum name)
{
	int			pid = require_slot(name);

	return pid == MyProcPid ? 0 : pid;
}

/* ERROR unless a slot could be started with these. */
static void
check_options(List *options)
{
	CdcOptions	parsed;

	cdc_options_parse(&parsed, NIL, options);
	cdc_missing_warn_versions(cdc_requested_read(parsed.versions, false));
	cdc_missing_warn_tables(&parsed);
}

/* Runs a query that gives one row, and returns it. */
static HeapTupleHeader
query_row(const char *query, int nargs, Oid *types, Datum *args)
{
	HeapTupleHeader row;

	SPI_connect();
	if (SPI_execute_with_args(query, nargs, types, args, NULL, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "unexpected result of: %s", query);
	row = SPI_returntuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	SPI_finish();
	return row;
}

static void
require_failover(bool two_phase)
{
	if (!CDC_HAS_FAILOVER)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this server has no failover slots"),
				 errdetail("PostgreSQL has them from version 17 on.")));
	if (two_phase && !CDC_SYNCS_TWO_PHASE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a failover slot cannot have two_phase on this server"),
				 errdetail("Where prepared transactions begin is not synchronized to standbys before PostgreSQL 18."),
				 errhint("Leave out one of failover and two_phase.")));
}

/* What is stored for slots follows them, where this server can write. */
static void
store_options(const char *slot_name, List *options, Oid reader)
{
	if (RecoveryInProgress() || XactReadOnly)
		return;
	cdc_slot_options_prune();
	if (slot_name != NULL)
		cdc_slot_options_store(slot_name, options, reader);
}

static void
require_storable(const char *function, const char *slot_name, List *options, Oid reader, bool temporary)
{
	if (options == NIL && !OidIsValid(reader))
		return;
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("options and the reader of a slot cannot be stored during recovery"),
				 errhint("Store them on the primary by cdc.alter_slot(%s, ..., standby => true), and then make the slot here without.",
						 quote_literal_cstr(slot_name))));
	PreventCommandIfReadOnly(function);
	if (temporary)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing can be stored for a temporary slot"),
				 errhint("Give options when reading from it.")));
}

/* The role that is to read from a slot, by name; "none" is no role's name. */
static Oid
reader_argument(FunctionCallInfo fcinfo, int n, Oid missing)
{
	const char *name;

	if (PG_ARGISNULL(n))
		return missing;
	name = NameStr(*PG_GETARG_NAME(n));
	return strcmp(name, "none") == 0 ? InvalidOid : get_role_oid(name, false);
}

/* A standby's slot has what its primary has stored under its name. */
static void
announce_stored(const char *slot_name)
{
	Oid			reader;

	if (RecoveryInProgress() && (cdc_slot_options_load(slot_name, &reader) != NIL || OidIsValid(reader)))
		ereport(NOTICE,
				(errmsg("what the primary has stored for slots \"%s\" counts for this one", slot_name),
				 errhint("The view cdc.slots shows it.")));
}

static bool
any_null(FunctionCallInfo fcinfo, int n)
{
	for (int i = 0; i < n; i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

Datum
cdc_create_slot(PG_FUNCTION_ARGS)
{
	bool		temporary;
	List	   *options;
	Oid			reader;
	ResourceOwner owner = CurrentResourceOwner;
	Datum		result;

	if (any_null(fcinfo, 5))
		PG_RETURN_NULL();
	temporary = PG_GETARG_BOOL(1);
	options = cdc_options_list(PG_GETARG_ARRAYTYPE_P(4));
	reader = reader_argument(fcinfo, 5, InvalidOid);
	cdc_require_settings();
	check_options(options);
	require_storable("cdc.create_slot()", NameStr(*PG_GETARG_NAME(0)), options, reader, temporary);
	if (!RecoveryInProgress())
		cdc_slot_options_refuse_taken(NameStr(*PG_GETARG_NAME(0)));
	if (PG_GETARG_BOOL(3))
		require_failover(PG_GETARG_BOOL(2));
	cdc_announce_wait(NameStr(*PG_GETARG_NAME(0)));
	cdc_slot_options_expect(NameStr(*PG_GETARG_NAME(0)));
	/* Not by SPI: while this waits for other transactions it decodes, and then comes
	 * back with another resource owner than it was called with. */
	result = cdc_create_logical_slot(PG_GETARG_DATUM(0), DirectFunctionCall1(namein, CStringGetDatum("cdc")),
									 PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3));
	CurrentResourceOwner = owner;
	store_options(NameStr(*PG_GETARG_NAME(0)), options, reader);
	announce_stored(NameStr(*PG_GETARG_NAME(0)));
	PG_RETURN_DATUM(result);
}

/* What is stored, changed by what is given: a NULL value takes an option out. */
static List *
merge_options(List *stored, List *given)
{
	List	   *merged = NIL;
	ListCell   *lc;

	foreach(lc, stored)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		bool		kept = true;
		ListCell   *lc2;

		foreach(lc2, given)
			kept &= strcmp(lfirst_node(DefElem, lc2)->defname, option->defname) != 0;
		if (kept)
			merged = lappend(merged, option);
	}
	foreach(lc, given)
		if (lfirst_node(DefElem, lc)->arg != NULL)
			merged = lappend(merged, lfirst(lc));
	return merged;
}

static void
refuse_alter(const char *slot_name)
{
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot execute cdc.alter_slot() during recovery"),
			 errhint("Run it on the primary, for a slot of this standby alone as cdc.alter_slot(%s, ..., standby => true).",
					 quote_literal_cstr(slot_name))));
}

static void
require_no_slot(const char *slot_name)
{
	if (SearchNamedReplicationSlot(slot_name, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("replication slot \"%s\" is one of this server", slot_name),
				 errhint("What is stored for it counts for a slot of this name on a standby, too, without the argument standby.")));
}

Datum
cdc_alter_slot(PG_FUNCTION_ARGS)
{
	const char *slot_name;
	List	   *given;
	List	   *merged;
	Oid			reader;
	bool		standby;
	int			pid;

	if (any_null(fcinfo, 2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	slot_name = NameStr(*PG_GETARG_NAME(0));
	given = cdc_options_list(PG_GETARG_ARRAYTYPE_P(1));
	standby = PG_GETARG_BOOL(3);
	CheckSlotPermissions();
	if (RecoveryInProgress())
		refuse_alter(slot_name);
	pid = standby ? 0 : require_slot(PG_GETARG_DATUM(0));
	if (standby)
		require_no_slot(slot_name);
	PreventCommandIfReadOnly("cdc.alter_slot()");
	cdc_options_check_names(given);
	cdc_slot_options_lock(slot_name);
	merged = merge_options(cdc_slot_options_load(slot_name, &reader), given);
	check_options(merged);
	reader = reader_argument(fcinfo, 2, reader);
	if (standby)
		cdc_slot_options_store_for_standby(slot_name, merged, reader);
	else
		store_options(slot_name, merged, reader);
	if (pid != 0)
		ereport(NOTICE,
				(errmsg("replication slot \"%s\" is in use by process %d", slot_name, pid),
				 errdetail("The options count from its next start on.")));
	PG_RETURN_VOID();
}

Datum
cdc_copy_slot(PG_FUNCTION_ARGS)
{
	Oid			types[] = {NAMEOID, NAMEOID, BOOLOID};
	Datum		args[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	bool		temporary = PG_GETARG_BOOL(2);
	HeapTupleHeader result;
	List	   *options;
	Oid			reader;

	CheckSlotPermissions();
	cdc_require_settings();
	(void) require_slot(args[0]);
	options = cdc_slot_options_load(NameStr(*PG_GETARG_NAME(0)), &reader);
	if (RecoveryInProgress() && !temporary)
		require_storable("cdc.copy_slot()", NameStr(*PG_GETARG_NAME(1)), options, reader, false);
	if (!RecoveryInProgress())
		cdc_slot_options_refuse_taken(NameStr(*PG_GETARG_NAME(1)));
	cdc_slot_options_expect(NameStr(*PG_GETARG_NAME(1)));
	result = query_row("SELECT slot_name, lsn FROM pg_catalog.pg_copy_logical_replication_slot($1, $2, $3)",
					   lengthof(args), types, args);
	store_options(NameStr(*PG_GETARG_NAME(1)), temporary ? NIL : options, temporary ? InvalidOid : reader);
	PG_RETURN_HEAPTUPLEHEADER(result);
}

Datum
cdc_advance_slot(PG_FUNCTION_ARGS)
{
	Oid			types[] = {NAMEOID, PG_LSNOID};
	Datum		args[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	CheckSlotPermissions();
	(void) require_slot(args[0]);
	PG_RETURN_HEAPTUPLEHEADER(query_row("SELECT slot_name, end_lsn FROM pg_catalog.pg_replication_slot_advance($1, $2)",
										lengthof(args), types, args));
}

/* Drops a slot that nobody used a moment ago; false: somebody does now. */
static bool
try_drop(Datum name)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool dropped = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		(void) DirectFunctionCall1(pg_drop_replication_slot, name);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_OBJECT_IN_USE)
			ReThrowError(error);
		FreeErrorData(error);
		dropped = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return dropped;
}

/*
 * Ends whoever uses the slot, until it can be dropped: a client that connects again at
 * once, and a process that is told once and then waits for a client that does not read.
 * Returns the process that had it last, 0 = the slot is gone.
 */
static int
drop_by_force(Datum name)
{
	TimestampTz until = GetCurrentTimestamp() + FORCE_TIMEOUT * INT64CONST(1000);
	TimestampTz told_at = 0;
	Oid			types[] = {INT4OID};
	int			told = 0;
	int			pid;

	for (;;)
	{
		Datum		args[1];

		pid = slot_user(name);
		if (pid == 0 && try_drop(name))
			return 0;
		if (GetCurrentTimestamp() >= until)
			return pid;
		if (pid != 0 && (pid != told || GetCurrentTimestamp() - told_at >= TELL_AGAIN * INT64CONST(1000)))
		{
			args[0] = Int32GetDatum(pid);
			(void) query_row("SELECT pg_catalog.pg_terminate_backend($1)", 1, types, args);
			told = pid;
			told_at = GetCurrentTimestamp();
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* What is stored for a slot of a standby; false: there is a slot here, or nothing stored. */
static bool
drop_stored_for_standby(const char *slot_name)
{
	if (RecoveryInProgress() || SearchNamedReplicationSlot(slot_name, true) != NULL ||
		!cdc_slot_options_for_standby(slot_name))
		return false;
	CheckSlotPermissions();
	PreventCommandIfReadOnly("cdc.drop_slot()");
	(void) cdc_slot_options_forget(slot_name);
	ereport(NOTICE,
			(errmsg("what was stored for slots \"%s\" of standbys is removed", slot_name),
			 errhint("A slot is dropped on the server that has it.")));
	return true;
}

Datum
cdc_drop_slot(PG_FUNCTION_ARGS)
{
	const char *slot_name = NameStr(*PG_GETARG_NAME(0));
	bool		force = PG_GETARG_BOOL(1);
	int			pid;

	if (drop_stored_for_standby(slot_name))
		PG_RETURN_VOID();
	pid = slot_user(PG_GETARG_DATUM(0));
	if (pid != 0 && !force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("replication slot \"%s\" is in use by process %d", slot_name, pid),
				 errhint("cdc.drop_slot(%s, force => true) ends its connection first.",
						 quote_literal_cstr(slot_name))));
	if (!force)
		(void) DirectFunctionCall1(pg_drop_replication_slot, PG_GETARG_DATUM(0));
	else if ((pid = drop_by_force(PG_GETARG_DATUM(0))) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("replication slot \"%s\" is still in use by process %d", slot_name, pid),
				 errdetail("Its connections were ended again and again for %d seconds.", FORCE_TIMEOUT / 1000),
				 errhint("Stop the client, or take its right to connect away.")));
	store_options(NULL, NIL, InvalidOid);
	/* of a slot that came with a standby which was promoted */
	if (!RecoveryInProgress() && !XactReadOnly && cdc_slot_options_for_standby(slot_name))
		(void) cdc_slot_options_forget(slot_name);
	PG_RETURN_VOID();
}

Datum
cdc_slot_counters(PG_FUNCTION_ARGS)
{
	const char *slot_name = NameStr(*PG_GETARG_NAME(0));
	ReplicationSlot *slot = SearchNamedReplicationSlot(slot_name, true);
	uint64		counters[CDC_COUNTERS];
	Datum		values[CDC_COUNTERS];
	bool		nulls[CDC_COUNTERS] = {false};
	TupleDesc	tupdesc;

	if (!cdc_stats_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cdc counts nothing, since it is not in shared_preload_libraries"),
				 errhint("Add it there, and restart the server.")));
	if (slot == NULL || !cdc_stats_read(ReplicationSlotIndex(slot), slot_name, counters))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int i = 0; i < CDC_COUNTERS; i++)
		values[i] = UInt64GetDatum(counters[i]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls)));
}

/* What stored options name and is not there. What is malformed is told when the slot is
 * started. */
Datum
cdc_missing_tables(PG_FUNCTION_ARGS)
{
	StringInfoData missing;
	List	   *parsed = NIL;

	initStringInfo(&missing);
	if (!PG_ARGISNULL(0) && cdc_patterns_parse(&parsed, text_to_cstring(PG_GETARG_TEXT_PP(0))))
		appendStringInfoString(&missing, cdc_missing_in_tables(parsed));
	parsed = NIL;
	if (!PG_ARGISNULL(1) && cdc_requested_parse(&parsed, text_to_cstring(PG_GETARG_TEXT_PP(1))))
	{
		const char *versions = cdc_requested_missing(parsed);

		appendStringInfo(&missing, "%s%s", missing.len > 0 && *versions != '\0' ? ", " : "", versions);
	}
	if (missing.len == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(missing.data, missing.len));
}
