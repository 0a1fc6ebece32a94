/*
 * redactcodec.c
 *	  Writes the redacted text of values.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "redact/jsonwalker.h"
#include "redact/redactcodec.h"
#include "values/encode.h"
#include "values/typcodec.h"
#include "wire/wire.h"

/* What an encoder keeps between values. */
typedef struct CdcScratch
{
	StringInfoData text;		/* of the value, as a field */
	bool	   *withheld;		/* to be set when a value is */
	bool		warned;			/* of that */
} CdcScratch;

/* Beyond that memory is given back. */
#define KEPT_TEXT (16 * 1024)

/* What stands for a value that is not what a path expects: empty, which no JSON
 * is. Anybody may write one, so it is told once. */
static void
withhold(StringInfo out, int body, CdcScratch *scratch)
{
	out->len = body;
	*scratch->withheld = true;
	if (scratch->warned)
		return;
	scratch->warned = true;
	ereport(WARNING,
			(errmsg("a value is withheld, since it is not what the path of a rule of redaction expects"),
			 errdetail("Further values of this column are withheld without a warning.")));
}

/* Whether what stands for a value depends on it. */
static bool
needs_text(const CdcRedaction *r)
{
	return r->method != CDC_METHOD_CONSTANT && (r->method != CDC_METHOD_MASK || r->length < 0);
}

/* The value's text in UTF-8 as the stream would have it: written by the type's own
 * way to text, into a field of its own. */
static CdcField
text_of(const CdcCodec *codec, Datum value)
{
	StringInfo	text = &codec->scratch->text;
	CdcCursor	cursor;
	CdcField	field;

	resetStringInfo(text);
	codec->plain->encode(text, codec->plain, value);
	cursor = cdc_cursor(text->data, text->len);
	if (!cdc_read_field(&cursor, &field) || field.type != CDC_WIRE_LEN)
		elog(ERROR, "text of a value is no field");
	return field;
}

static void
encode_redacted(StringInfo out, const CdcCodec *codec, Datum value)
{
	const CdcRedaction *redaction = codec->redaction;
	StringInfo	text = &codec->scratch->text;
	CdcField	field = {0};
	char	   *p;
	int			body;

	if (needs_text(redaction))
		field = text_of(codec, value);
	p = cdc_reserve(out, sizeof(codec->tag) + 1);
	memcpy(p, codec->tag, sizeof(codec->tag));
	cdc_advance(out, p + codec->taglen + 1);	/* and its length */
	body = out->len;
	if (redaction->method != CDC_METHOD_PATH)
		cdc_redact_text(out, redaction, field.data, (int) field.len);
	else if (!cdc_json_redact(out, redaction->inside, redaction->ninside,
							  field.data, (int) field.len))
		withhold(out, body, codec->scratch);
	cdc_msg_end(out, body);
	if (unlikely(text->maxlen > KEPT_TEXT))
	{
		text->data = repalloc(text->data, KEPT_TEXT);
		text->maxlen = KEPT_TEXT;
	}
}

/* A mask of several bytes a character may be too long for an event where text is much
 * longer than what is stored: 10 bytes of a numeric are 131072 digits. */
static bool
may_raise(const CdcRedaction *r, const CdcCodec *plain)
{
	return (r->method == CDC_METHOD_HASH && CDC_HMAC_RAISES) ||
		(r->method == CDC_METHOD_MASK && r->length < 0 && strlen(r->filler) > 1 &&
		 plain->encode != cdc_encode_varlena_text) ||
		r->method == CDC_METHOD_PATH;
}

void
cdc_redaction_codec(CdcCodec *codec, uint32 field, Oid typid, const CdcRedaction *redaction,
					bool *withheld)
{
	CdcCodec   *plain = palloc(sizeof(CdcCodec));
	CdcScratch *scratch = palloc0(sizeof(CdcScratch));
	Cdc__V1__Type type = codec->type;

	cdc_codec_init_text(plain, 1, typid);
	initStringInfo(&scratch->text);
	scratch->withheld = withheld;
	*codec = *plain;
	if (!needs_text(redaction))
		codec->may_raise = codec->needs_settings = false;
	codec->type = type;
	codec->encode = encode_redacted;
	codec->plain = plain;
	codec->redaction = redaction;
	codec->scratch = scratch;
	codec->may_raise |= may_raise(redaction, plain);
	cdc_codec_set_tag(codec, field);
}
