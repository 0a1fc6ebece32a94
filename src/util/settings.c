/*
 * settings.c
 *	  Defines the extension's settings, and fixes those that output functions
 *	  read.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "util/settings.h"

bool		cdc_check_privileges = true;
bool		cdc_allow_user_catalog_tables = false;
bool		cdc_warn_of_old_minor = true;
bool		cdc_track_schema = true;

/* in kB, up to where a message to the client and the buffer it is made in end */
static int	max_event_size = 256 * 1024;
#define MAX_MAX_EVENT_SIZE (1000 * 1024)

/*
 * A walsender loads the library outside of a transaction, and a value that its
 * client has given is checked then, which reads catalogs.
 */
void
cdc_define_settings(void)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	bool		own_transaction = IsUnderPostmaster && !IsTransactionState();

	if (own_transaction)
		StartTransactionCommand();
	DefineCustomBoolVariable("cdc.check_privileges",
							 "Sends a user only what it may SELECT, or was given by cdc.grant_read().",
							 "Superusers, and when this is off roles with REPLICATION, are sent everything that rules of redaction leave.",
							 &cdc_check_privileges, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("cdc.allow_user_catalog_tables",
							 "Lets roles that are no superusers set the storage option user_catalog_table.",
							 "Whoever owns such a table can make every logical slot of the database fail for ever, by dropping it.",
							 &cdc_allow_user_catalog_tables, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdc.max_event_size",
							"What the event of a row may take; a larger one becomes a failure event.",
							"Bounds the memory that one row takes on its way.",
							&max_event_size, 256 * 1024, 1024, MAX_MAX_EVENT_SIZE, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomBoolVariable("cdc.warn_of_old_minor",
							 "Warns at the start of a stream of a server whose minor release decodes some changes wrongly.",
							 NULL,
							 &cdc_warn_of_old_minor, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("cdc.track_schema",
							 "Has commands say in the WAL which relations they have changed.",
							 "Streams with the option schema_changes tell changes of schemas by that.",
							 &cdc_track_schema, true, PGC_SUSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("cdc");
	if (own_transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(oldcxt);
}

int
cdc_max_event_bytes(void)
{
	return max_event_size * 1024;
}

static const struct
{
	const char *name;
	const char *value;
}			fixed[] =
{
	{"datestyle", "ISO, MDY"},
	{"intervalstyle", "postgres"},
	{"timezone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"search_path", "pg_catalog, pg_temp"},
	{"quote_all_identifiers", "off"},
	{"lc_monetary", "C"},
	{"lc_messages", "C"},
};

void
cdc_fix_settings(void)
{
	for (int i = 0; i < lengthof(fixed); i++)
	{
		const char *now = GetConfigOption(fixed[i].name, false, false);

		if (strcmp(now, fixed[i].value) != 0)
			(void) set_config_option(fixed[i].name, fixed[i].value,
									 PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_LOCAL, true, 0, false);
	}
}
