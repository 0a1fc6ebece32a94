/*
 * jsonpath.h
 *	  Paths into JSON values, for rules of redaction: a part of the language of
 *	  SQL/JSON paths.
 *
 * $ and steps behind it, without whitespace: .name, ."any \"name\"" (a JSON
 * string), .* for every member, [*] for every element.
 */
#ifndef CDC_JSONPATH_H
#define CDC_JSONPATH_H

typedef enum CdcJsonStepKind
{
	CDC_STEP_MEMBER,			/* of that name */
	CDC_STEP_MEMBERS,			/* .* */
	CDC_STEP_ELEMENTS			/* [*] */
} CdcJsonStepKind;

typedef struct CdcJsonStep
{
	CdcJsonStepKind kind;
	const char *name;			/* UTF-8, without escapes */
	int			len;
} CdcJsonStep;

typedef struct CdcJsonPath
{
	int			nsteps;			/* at least one */
	CdcJsonStep steps[FLEXIBLE_ARRAY_MEMBER];
} CdcJsonPath;

/*
 * Parses a path in UTF-8, into the current memory context. NULL where it is none:
 * then *where is the byte from which on it cannot be understood, and *expected
 * says what might stand there.
 */
extern CdcJsonPath *cdc_json_path_parse(const char *path, const char **where,
										const char **expected);

#endif							/* CDC_JSONPATH_H */
