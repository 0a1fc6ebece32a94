/*
 * redactfuncs.c
 *	  SQL functions and event triggers for the rules of redaction.
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "redact/atcommit.h"
#include "redact/follow.h"
#include "redact/jsonpath.h"
#include "redact/redact.h"
#include "redact/secret.h"
#include "util/utf8.h"
#include "values/typcodec.h"

PG_FUNCTION_INFO_V1(cdc_redaction_methods);
PG_FUNCTION_INFO_V1(cdc_check_path);
PG_FUNCTION_INFO_V1(cdc_rotate_redaction_secret);
PG_FUNCTION_INFO_V1(cdc_follow_rules);
PG_FUNCTION_INFO_V1(cdc_protect);
PG_FUNCTION_INFO_V1(cdc_confirm);
PG_FUNCTION_INFO_V1(cdc_prune_rules);
PG_FUNCTION_INFO_V1(cdc_positions_at_commit);

Datum
cdc_redaction_methods(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = CDC_METHODS; i-- > 0;)
	{
		const CdcMethodInfo *method = &cdc_methods[i];
		Datum		values[4];
		bool		nulls[4] = {0};

		if (method->name == NULL)
			continue;
		values[0] = CStringGetTextDatum(method->name);
		values[1] = Int32GetDatum(method->rank);
		values[2] = CStringGetTextDatum(method->takes);
		values[3] = CStringGetTextDatum(method->needs);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

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
	cdc_exttable_require_primary("cdc.rotate_redaction_secret()");
	PG_RETURN_INT32(cdc_secret_create());
}

/* Event trigger, behind DDL. */
Datum
cdc_follow_rules(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger")));
	cdc_follow();
	PG_RETURN_NULL();
}

Datum
cdc_protect(PG_FUNCTION_ARGS)
{
	cdc_exttable_require_writer("redaction_column");
	cdc_follow_protect(PG_GETARG_INT64(0), PG_GETARG_OID(1), NameStr(*PG_GETARG_NAME(2)));
	PG_RETURN_VOID();
}

Datum
cdc_confirm(PG_FUNCTION_ARGS)
{
	cdc_exttable_require_writer("redaction_column");
	cdc_follow_confirm(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
cdc_prune_rules(PG_FUNCTION_ARGS)
{
	cdc_exttable_require_writer("redaction_column");
	cdc_follow_prune();
	cdc_follow_forget_rules();
	PG_RETURN_VOID();
}

Datum
cdc_positions_at_commit(PG_FUNCTION_ARGS)
{
	cdc_exttable_require_writer("redaction_rule");
	cdc_positions_at_end();
	PG_RETURN_VOID();
}
