/*
 * encode.h
 *	  The encoders of values: each appends the tag of its codec and a value.
 *
 * Text is converted from the server's encoding to UTF-8, which raises an ERROR
 * for characters that have no counterpart there.
 */
#ifndef CDC_ENCODE_H
#define CDC_ENCODE_H

#include "values/codec.h"

/* Fields of the *Array messages. */
enum
{
	CDC_ARRAY_VALUES = 1,
	CDC_ARRAY_NULLS = 2,
	CDC_ARRAY_DIMENSIONS = 3,
	CDC_ARRAY_LOWER_BOUNDS = 4
};

#define CDC_DECLARE_ENCODER(name) \
	extern void name(StringInfo out, const CdcCodec *codec, Datum value)

CDC_DECLARE_ENCODER(cdc_encode_bool);
CDC_DECLARE_ENCODER(cdc_encode_int2);
CDC_DECLARE_ENCODER(cdc_encode_int4);
CDC_DECLARE_ENCODER(cdc_encode_int8);
CDC_DECLARE_ENCODER(cdc_encode_int8_as_int4);
CDC_DECLARE_ENCODER(cdc_encode_uint32);
CDC_DECLARE_ENCODER(cdc_encode_time);
CDC_DECLARE_ENCODER(cdc_encode_float4);
CDC_DECLARE_ENCODER(cdc_encode_float8);
CDC_DECLARE_ENCODER(cdc_encode_timestamp);
CDC_DECLARE_ENCODER(cdc_encode_uuid);
CDC_DECLARE_ENCODER(cdc_encode_varlena_bytes);
CDC_DECLARE_ENCODER(cdc_encode_varlena_text);
CDC_DECLARE_ENCODER(cdc_encode_numeric);
CDC_DECLARE_ENCODER(cdc_encode_jsonb);
CDC_DECLARE_ENCODER(cdc_encode_char);
CDC_DECLARE_ENCODER(cdc_encode_output);
CDC_DECLARE_ENCODER(cdc_encode_timetz);
CDC_DECLARE_ENCODER(cdc_encode_interval);
CDC_DECLARE_ENCODER(cdc_encode_array);
CDC_DECLARE_ENCODER(cdc_encode_output_bytes);
CDC_DECLARE_ENCODER(cdc_encode_built);
CDC_DECLARE_ENCODER(cdc_encode_built_bytes);

#endif							/* CDC_ENCODE_H */
