/*
 * source.c
 *	  Describes the server.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "utils/guc.h"

#include "cdc/v1/cdc.pb-c.h"
#include "wire/source.h"

int
cdc_server_version(void)
{
	return atoi(GetConfigOption("server_version_num", false, false));
}

int
cdc_source(const char *database, const char *slot, bool schema_changes, char **data)
{
	Cdc__V1__Source source = CDC__V1__SOURCE__INIT;
	Cdc__V1__Batch batch = CDC__V1__BATCH__INIT;
	TimeLineID	timeline;

	if (RecoveryInProgress())
		(void) GetXLogReplayRecPtr(&timeline);
	else
		timeline = GetWALInsertionTimeLine();
	source.system_identifier = GetSystemIdentifier();
	source.timeline = timeline;
	source.database = unconstify(char *, database);
	source.slot = unconstify(char *, slot);
	source.plugin_version = CDC_VERSION;
	source.server_version = cdc_server_version();
	source.schema_changes = schema_changes;
	batch.source = &source;
	*data = palloc(cdc__v1__batch__get_packed_size(&batch));
	return cdc__v1__batch__pack(&batch, (uint8_t *) *data);
}
