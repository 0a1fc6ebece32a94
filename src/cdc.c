/*
 * cdc.c
 *	  What makes the library a PostgreSQL module.
 */
#include "postgres.h"

#include "compat.h"
#include "util/settings.h"
#include "util/stats.h"

CDC_MODULE_MAGIC("cdc", CDC_VERSION);

void
_PG_init(void)
{
	cdc_define_settings();
	cdc_stats_reserve();
}
