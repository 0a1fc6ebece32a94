/*
 * options.c
 *	  Parses the plugin's options: one row of a table for each.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "options/options.h"
#include "registry/requested.h"
#include "util/pattern.h"
#include "wire/compress.h"

#define MAX_BATCH_BYTES (16 * 1024 * 1024)

typedef struct OptionDef
{
	const char *name;
	const char *allowed;		/* for error messages */
	/* Stores the value; false when it is malformed. */
	bool		(*parse) (CdcOptions *options, const char *value);
	bool		bound;			/* also on a slot that is bound to a role */
} OptionDef;

/* One of two words. */
static bool
parse_word(bool *result, const char *value, const char *no, const char *yes)
{
	if (strcmp(value, no) != 0 && strcmp(value, yes) != 0)
		return false;
	*result = strcmp(value, yes) == 0;
	return true;
}

static bool
parse_proto_version(CdcOptions *options, const char *value)
{
	options->proto_version = 1;
	return strcmp(value, "1") == 0;
}

static bool
parse_batch_bytes(CdcOptions *options, const char *value)
{
	return parse_int(value, &options->batch_bytes, GUC_UNIT_BYTE, NULL) &&
		options->batch_bytes >= 1 && options->batch_bytes <= MAX_BATCH_BYTES;
}

static bool
parse_schemas(CdcOptions *options, const char *value)
{
	return parse_word(&options->schemas_batch, value, "once", "batch");
}

static bool
parse_old(CdcOptions *options, const char *value)
{
	return parse_word(&options->old_full, value, "changed", "full");
}

static bool
parse_format(CdcOptions *options, const char *value)
{
	return parse_word(&options->json, value, "protobuf", "json");
}

static bool
parse_rewrites(CdcOptions *options, const char *value)
{
	return parse_word(&options->rewrites, value, "off", "on");
}

static bool
parse_schema_changes(CdcOptions *options, const char *value)
{
	return parse_word(&options->schema_changes, value, "off", "on");
}

static bool
parse_on_error(CdcOptions *options, const char *value)
{
	return parse_word(&options->stop_on_error, value, "dead_letter", "stop");
}

static bool
parse_streaming(CdcOptions *options, const char *value)
{
	return parse_word(&options->streaming, value, "off", "on");
}

static bool
parse_two_phase(CdcOptions *options, const char *value)
{
	return parse_word(&options->two_phase, value, "off", "on");
}

static bool
parse_messages(CdcOptions *options, const char *value)
{
	char	   *rest = pstrdup(value);
	char	   *prefix;

	options->all_messages = strcmp(value, "*") == 0;
	while (!options->all_messages && (prefix = strsep(&rest, ",")) != NULL)
	{
		if (*prefix == '\0')
			return false;
		options->messages = lappend(options->messages, prefix);
	}
	return true;
}

static bool
parse_versions(CdcOptions *options, const char *value)
{
	return cdc_requested_parse(&options->versions, value);
}

static bool
parse_compression(CdcOptions *options, const char *value)
{
	return cdc_compression_parse(&options->compression, value);
}

static bool
parse_origin(CdcOptions *options, const char *value)
{
	return parse_word(&options->local_only, value, "any", "none");
}

static bool
parse_publication_names(CdcOptions *options, const char *value)
{
	return SplitIdentifierString(pstrdup(value), ',', &options->publications) &&
		options->publications != NIL;
}

static bool
parse_tables(CdcOptions *options, const char *value)
{
	return cdc_patterns_parse(&options->tables, value);
}

static bool
parse_exclude_tables(CdcOptions *options, const char *value)
{
	return cdc_patterns_parse(&options->exclude_tables, value);
}

#define PATTERNS_ALLOWED "schema.table, schema.*, *.table, separated by commas; names as in SQL"

static const OptionDef option_defs[] =
{
	{"proto_version", "1", parse_proto_version, true},
	{"batch_bytes", "1 to 16777216 bytes, units B, kB, MB", parse_batch_bytes, true},
	{"schemas", "once, batch", parse_schemas, true},
	{"old", "changed, full", parse_old},
	{"format", "protobuf, json", parse_format, true},
	{"messages", "*, or prefixes separated by commas", parse_messages},
	{"rewrites", "on, off", parse_rewrites},
	{"schema_changes", "on, off", parse_schema_changes, true},
	{"on_error", "dead_letter, stop", parse_on_error},
	{"streaming", "on, off", parse_streaming, true},
	{"two_phase", "on, off", parse_two_phase},
	{"publication_names", "names of publications separated by commas, as in SQL", parse_publication_names},
	{"tables", PATTERNS_ALLOWED, parse_tables},
	{"exclude_tables", PATTERNS_ALLOWED, parse_exclude_tables},
	{"origin", "any, none", parse_origin},
	{"compression", CDC_COMPRESSIONS, parse_compression, true},
	{"versions", "schema.table=major version, separated by commas; names as in SQL", parse_versions},
};

static char *
option_names(bool bound)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(option_defs); i++)
		if (option_defs[i].bound || !bound)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", option_defs[i].name);
	return names.data;
}

/* Where an option's value comes from; the later wins. */
typedef enum OptionSource
{
	FROM_DEFAULT,
	FROM_SLOT,
	FROM_CLIENT
} OptionSource;

/* For ereport(): where to look for an option that the client did not give. */
static int
source_detail(OptionSource source)
{
	return source != FROM_SLOT ? 0 :
		errdetail("It is stored for the slot; cdc.alter_slot() changes that.");
}

static int
find_option(const char *name)
{
	for (int i = 0; i < lengthof(option_defs); i++)
		if (strcmp(name, option_defs[i].name) == 0)
			return i;
	return -1;
}

static void
report_unknown(const char *name, OptionSource source)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized cdc option: \"%s\"", name),
			 source_detail(source),
			 errhint("Options are: %s.", option_names(false))));
}

/* Sets what `given` says, unless it comes from a later source already. */
static void
apply(CdcOptions *options, List *given, OptionSource source, OptionSource *sources)
{
	bool		seen[lengthof(option_defs)] = {false};
	ListCell   *lc;

	foreach(lc, given)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		const char *value = elem->arg == NULL ? NULL : strVal(elem->arg);
		int			i = find_option(elem->defname);

		if (i < 0)
			report_unknown(elem->defname, source);
		if (seen[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cdc option \"%s\" is given more than once", elem->defname),
					 errhint("Give it once; allowed are: %s.", option_defs[i].allowed)));
		seen[i] = true;
		if (sources[i] > source)
			continue;
		sources[i] = source;
		if (value == NULL || !option_defs[i].parse(options, value))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 value == NULL ?
					 errmsg("cdc option \"%s\" needs a value", elem->defname) :
					 errmsg("invalid value for cdc option \"%s\": \"%s\"", elem->defname, value),
					 source_detail(source),
					 errhint("Allowed are: %s.", option_defs[i].allowed)));
	}
}

/* An option that is set does not go with format = 'json': the later one counts. */
static void
settle_json(CdcOptions *options, const char *name, const OptionSource *sources)
{
	OptionSource format = sources[find_option("format")];
	OptionSource other = sources[find_option(name)];

	if (!options->json)
		return;
	if (format == other)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cdc option \"%s\" does not go with format = 'json'", name),
				 source_detail(format),
				 errhint("Leave one of them out.")));
	if (other > format)
		options->json = false;
}

void
cdc_options_parse(CdcOptions *options, List *stored, List *given)
{
	OptionSource sources[lengthof(option_defs)] = {FROM_DEFAULT};

	memset(options, 0, sizeof(*options));
	options->proto_version = 1;
	options->batch_bytes = 64 * 1024;
	options->rewrites = true;
	options->schema_changes = true;

	/* what the client says first: what it replaces is not looked at */
	apply(options, given, FROM_CLIENT, sources);
	apply(options, stored, FROM_SLOT, sources);
	options->versions_stored = sources[find_option("versions")] == FROM_SLOT;

	/* A line has no way to say that other lines are void. */
	if (options->streaming)
		settle_json(options, "streaming", sources);
	if (options->compression != CDC__V1__CODEC__CODEC_UNSPECIFIED)
		settle_json(options, "compression", sources);
	if (options->json)
	{
		options->streaming = false;
		options->compression = CDC__V1__CODEC__CODEC_UNSPECIFIED;
	}
}

void
cdc_options_check_names(List *given)
{
	ListCell   *lc;

	foreach(lc, given)
		if (find_option(lfirst_node(DefElem, lc)->defname) < 0)
			report_unknown(lfirst_node(DefElem, lc)->defname, FROM_CLIENT);
}

void
cdc_options_check_bound(List *given)
{
	ListCell   *lc;

	foreach(lc, given)
	{
		const char *name = lfirst_node(DefElem, lc)->defname;
		int			i = find_option(name);

		if (i >= 0 && !option_defs[i].bound)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("cdc option \"%s\" cannot be given for a slot that is bound to a role", name),
					 errdetail("What such a slot sends is for its administrator to say."),
					 errhint("Its reader may give: %s. cdc.alter_slot() stores the others.", option_names(true))));
	}
}

List *
cdc_options_list(ArrayType *array)
{
	List	   *options = NIL;
	Datum	   *elems;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &count);
	if (count % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be names and values in turn"),
				 errhint("For example: ARRAY['streaming', 'on', 'batch_bytes', '1MB'].")));
	for (int i = 0; i < count; i += 2)
	{
		Node	   *value = NULL;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("name of an option must not be NULL")));
		if (!nulls[i + 1])
			value = (Node *) makeString(TextDatumGetCString(elems[i + 1]));
		options = lappend(options, makeDefElem(TextDatumGetCString(elems[i]), value, -1));
	}
	return options;
}

bool
cdc_options_want_message(const CdcOptions *options, const char *prefix)
{
	ListCell   *lc;

	if (options->all_messages)
		return true;
	foreach(lc, options->messages)
	{
		if (strcmp(lfirst(lc), prefix) == 0)
			return true;
	}
	return false;
}
