/*
 * redactfuncs.c
 *	  SQL functions and triggers for the rules of redaction.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "compat.h"
#include "secret.h"

PG_FUNCTION_INFO_V1(cdc_rotate_redaction_secret);
PG_FUNCTION_INFO_V1(cdc_rules_changed);

Datum
cdc_rotate_redaction_secret(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(cdc_secret_create());
}

/* Tells the sessions that decode, at once and where the change stands in the WAL:
 * a table of this kind has no invalidation messages of its own. */
Datum
cdc_rules_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" can not be truncated", RelationGetRelationName(trigger->tg_relation)),
				 errdetail("What it had would no longer be known for changes that are not read yet."),
				 errhint("DELETE its rows instead.")));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
