/*
 * redactfuncs.c
 *	  SQL functions and triggers for the rules of redaction.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "compat.h"
#include "jsonpath.h"
#include "secret.h"
#include "typcodec.h"

PG_FUNCTION_INFO_V1(cdc_check_path);
PG_FUNCTION_INFO_V1(cdc_rotate_redaction_secret);
PG_FUNCTION_INFO_V1(cdc_rules_changed);

static int
characters(const char *p, const char *end)
{
	int			n = 0;

	for (; p < end; p += pg_utf_mblen((const unsigned char *) p))
		n++;
	return n;
}

Datum
cdc_check_path(PG_FUNCTION_ARGS)
{
	const char *path = cdc_utf8(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Oid			typid = PG_GETARG_OID(1);
	const char *where;
	const char *expected;

	if (!cdc_type_is_json(typid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no paths into values of type %s", format_type_be(typid)),
				 errdetail("Paths lead into values of json and jsonb, and of domains over them."),
				 errhint("Leave path out to redact the whole value.")));
	if (cdc_json_path_parse(path, &where, &expected) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid path, from character %d on",
						characters(path, where) + 1),
				 errdetail("Expected there: %s.", expected),
				 errhint("For example: $.contact.email, $.\"any name\".*, $.phones[*].number.")));
	PG_RETURN_VOID();
}

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
