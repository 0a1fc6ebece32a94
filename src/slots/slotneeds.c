/*
 * slotneeds.c
 *	  Looks at what stands in the way of a slot, and says it before core does, which tells
 *	  one thing at a time, or none.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "slots/slotneeds.h"

/* How long to wait for transactions before saying so, and how often to look, in
 * milliseconds. */
#define SILENCE 1000
#define POLL_INTERVAL 50

/* --- settings ----------------------------------------------------------------- */

/* What is missing, and how to get it. */
typedef struct Missing
{
	StringInfoData what;
	StringInfoData statements;
	StringInfoData file;		/* the same for postgresql.conf */
	bool		restart;
} Missing;

static void
add(StringInfo out, const char *separator, const char *text)
{
	appendStringInfo(out, "%s%s", out->len > 0 ? separator : "", text);
}

static void
check_wal_level(Missing *missing)
{
	if (wal_level >= CDC_WAL_LEVEL)
		return;
	add(&missing->what, " ", psprintf("wal_level is \"%s\".", GetConfigOption("wal_level", false, false)));
	add(&missing->statements, " ", "ALTER SYSTEM SET wal_level = " CDC_WAL_LEVEL_NAME ";");
	add(&missing->file, ", ", "wal_level = " CDC_WAL_LEVEL_NAME);
	missing->restart = true;
}

static void
check_slots(Missing *missing)
{
	if (max_replication_slots > 0)
		return;
	add(&missing->what, " ", "max_replication_slots is 0.");
	add(&missing->statements, " ", "ALTER SYSTEM SET max_replication_slots = 10;");
	add(&missing->file, ", ", "max_replication_slots = 10");
	missing->restart = true;
}

/* The names of a list; of one that was quoted as a single name, those in it. */
static List *
split_names(const char *setting, bool *as_one)
{
	List	   *names;
	List	   *inner;

	*as_one = false;
	if (!SplitGUCList(pstrdup(setting), ',', &names))
		return NIL;
	if (list_length(names) != 1 || strchr(linitial(names), ',') == NULL ||
		!SplitGUCList(pstrdup(linitial(names)), ',', &inner))
		return names;
	*as_one = true;
	return inner;
}

/*
 * Servers that have output_plugin_libraries allow no other plugin. Ordinary users
 * cannot read the setting.
 */
static void
check_plugin_list(Missing *missing)
{
	const char *setting = GetConfigOption("output_plugin_libraries", true, false);
	StringInfoData names;
	List	   *list;
	ListCell   *lc;
	bool		as_one;
	bool		found = false;

	if (setting == NULL)
		return;
	list = split_names(setting, &as_one);
	initStringInfo(&names);
	foreach(lc, list)
	{
		if (strcmp(lfirst(lc), "cdc") == 0)
			found = true;
		else
			add(&names, ", ", quote_identifier(lfirst(lc)));
	}
	if (found && !as_one)
		return;
	add(&names, ", ", "cdc");
	add(&missing->what, " ", as_one ?
		psprintf("output_plugin_libraries has all its names in quotes, which makes them one name: %s.", setting) :
		"output_plugin_libraries does not name \"cdc\".");
	add(&missing->statements, " ", psprintf("ALTER SYSTEM SET output_plugin_libraries = %s;", names.data));
	add(&missing->file, ", ", psprintf("output_plugin_libraries = %s", quote_literal_cstr(names.data)));
}

void
cdc_require_settings(void)
{
	Missing		missing = {0};

	initStringInfo(&missing.what);
	initStringInfo(&missing.statements);
	initStringInfo(&missing.file);
	check_wal_level(&missing);
	check_slots(&missing);
	check_plugin_list(&missing);
	if (missing.what.len == 0)
		return;
	ereport(ERROR,
			(errcode(missing.restart ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE :
					 ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("this server is not set up for slots of the output plugin \"cdc\""),
			 errdetail_internal("%s", missing.what.data),
			 errhint("As a superuser run: %s %s\nOr in postgresql.conf: %s.",
					 missing.statements.data,
					 missing.restart ? "and restart the server." : "SELECT pg_reload_conf();",
					 missing.file.data)));
}

/* --- running transactions ------------------------------------------------------ */

/* The transactions that have written something, as text. Locks are for everyone to see, when
 * a transaction began is not. */
#define WRITERS \
	" FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'transactionid'" \
	" AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND l.granted" \
	" AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"

static const char writers[] =
"SELECT pg_catalog.string_agg(l.transactionid::pg_catalog.text, ',')" WRITERS;

/* What is told of those that were there at the beginning ($1) and are still. */
static const char running[] =
"SELECT pg_catalog.string_agg(t.text, ', ' ORDER BY t.began), pg_catalog.bool_or(t.prepared) FROM ("
"  SELECT DISTINCT CASE WHEN p.gid IS NOT NULL THEN pg_catalog.format('prepared transaction %s (for %s)',"
"      pg_catalog.quote_literal(p.gid), pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.prepared))"
"    WHEN a.xact_start IS NULL THEN pg_catalog.format('process %s', w.pid)"
"    ELSE pg_catalog.format('process %s (for %s)', w.pid,"
"      pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.xact_start)) END AS text,"
"    coalesce(p.prepared, a.xact_start) AS began, p.gid IS NOT NULL AS prepared"
"  FROM (SELECT l.pid, l.transactionid" WRITERS
"        AND l.transactionid::pg_catalog.text OPERATOR(pg_catalog.=) ANY (pg_catalog.string_to_array($1, ','))) w"
"    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) w.pid"
"    LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) w.transactionid"
"  LIMIT 20) t";

/* The value of a query's first column, as text; NULL for NULL. The second one, if there is
 * one, is a boolean. */
static char *
query_text(const char *query, const char *argument, bool *flag)
{
	Oid			types[] = {TEXTOID};
	Datum		args[] = {argument == NULL ? (Datum) 0 : CStringGetTextDatum(argument)};
	MemoryContext cxt = CurrentMemoryContext;
	char	   *value;
	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args(query, argument == NULL ? 0 : 1, types, args, NULL, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "unexpected result of: %s", query);
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value != NULL)
		value = MemoryContextStrdup(cxt, value);
	if (flag != NULL)
		*flag = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)) && !isnull;
	SPI_finish();
	return value;
}

void
cdc_announce_wait(const char *slot_name)
{
	char	   *before;
	char	   *text;
	bool		prepared;

	if (RecoveryInProgress())
	{
		ereport(NOTICE,
				(errmsg("slot \"%s\" is made as soon as the primary logs which transactions are running", slot_name),
				 errhint("On the primary: SELECT pg_log_standby_snapshot();")));
		return;
	}
	before = query_text(writers, NULL, NULL);
	if (before == NULL)
		return;
	for (int waited = 0; (text = query_text(running, before, &prepared)) != NULL; waited += POLL_INTERVAL)
	{
		if (waited >= SILENCE)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (text != NULL)
		ereport(NOTICE,
				(errmsg("slot \"%s\" is made when transactions have ended that are running", slot_name),
				 errdetail("Those that have written something: %s.", text),
				 prepared ? errhint("A prepared transaction ends by COMMIT PREPARED or ROLLBACK PREPARED in its database.") : 0));
}
