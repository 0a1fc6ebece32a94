/*
 * settings.c
 *	  Fixes the settings that output functions read.
 */
#include "postgres.h"

#include "settings.h"
#include "utils/guc.h"

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
