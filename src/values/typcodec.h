/*
 * typcodec.h
 *	  Resolves types to codecs.
 */
#ifndef CDC_TYPCODEC_H
#define CDC_TYPCODEC_H

#include "values/codec.h"

/* What of a codec reads types when it meets values, see builttext.h; or NULL. */
extern struct CdcBuilt *cdc_codec_built(const CdcCodec *codec);

/* Resolves a type for a field number of 1 to 3600. What the codec points to
 * lives in the current memory context. Reads catalogs. */
extern void cdc_codec_init(CdcCodec *codec, uint32 field, Oid typid);

/* Makes that of an int8 one of an int4: a value that does not fit is an ERROR. */
extern void cdc_codec_narrow(CdcCodec *codec);

/* Resolves a type to a codec that writes the text of its values, whatever the
 * type is sent as. */
extern void cdc_codec_init_text(CdcCodec *codec, uint32 field, Oid typid);

/* For a field that is a string or a message. */
extern void cdc_codec_set_tag(CdcCodec *codec, uint32 field);

/* json, jsonb, and domains over them. */
extern bool cdc_type_is_json(Oid typid);

/* The type of the elements if `typid` is an array of them (not so for
 * int2vector and oidvector, which only look like arrays), else InvalidOid. */
extern Oid	cdc_array_element(Oid typid);

#endif							/* CDC_TYPCODEC_H */
