/*
 * inspectfuncs.c
 *	  SQL functions that read streams.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json/jsonlines.h"
#include "json/jsonrow.h"
#include "wire/wire.h"

PG_FUNCTION_INFO_V1(cdc_decode_json);
PG_FUNCTION_INFO_V1(cdc_decode);

static void
put_line(void *arg, const char *line, int len)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		value = PointerGetDatum(cstring_to_text_with_len(line, len));
	bool		isnull = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
}

static void
put_row(void *arg, const char *line, int len)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[CDC_ROW_COLUMNS] = {0};
	bool		isnull[CDC_ROW_COLUMNS];

	if (cdc_json_row(line, len, values, isnull))
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
}

/*
 * Reads delimited batches, also as pg_recvlogical writes them, with a newline
 * after each, or as a Stream, with that newline before each. A newline is no
 * length: no batch has 10 bytes, since its transaction, or the position of a
 * message, takes more.
 */
static void
decode(FunctionCallInfo fcinfo, CdcJsonEmit emit)
{
	bytea	   *data = PG_GETARG_BYTEA_PP(0);
	CdcCursor	cursor = cdc_cursor(VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	CdcSchemas *schemas;
	MemoryContext batch_cxt;
	MemoryContext oldcxt;
	uint64		len;

	schemas = cdc_schemas_create();
	batch_cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc decode",
									  ALLOCSET_DEFAULT_SIZES);
	while (cursor.p < cursor.end)
	{
		size_t		at = cursor.p - (char *) VARDATA_ANY(data);

		if (*cursor.p == '\n')
		{
			cursor.p++;
			continue;
		}
		if (!cdc_read_varint(&cursor, &len) || len > (uint64) (cursor.end - cursor.p))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("cdc data is damaged: batch at byte %zu is cut off", at)));
		oldcxt = MemoryContextSwitchTo(batch_cxt);
		cdc_json_batch(schemas, cursor.p, len, emit, fcinfo->resultinfo);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(batch_cxt);
		cursor.p += len;
	}
}

Datum
cdc_decode_json(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	decode(fcinfo, put_line);
	return (Datum) 0;
}

Datum
cdc_decode(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	decode(fcinfo, put_row);
	return (Datum) 0;
}
