/*
 * json_fuzz.c
 *	  Whatever the paths and the text are, src/redact/jsonwalker.c reads inside them; what
 *	  it makes is JSON, in which there is nothing left to redact, and only of JSON.
 *
 * Input: a byte for the methods, a line for each of two paths, and the text.
 */
#include "postgres_fe.h"

#include <stddef.h>

#include "lib/stringinfo.h"

/* For sources that are a server's; of the headers that need one, what is used. */
#define POSTGRES_H
#define CDC_TYPCODEC_H
#define CDC_JSONVALUE_H
#include "cdc/v1/cdc.pb-c.h"
typedef struct CdcCodec CdcCodec;
static void cdc_json_string(StringInfo out, const char *text, size_t len);

#include "../../src/json/jsontokens.c"
#include "../../src/redact/jsonpath.c"
#include "../../src/redact/jsonwalker.c"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that does not depend on NDEBUG */
#define require(condition) \
	do { if (!(condition)) { fprintf(stderr, "not so: %s, line %d\n", #condition, __LINE__); abort(); } } while (0)

#define MARK "redacted"

/* Memory of one run, which is freed at its end like that of a context. */
typedef union Chunk
{
	union Chunk *next;
	max_align_t align;
} Chunk;

static Chunk *chunks = NULL;

void *
palloc(Size size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	chunk->next = chunks;
	chunks = chunk;
	return chunk + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
repalloc(void *pointer, Size size)
{
	Chunk	   *old = (Chunk *) pointer - 1;
	Chunk	  **link = &chunks;

	while (*link != old)
		link = &(*link)->next;
	*link = realloc(old, sizeof(Chunk) + size);
	return *link + 1;
}

void
pfree(void *pointer)
{
	Chunk	   *old = (Chunk *) pointer - 1;
	Chunk	  **link = &chunks;

	while (*link != old)
		link = &(*link)->next;
	*link = old->next;
	free(old);
}

static void
free_all(void)
{
	while (chunks != NULL)
		pfree(chunks + 1);
}

/* What is redacted is told from all else. */
void
cdc_redact_text(StringInfo out, const CdcRedaction *redaction, const char *text, int len)
{
	for (int i = 0; i < len; i++)
		require(text[i] != '\0');
	appendStringInfoString(out, redaction->value);
}

static void
cdc_json_string(StringInfo out, const char *text, size_t len)
{
	appendStringInfoChar(out, '"');
	appendBinaryStringInfo(out, text, (int) len);
	appendStringInfoChar(out, '"');
}

bool
cdc_method_stricter(CdcMethod one, CdcMethod other)
{
	return one > other;
}

bool
cdc_redaction_equal(const CdcRedaction *a, const CdcRedaction *b)
{
	return a->method == b->method;
}

static CdcJsonPath *
parse(const char *start, const char *end)
{
	char	   *text = palloc0(end - start + 1);
	const char *where = NULL;
	const char *expected = NULL;
	CdcJsonPath *path;

	memcpy(text, start, end - start);
	path = cdc_json_path_parse(text, &where, &expected);
	require(path != NULL || (where >= text && where <= text + strlen(text) && expected != NULL));
	require(path == NULL || path->nsteps > 0);
	return path;
}

/* Text of its own, so that reading beyond it is noticed. */
static char *
copy(const char *text, size_t len)
{
	return memcpy(palloc(len), text, len);
}

static void
run(const uint8_t *data, size_t size)
{
	static const CdcMethod methods[] = {CDC_METHOD_MASK, CDC_METHOD_CONSTANT, CDC_METHOD_NULL, CDC_METHOD_DROP};
	const char *p = (const char *) data;
	const char *end = p + size;
	CdcRedaction redactions[2] = {{0}};
	CdcJsonRule rules[2];
	StringInfoData compact;
	StringInfoData once;
	StringInfoData twice;
	bool		is_json;
	char	   *text;

	if (size == 0)
		return;
	for (int i = 0; i < 2; i++)
	{
		const char *line = i == 0 ? p + 1 : p;
		const char *newline = line < end ? memchr(line, '\n', end - line) : NULL;

		redactions[i].method = methods[(*data >> (2 * i)) & 3];
		redactions[i].value = MARK;
		rules[i].redaction = &redactions[i];
		if (newline == NULL || (rules[i].path = parse(line, newline)) == NULL)
			return;
		p = newline + 1;
	}
	text = copy(p, end - p);
	initStringInfo(&compact);
	initStringInfo(&once);
	initStringInfo(&twice);
	is_json = cdc_json_compact(&compact, text, text + (end - p));
	if (cdc_json_redact(&once, rules, 2, text, (int) (end - p)))
	{
		char	   *result = copy(once.data, once.len);

		require(is_json);
		require(cdc_json_redact(&twice, rules, 2, result, once.len));
		require(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
		resetStringInfo(&twice);
		require(cdc_json_compact(&twice, result, result + once.len));
		require(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
	}
	/* without rules it is what the compact form is */
	resetStringInfo(&once);
	require(cdc_json_redact(&once, rules, 0, text, (int) (end - p)) == is_json);
	require(!is_json || (once.len == compact.len && memcmp(once.data, compact.data, once.len) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);
	free_all();
	return 0;
}
