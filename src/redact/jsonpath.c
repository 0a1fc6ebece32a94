/*
 * jsonpath.c
 *	  Parses paths into JSON values.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "json/jsontokens.h"
#include "redact/jsonpath.h"

/* Can a name without quotes begin with, or have, this byte? What is not ASCII is
 * taken for a letter. */
static bool
is_name_byte(char c, bool first)
{
	return IS_HIGHBIT_SET(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		(!first && ((c >= '0' && c <= '9') || c == '$'));
}

/* The name behind a dot; the byte after it, or NULL. */
static const char *
parse_name(CdcJsonStep *step, const char *p, const char *end, const char **expected)
{
	StringInfoData name;
	const char *start = p;

	initStringInfo(&name);
	if (*p == '"')
	{
		*expected = "a string as in JSON, in double quotes";
		if ((p = cdc_json_scan_string(p, end)) == NULL ||
			!cdc_json_unescape(&name, start + 1, p - 1))
			return NULL;
	}
	else
	{
		*expected = "a name of letters, digits and underscores, a name in double quotes, or *";
		if (!is_name_byte(*p, true))
			return NULL;
		while (is_name_byte(*p, false))
			p++;
		appendBinaryStringInfo(&name, start, (int) (p - start));
	}
	step->kind = CDC_STEP_MEMBER;
	step->name = name.data;
	step->len = name.len;
	return p;
}

static const char *
parse_step(CdcJsonStep *step, const char *p, const char *end, const char **where,
		   const char **expected)
{
	*where = p;
	if (strncmp(p, "[*]", 3) == 0)
	{
		step->kind = CDC_STEP_ELEMENTS;
		return p + 3;
	}
	if (strncmp(p, ".*", 2) == 0)
	{
		step->kind = CDC_STEP_MEMBERS;
		return p + 2;
	}
	*expected = "a step: .name, .\"name\", .* or [*]";
	if (*p != '.')
		return NULL;
	*where = p + 1;
	return parse_name(step, p + 1, end, expected);
}

CdcJsonPath *
cdc_json_path_parse(const char *path, const char **where, const char **expected)
{
	const char *end = path + strlen(path);
	const char *p = path;
	/* a step takes two bytes at least */
	CdcJsonPath *result = palloc0(offsetof(CdcJsonPath, steps) +
								  sizeof(CdcJsonStep) * (strlen(path) / 2 + 1));

	*where = path;
	*expected = "$, the value of the column";
	if (*p++ != '$')
		return NULL;
	do
	{
		p = parse_step(&result->steps[result->nsteps++], p, end, where, expected);
	} while (p != NULL && p < end);
	return p == NULL ? NULL : result;
}
