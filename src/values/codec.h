/*
 * codec.h
 *	  How the values of a type are written: what is resolved once for a column, then
 *	  called for every value.
 */
#ifndef CDC_CODEC_H
#define CDC_CODEC_H

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

#endif							/* CDC_CODEC_H */
