/*
 * jsonvalue.h
 *	  Single values in the JSON form: from wire fields to JSON text.
 *
 * Everything is appended in UTF-8. Damage raises data_corrupted.
 */
#ifndef CDC_JSONVALUE_H
#define CDC_JSONVALUE_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"
#include "compat.h"
#include "wire/wire.h"

/* Raises an ERROR: the bytes are not what they claim to be. */
pg_noreturn extern void cdc_json_damaged(const char *what);

/* A JSON string of UTF-8 text, which is checked. */
extern void cdc_json_string(StringInfo out, const char *text, size_t len);

/* "\x..." */
extern void cdc_json_hex(StringInfo out, const void *data, size_t len);

/* An LSN, as X/X, without quotes. */
extern void cdc_json_lsn(StringInfo out, uint64 lsn);

/* A string: ISO 8601 with the offset of UTC, from microseconds since 1970. */
extern void cdc_json_unix_time(StringInfo out, int64 microseconds);

/* A value of any type but arrays, as a column has it, and as an array does. */
extern void cdc_json_scalar(StringInfo out, Cdc__V1__Type type, const CdcField *field);
extern void cdc_json_element(StringInfo out, Cdc__V1__Type type, const CdcField *field);

#endif							/* CDC_JSONVALUE_H */
