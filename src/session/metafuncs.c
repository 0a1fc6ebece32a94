/*
 * metafuncs.c
 *	  SQL functions that attach metadata to transactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "rows/event.h"
#include "wire/metadata.h"
#include "wire/wire.h"

PG_FUNCTION_INFO_V1(cdc_set_metadata);
PG_FUNCTION_INFO_V1(cdc_set_traceparent);

/* A text argument in UTF-8; NULL is an ERROR. */
static char *
utf8_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *value;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	return pg_server_to_any(value, strlen(value), PG_UTF8);
}

static void
log_metadata(const char *key, const char *value)
{
	StringInfoData message;

	if (*key == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key must not be empty")));
	if (strlen(key) + strlen(value) > CDC_METADATA_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("metadata of a transaction is limited to %d bytes",
						CDC_METADATA_MAX_BYTES),
				 errdetail("Key and value have %zu bytes in UTF-8.",
						   strlen(key) + strlen(value))));
	initStringInfo(&message);
	cdc_field_uint(&message, CDC_METADATA_XID, GetCurrentTransactionId());
	cdc_field_bytes(&message, CDC_METADATA_KEY, key, strlen(key));
	cdc_field_bytes(&message, CDC_METADATA_VALUE, value, strlen(value));
	(void) cdc_log_message(CDC_METADATA_PREFIX, message.data, message.len);
}

Datum
cdc_set_metadata(PG_FUNCTION_ARGS)
{
	char	   *key = utf8_argument(fcinfo, 0, "key");
	char	   *value = utf8_argument(fcinfo, 1, "value");

	cdc_exttable_require_primary("cdc.set_metadata()");
	log_metadata(key, value);
	PG_RETURN_VOID();
}

/* Lower-case hexadecimal digits, not all of them zero. */
static bool
is_trace_id(const char *p, int len)
{
	return strspn(p, "0123456789abcdef") >= len && strspn(p, "0") < len;
}

Datum
cdc_set_traceparent(PG_FUNCTION_ARGS)
{
	char	   *value = utf8_argument(fcinfo, 0, "traceparent");

	cdc_exttable_require_primary("cdc.set_traceparent()");
	/* version-traceid-parentid-flags, as W3C Trace Context has it */
	if (strlen(value) != 55 || value[2] != '-' || value[35] != '-' || value[52] != '-' ||
		strncmp(value, "ff", 2) == 0 ||
		strspn(value, "0123456789abcdef") != 2 ||
		!is_trace_id(value + 3, 32) || !is_trace_id(value + 36, 16) ||
		strspn(value + 53, "0123456789abcdef") != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid traceparent: \"%s\"", value),
				 errhint("It has the form 00-<32 hexadecimal digits>-<16>-<2>, in lower case, as in W3C Trace Context.")));
	log_metadata("traceparent", value);
	PG_RETURN_VOID();
}
