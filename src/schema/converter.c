/*
 * converter.c
 *	  Writes skeletons of converters: a row of a table for each language. What is the same
 *	  column in both versions is taken over; all else is left to do, with what is known.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "schema/codetext.h"
#include "schema/converter.h"
#include "schema/descriptor.h"
#include "schema/proto.h"

/* What becomes of a column. */
typedef enum Fate
{
	TAKEN,						/* the same values */
	WIDENED,					/* a narrower integer */
	NARROWED,					/* a wider one */
	TO_DO
} Fate;

typedef struct Language
{
	const char *name;
	/* Names of all fields of a version, as generated code or a table has them. */
	char	  **(*names) (const Cdc__V1__Table *table);
	void		(*begin) (StringInfo out, const CdcConverterSide *from, const CdcConverterSide *to);
	/* One column; `former` is the name of what it is made of, or NULL, and `todo` what is
	 * known where it is not clear how. */
	void		(*column) (StringInfo out, Fate fate, const char *former, const char *name,
						   const Cdc__V1__Column *column, const char *todo, bool last);
	const char *comment;		/* begins one */
	const char *end;
} Language;

/* "pg_catalog.text, not null" */
static char *
describe(const Cdc__V1__Column *column)
{
	return cdc_code_comment_text(psprintf("%s%s%s", column->pg_type, column->not_null ? ", not null" : "",
										  column->key ? ", key" : ""));
}

/* --- SQL ------------------------------------------------------------------- */

static char **
sql_names(const Cdc__V1__Table *table)
{
	char	  **names = palloc(sizeof(char *) * Max(table->n_columns, 1));

	for (size_t i = 0; i < table->n_columns; i++)
	{
		const char *name = table->columns[i]->name;

		names[i] = psprintf("%s", quote_identifier(name));
	}
	return names;
}

/* The table as it was: whoever has its rows says where. The version is kept where the
 * server would cut the name. */
static char *
sql_relation(const CdcConverterSide *side)
{
	const char *name = side->table->name;
	char	   *version = psprintf("_v%u", side->version);
	int			len = pg_encoding_mbcliplen(PG_UTF8, name, (int) strlen(name),
											NAMEDATALEN - 1 - (int) strlen(version));

	return psprintf("%s.%s", quote_identifier(side->table->schema),
					quote_identifier(psprintf("%.*s%s", len, name, version)));
}

static void
sql_begin(StringInfo out, const CdcConverterSide *from, const CdcConverterSide *to)
{
	char	  **names = sql_names(to->table);

	appendStringInfo(out, "-- %s has rows of version %u. Look at every TODO.\nINSERT INTO %s\n  (",
					 cdc_code_comment_text(sql_relation(from)), from->version, sql_relation(to));
	for (size_t i = 0; i < to->table->n_columns; i++)
		appendStringInfo(out, "%s%s", i > 0 ? ", " : "", names[i]);
	appendStringInfoString(out, ")\nSELECT\n");
}

static void
sql_column(StringInfo out, Fate fate, const char *former, const char *name,
		   const Cdc__V1__Column *column, const char *todo, bool last)
{
	const char *comma = last ? "" : ",";

	if (fate == TO_DO)
		appendStringInfo(out, "  NULL::%s AS %s%s  -- TODO: %s\n", column->pg_type, name, comma,
						 todo);
	else if (fate == TAKEN)
		appendStringInfo(out, strcmp(former, name) == 0 ? "  %s%s%s\n" : "  %s AS %s%s\n", former,
						 strcmp(former, name) == 0 ? "" : name, comma);
	else
		appendStringInfo(out, "  %s::%s AS %s%s%s\n", former, column->pg_type, name, comma,
						 fate == NARROWED ? "  -- TODO: an error for what does not fit" : "");
}

/* --- Go -------------------------------------------------------------------- */

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

/* As protoc-gen-go makes names of fields and messages. */
static char *
go_camel_case(const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '_' && p == name)
			appendStringInfoChar(&out, 'X');
		else if (*p == '_' && is_lower(p[1]))
			continue;
		else
		{
			appendStringInfoChar(&out, is_lower(*p) ? (char) toupper((unsigned char) *p) : *p);
			/* letters behind a digit begin a word */
			while (!isdigit((unsigned char) *p) && is_lower(p[1]))
				appendStringInfoChar(&out, *++p);
		}
	}
	return out.data;
}

static bool
is_getter(const char *method, const char *name)
{
	return strncmp(method, "Get", 3) == 0 && strcmp(method + 3, name) == 0;
}

/* Names that methods of messages have, or other fields. */
static bool
go_is_used(const char *name, char **names, int n)
{
	static const char *const methods[] = {"Reset", "String", "ProtoMessage", "Marshal",
	"Unmarshal", "ExtensionRangeArray", "ExtensionMap", "Descriptor"};

	for (int i = 0; i < lengthof(methods); i++)
		if (strcmp(methods[i], name) == 0)
			return true;
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0 || is_getter(names[i], name) || is_getter(name, names[i]))
			return true;
	return false;
}

static char **
go_names(const Cdc__V1__Table *table)
{
	char	  **names = cdc_proto_field_names(table);

	for (size_t i = 0; i < table->n_columns; i++)
	{
		names[i] = go_camel_case(names[i]);
		while (go_is_used(names[i], names, (int) i))
			names[i] = psprintf("%s_", names[i]);
	}
	return names;
}

static char *
go_import(const CdcConverterSide *side)
{
	char	   *path = cdc_proto_package_name(side->table);

	for (char *p = path; *p != '\0'; p++)
		if (*p == '.')
			*p = '/';
	return psprintf("\tv%u \"example.com/gen/%s/v%u\" // TODO: where protoc-gen-go wrote it",
					side->version, path, side->version);
}

static void
go_begin(StringInfo out, const CdcConverterSide *from, const CdcConverterSide *to)
{
	char	   *message = go_camel_case(cdc_proto_message_name(to->table));
	char	   *former = go_camel_case(cdc_proto_message_name(from->table));

	appendStringInfo(out, "package convert\n\nimport (\n%s\n%s\n)\n\n", go_import(from), go_import(to));
	appendStringInfoString(out, "func cast[B, A int32 | int64](a *A) *B {\n\tif a == nil {\n\t\treturn nil\n\t}\n\tb := B(*a)\n\treturn &b\n}\n\nvar _ = cast[int64, int32]\n\n");
	appendStringInfo(out, "// %sV%uToV%u makes a row of version %u one of version %u. Look at every TODO.\n"
					 "func %sV%uToV%u(from *v%u.%s) *v%u.%s {\n\treturn &v%u.%s{\n",
					 message, from->version, to->version, from->version, to->version,
					 message, from->version, to->version, from->version, former, to->version, message,
					 to->version, message);
}

static void
go_column(StringInfo out, Fate fate, const char *former, const char *name,
		  const Cdc__V1__Column *column, const char *todo, bool last)
{
	if (fate == TO_DO)
		appendStringInfo(out, "\t\t%s: nil, // TODO: %s\n", name, todo);
	else if (fate == TAKEN)
		appendStringInfo(out, "\t\t%s: from.%s,\n", name, former);
	else
		appendStringInfo(out, "\t\t%s: cast[%s](from.%s),%s\n", name,
						 fate == WIDENED ? "int64" : "int32", former,
						 fate == NARROWED ? " // TODO: cuts what does not fit" : "");
}

/* --- Rust ------------------------------------------------------------------ */

/* As prost names fields: words in lower case, with an underscore between them. */
static char *
rust_snake_case(const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = name; *p != '\0'; p++)
	{
		bool		begins = isupper((unsigned char) *p) && p > name &&
			(is_lower(p[-1]) || isdigit((unsigned char) p[-1]) ||
			 (isupper((unsigned char) p[-1]) && is_lower(p[1])));

		if (*p == '_')
			continue;
		if (out.len > 0 && (begins || p[-1] == '_'))
			appendStringInfoChar(&out, '_');
		appendStringInfoChar(&out, (char) tolower((unsigned char) *p));
	}
	return out.data;
}

static char **
rust_names(const Cdc__V1__Table *table)
{
	static const char *const keywords[] = {
		"abstract", "alignof", "as", "async", "await", "become", "box", "break", "const", "continue",
		"do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
		"in", "let", "loop", "macro", "match", "mod", "move", "mut", "offsetof", "override", "priv",
		"proc", "pub", "pure", "ref", "return", "sizeof", "static", "struct", "trait", "true", "try",
		"type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield"
	};
	static const char *const never[] = {"self", "super", "crate"};
	char	  **names = cdc_proto_field_names(table);

	for (size_t i = 0; i < table->n_columns; i++)
	{
		char	   *name = rust_snake_case(names[i]);

		for (int k = 0; k < lengthof(keywords); k++)
			if (strcmp(keywords[k], name) == 0)
				name = psprintf("r#%s", name);
		for (int k = 0; k < lengthof(never); k++)
			if (strcmp(never[k], name) == 0)
				name = psprintf("%s_", name);
		names[i] = isdigit((unsigned char) name[0]) ? psprintf("_%s", name) : name;
	}
	return names;
}

static void
rust_begin(StringInfo out, const CdcConverterSide *from, const CdcConverterSide *to)
{
	char	   *message = cdc_proto_message_name(to->table);

	appendStringInfo(out, "// TODO: mods v%u and v%u have what prost made of the two versions.\n"
					 "/// Makes a row of version %u one of version %u. Look at every TODO.\n"
					 "pub fn %s_v%u_to_v%u(from: v%u::%s) -> v%u::%s {\n    v%u::%s {\n",
					 from->version, to->version, from->version, to->version,
					 rust_snake_case(message), from->version, to->version,
					 from->version, cdc_proto_message_name(from->table), to->version, message,
					 to->version, message);
}

static void
rust_column(StringInfo out, Fate fate, const char *former, const char *name,
			const Cdc__V1__Column *column, const char *todo, bool last)
{
	static const char *const forms[] = {
		[TAKEN] = "        %s: from.%s,\n",
		[WIDENED] = "        %s: from.%s.map(i64::from),\n",
		[NARROWED] = "        %s: from.%s.and_then(|v| i32::try_from(v).ok()), // TODO: what does not fit is lost\n",
	};

	if (fate == TO_DO)
		appendStringInfo(out, "        %s: None, // TODO: %s\n", name, todo);
	else
		appendStringInfo(out, forms[fate], name, former);
}

/* --------------------------------------------------------------------------- */

static const Language languages[] =
{
	{"sql", sql_names, sql_begin, sql_column, "-- ", ""},
	{"go", go_names, go_begin, go_column, "// ", "\t}\n}\n"},
	{"rust", rust_names, rust_begin, rust_column, "// ", "    }\n}\n"},
};

char *
cdc_converter_languages(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(languages); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", languages[i].name);
	return names.data;
}

/* Values that rules or privileges hold back are not what they were, or not there. */
static Fate
fate_of(const Cdc__V1__Column *from, const Cdc__V1__Column *to)
{
	if (from == NULL || from->redaction != to->redaction)
		return TO_DO;
	if (cdc_type_widens(from->type, to->type))
		return WIDENED;
	if (cdc_type_widens(to->type, from->type))
		return NARROWED;
	if (from->type != to->type || from->element != to->element ||
		strcmp(cdc_proto_field_type(from), cdc_proto_field_type(to)) != 0 ||
		(to->type == CDC__V1__TYPE__TYPE_OTHER && strcmp(from->pg_type, to->pg_type) != 0))
		return TO_DO;
	return TAKEN;
}

/* The place of the column with this number, or -1. */
static int
place(const Cdc__V1__Table *table, uint32 number)
{
	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i]->number == number)
			return (int) i;
	return -1;
}

/* Without the columns that have no field. */
static CdcConverterSide
with_fields(const CdcConverterSide *side)
{
	Cdc__V1__Table *table = palloc(sizeof(Cdc__V1__Table));

	*table = *side->table;
	table->columns = palloc(sizeof(Cdc__V1__Column *) * Max(table->n_columns, 1));
	table->n_columns = 0;
	for (size_t i = 0; i < side->table->n_columns; i++)
		if (!cdc_proto_is_held_back(side->table->columns[i]))
			table->columns[table->n_columns++] = side->table->columns[i];
	return (CdcConverterSide) {table, side->version};
}

bool
cdc_converter_write(StringInfo out, const char *name,
					const CdcConverterSide *whole_from, const CdcConverterSide *whole_to)
{
	CdcConverterSide sides[] = {with_fields(whole_from), with_fields(whole_to)};
	const CdcConverterSide *from = &sides[0];
	const CdcConverterSide *to = &sides[1];
	const Language *language = NULL;
	char	  **names;
	char	  **former;

	for (int i = 0; i < lengthof(languages); i++)
		if (strcmp(languages[i].name, name) == 0)
			language = &languages[i];
	if (language == NULL)
		return false;
	names = language->names(to->table);
	former = language->names(from->table);
	for (size_t i = 0; i < from->table->n_columns; i++)
		if (cdc_column_find(to->table, from->table->columns[i]->number) == NULL)
			appendStringInfo(out, "%snot taken over: %s (%s)\n", language->comment,
							 cdc_code_comment_text(former[i]), describe(from->table->columns[i]));
	language->begin(out, from, to);
	for (size_t i = 0; i < to->table->n_columns; i++)
	{
		const Cdc__V1__Column *column = to->table->columns[i];
		int			at = place(from->table, column->number);
		const Cdc__V1__Column *was = at < 0 ? NULL : from->table->columns[at];
		char	   *todo = was == NULL ? describe(column) :
			psprintf("%s was %s, is %s", cdc_code_comment_text(former[at]), describe(was), describe(column));

		language->column(out, fate_of(was, column), was == NULL ? NULL : former[at], names[i],
						 column, todo, i + 1 == to->table->n_columns);
	}
	if (strcmp(language->end, "") == 0)
		appendStringInfo(out, "FROM %s;\n", sql_relation(from));
	appendStringInfoString(out, language->end);
	return true;
}
