/*
 * typcodec.h
 *	  How the values of a type are written: resolved once for a column, then
 *	  called for every value.
 */
#ifndef CDC_TYPCODEC_H
#define CDC_TYPCODEC_H

#include "fmgr.h"
#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"

typedef struct CdcCodec CdcCodec;

/* Appends tag and value. The value is not NULL and its bytes are at hand (not
 * a TOAST pointer to disk). May allocate in the current memory context. */
typedef void (*CdcEncoder) (StringInfo out, const CdcCodec *codec, Datum value);

struct CdcCodec
{
	CdcEncoder	encode;
	int			taglen;			/* 1 to 3 */
	char		tag[4];
	Cdc__V1__Type type;
	bool		may_raise;		/* a value can make `encode` raise an ERROR */
	bool		needs_settings; /* the output depends on settings */
	FmgrInfo	output;			/* for encoders that go through text */
	bool		varlena;		/* which may be packed or out of line */
	struct CdcBuilt *built;		/* where the text is not that of `output`; or NULL */
	struct CdcArrayCodec *array;	/* for arrays; NULL otherwise */

	/* for values that are redacted, see redact.h; NULL otherwise */
	const CdcCodec *plain;		/* writes the value's text */
	const struct CdcRedaction *redaction;
	struct CdcScratch *scratch; /* its own */
};

/* The message of arrays of these elements. */
typedef enum CdcArrayKind
{
	CDC_ARRAY_PACKED,			/* numbers and booleans: one packed field */
	CDC_ARRAY_LEN				/* strings and bytes: a field for each */
} CdcArrayKind;

/* How the elements of an array are written. */
typedef struct CdcArrayCodec
{
	CdcCodec	element;
	CdcArrayKind kind;
	int			zero_len;		/* bytes of a packed zero, for NULL elements */
	Oid			typid;			/* of the elements */
	int16		typlen;
	bool		typbyval;
	char		typalign;
} CdcArrayCodec;

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
