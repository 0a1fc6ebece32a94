/*
 * proto.c
 *	  Writes .proto files: names that protoc takes, types, reserved numbers.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/string.h"
#include "schema/codetext.h"
#include "schema/descriptor.h"
#include "wire/fields.h"
#include "wire/fingerprint.h"
#include "miscadmin.h"
#include "schema/proto.h"

/* Types of fields; those with a dot are messages of cdc.proto. */
static const char *const field_types[] =
{
	[CDC__V1__TYPE__TYPE_BOOL] = "bool",
	[CDC__V1__TYPE__TYPE_INT32] = "sint32",
	[CDC__V1__TYPE__TYPE_INT64] = "sint64",
	[CDC__V1__TYPE__TYPE_UINT32] = "uint32",
	[CDC__V1__TYPE__TYPE_FLOAT] = "float",
	[CDC__V1__TYPE__TYPE_DOUBLE] = "double",
	[CDC__V1__TYPE__TYPE_NUMERIC] = "string",
	[CDC__V1__TYPE__TYPE_TEXT] = "string",
	[CDC__V1__TYPE__TYPE_JSON] = "string",
	[CDC__V1__TYPE__TYPE_BYTES] = "bytes",
	[CDC__V1__TYPE__TYPE_UUID] = "bytes",
	[CDC__V1__TYPE__TYPE_TIMESTAMP] = "sfixed64",
	[CDC__V1__TYPE__TYPE_TIMESTAMPTZ] = "sfixed64",
	[CDC__V1__TYPE__TYPE_DATE] = "sint32",
	[CDC__V1__TYPE__TYPE_TIME] = "int64",
	[CDC__V1__TYPE__TYPE_TIMETZ] = ".cdc.v1.TimeTz",
	[CDC__V1__TYPE__TYPE_INTERVAL] = ".cdc.v1.Interval",
	[CDC__V1__TYPE__TYPE_OTHER] = "string",
};

/* Messages of arrays, by the type of the elements; all others are text. */
static const char *const array_types[] =
{
	[CDC__V1__TYPE__TYPE_BOOL] = ".cdc.v1.BoolArray",
	[CDC__V1__TYPE__TYPE_INT32] = ".cdc.v1.Int32Array",
	[CDC__V1__TYPE__TYPE_INT64] = ".cdc.v1.Int64Array",
	[CDC__V1__TYPE__TYPE_UINT32] = ".cdc.v1.UInt32Array",
	[CDC__V1__TYPE__TYPE_FLOAT] = ".cdc.v1.FloatArray",
	[CDC__V1__TYPE__TYPE_DOUBLE] = ".cdc.v1.DoubleArray",
	[CDC__V1__TYPE__TYPE_BYTES] = ".cdc.v1.BytesArray",
	[CDC__V1__TYPE__TYPE_UUID] = ".cdc.v1.BytesArray",
};

/* What a number of a time or date counts, and from when. */
static const char *const units[] =
{
	[CDC__V1__TYPE__TYPE_TIMESTAMP] = "microseconds since 2000-01-01 00:00:00",
	[CDC__V1__TYPE__TYPE_TIMESTAMPTZ] = "microseconds since 2000-01-01 00:00:00 UTC",
	[CDC__V1__TYPE__TYPE_DATE] = "days since 2000-01-01",
	[CDC__V1__TYPE__TYPE_TIME] = "microseconds since midnight",
};

/* Redacted values are strings in fields of their own. */
static bool
is_redacted(const Cdc__V1__Column *column)
{
	return column->redaction != CDC__V1__REDACTION__REDACTION_UNSPECIFIED;
}

bool
cdc_proto_is_held_back(const Cdc__V1__Column *column)
{
	return column->redaction == CDC__V1__REDACTION__REDACTION_DROP ||
		column->redaction == CDC__V1__REDACTION__REDACTION_NULL ||
		column->redaction == CDC__V1__REDACTION__REDACTION_WITHHELD;
}

const char *
cdc_proto_field_type(const Cdc__V1__Column *column)
{
	if (is_redacted(column))
		return "string";
	if (column->type != CDC__V1__TYPE__TYPE_ARRAY)
		return field_types[column->type];
	if (column->element < lengthof(array_types) && array_types[column->element] != NULL)
		return array_types[column->element];
	return ".cdc.v1.StringArray";
}

/* How protoc compares names: its JSON names differ only in what this drops. */
static char *
folded(const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	for (; *name != '\0'; name++)
		if (*name != '_')
			appendStringInfoChar(&out, (char) tolower((unsigned char) *name));
	return out.data;
}

static int
compare_folds(const void *a, const void *b, void *folds)
{
	return strcmp(((char **) folds)[*(const int *) a], ((char **) folds)[*(const int *) b]);
}

/* Marks the names that protoc does not tell from another one; whether there are any. */
static bool
mark_collisions(char **names, int n, bool *collides)
{
	char	  **folds = palloc(sizeof(char *) * Max(n, 1));
	int		   *order = palloc(sizeof(int) * Max(n, 1));
	bool		any = false;

	for (int i = 0; i < n; i++)
	{
		folds[i] = folded(names[i]);
		order[i] = i;
		collides[i] = false;
	}
	qsort_arg(order, n, sizeof(int), compare_folds, folds);
	for (int i = 1; i < n; i++)
		if (strcmp(folds[order[i - 1]], folds[order[i]]) == 0)
			any = collides[order[i - 1]] = collides[order[i]] = true;
	return any;
}

/*
 * Names of the fields: the columns' own; what is no identifier, or collides
 * with another one, gets its attnum. That again may collide, so it is repeated.
 */
char **
cdc_proto_field_names(const Cdc__V1__Table *table)
{
	int			n = (int) table->n_columns;
	char	  **names = palloc(sizeof(char *) * Max(n, 1));
	bool	   *suffix = palloc(sizeof(bool) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		names[i] = cdc_code_identifier(table->columns[i]->name, &suffix[i]);
		if (is_redacted(table->columns[i]))
			names[i] = psprintf("%s_redacted", names[i]);
	}
	do
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			if (suffix[i])
				names[i] = psprintf("%s_%u", names[i], table->columns[i]->number);
	} while (mark_collisions(names, n, suffix));
	return names;
}

/* OrderItem for order_item; what is no letter or digit separates words. */
char *
cdc_proto_message_name(const Cdc__V1__Table *table)
{
	StringInfoData out;
	bool		upper = true;

	initStringInfo(&out);
	for (const char *p = table->name; *p != '\0'; p++)
	{
		if (*p == '_' || !cdc_code_is_word(*p))
			upper = true;
		else
		{
			appendStringInfoChar(&out, upper ? (char) toupper((unsigned char) *p) : *p);
			upper = false;
		}
	}
	if (!isalpha((unsigned char) out.data[0]))
		return psprintf("Table%s", out.data);
	return out.data;
}

/* Names that are no identifiers may be equal without what is left out, so they get a
 * part of their hash. */
static char *
package_part(const char *name)
{
	bool		changed;
	char	   *part = cdc_code_identifier(name, &changed);

	return changed ? psprintf("%s_%08x", part, (uint32) cdc_fingerprint(name, strlen(name))) : part;
}

char *
cdc_proto_package_name(const Cdc__V1__Table *table)
{
	return psprintf("cdc.rows.%s.%s", package_part(table->schema), package_part(table->name));
}

/* A comment of the user's, whose lines stay lines. */
static void
write_comment(StringInfo out, const char *indent, const char *text)
{
	while (text != NULL && *text != '\0')
	{
		size_t		len = strcspn(text, "\n");

		appendStringInfo(out, "%s//%s", indent, len > 0 ? " " : "");
		cdc_code_comment(out, pnstrdup(text, len));
		appendStringInfoChar(out, '\n');
		text += len + (text[len] != '\0');
	}
}

static void
write_reserved_numbers(StringInfo out, const Cdc__V1__Table *table, int natts)
{
	size_t		next = 0;
	const char *separator = "  reserved ";

	for (uint32 number = 1; number <= natts; number++)
	{
		bool		there = next < table->n_columns && table->columns[next]->number == number;

		if (there)
			next++;
		/* the column's own number stays the column's, for when the rule is gone */
		if (!there || is_redacted(table->columns[next - 1]))
		{
			appendStringInfo(out, "%s%u", separator, number);
			separator = ", ";
		}
	}
	if (*separator == ',')
		appendStringInfoString(out, ";\n");
}

/* Names of former columns, which no field must get by hand. */
static void
write_reserved_names(StringInfo out, char **names, int n, const List *former)
{
	List	   *written = NIL;
	ListCell   *lc;

	foreach(lc, former)
	{
		bool		changed;
		char	   *name = cdc_code_identifier(lfirst(lc), &changed);
		bool		used = changed;
		ListCell   *other;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			used |= strcmp(names[i], name) == 0;
		foreach(other, written)
			used |= strcmp(lfirst(other), name) == 0;
		if (used)
			continue;
		appendStringInfo(out, "%s\"%s\"", written == NIL ? "  reserved " : ", ", name);
		written = lappend(written, name);
	}
	if (written != NIL)
		appendStringInfoString(out, ";\n");
}

/* What a comment says of it. */
static const char *
redaction_text(Cdc__V1__Redaction redaction)
{
	static const char *const texts[] = {
		[CDC__V1__REDACTION__REDACTION_DROP] = "redacted: dropped",
		[CDC__V1__REDACTION__REDACTION_NULL] = "redacted: never sent",
		[CDC__V1__REDACTION__REDACTION_CONSTANT] = "redacted: a constant",
		[CDC__V1__REDACTION__REDACTION_MASK] = "redacted: masked",
		[CDC__V1__REDACTION__REDACTION_HASH] = "redacted: HMAC-SHA-256",
		[CDC__V1__REDACTION__REDACTION_PARTIAL] = "redacted: prefix and suffix kept",
		[CDC__V1__REDACTION__REDACTION_EMAIL] = "redacted: as an e-mail address",
		[CDC__V1__REDACTION__REDACTION_TRUNCATE] = "redacted: truncated",
		[CDC__V1__REDACTION__REDACTION_PATH] = "redacted: in parts",
		[CDC__V1__REDACTION__REDACTION_WITHHELD] = "withheld",
	};

	return redaction < lengthof(texts) && texts[redaction] != NULL ? texts[redaction] : "redacted";
}

static void
write_field(StringInfo out, const Cdc__V1__Column *column, const char *name,
			const CdcProtoNotes *notes)
{
	write_comment(out, "  ", notes->comments[column->number - 1]);
	appendStringInfoString(out, "  // ");
	if (strcmp(name, column->name) != 0)
	{
		StringInfoData quoted;

		initStringInfo(&quoted);
		cdc_append_identifier(&quoted, column->name);
		cdc_code_comment(out, quoted.data);
		appendStringInfoString(out, ": ");
	}
	cdc_code_comment(out, column->pg_type);
	appendStringInfo(out, "%s%s%s", column->not_null ? ", not null" : "",
					 column->key ? ", key" : "", column->generated ? ", generated" : "");
	if (is_redacted(column))
		appendStringInfo(out, ", %s", redaction_text(column->redaction));
	else if (column->type < lengthof(units) && units[column->type] != NULL)
		appendStringInfo(out, ", %s", units[column->type]);
	appendStringInfoChar(out, '\n');
	if (notes->labels[column->number - 1] != NULL)
	{
		appendStringInfoString(out, "  // one of ");
		cdc_code_comment(out, notes->labels[column->number - 1]);
		appendStringInfoChar(out, '\n');
	}
	if (!cdc_proto_is_held_back(column))
		appendStringInfo(out, "  optional %s %s = %u;\n", cdc_proto_field_type(column), name,
						 column->number + (is_redacted(column) ? CDC_REDACTED_BASE : 0));
}

void
cdc_proto_write(StringInfo out, const Cdc__V1__Table *table, const CdcProtoNotes *notes)
{
	char	  **names = cdc_proto_field_names(table);
	StringInfoData relation;
	bool		imports = false;

	for (size_t i = 0; i < table->n_columns; i++)
		imports |= cdc_proto_field_type(table->columns[i])[0] == '.';
	initStringInfo(&relation);
	cdc_append_qualified(&relation, table->schema, table->name);

	appendStringInfoString(out, "// Rows of ");
	cdc_code_comment(out, relation.data);
	appendStringInfo(out, ", schema " CDC_FINGERPRINT_FORMAT ".\n", notes->fingerprint);
	/* what is not registered will have version 1 when it is */
	appendStringInfo(out, "syntax = \"proto3\";\n\npackage %s.v%u;\n\n",
					 cdc_proto_package_name(table), Max(notes->version, 1));
	if (imports)
		appendStringInfoString(out, "import \"cdc/v1/cdc.proto\";\n\n");
	write_comment(out, "", notes->comment);
	appendStringInfo(out, "message %s {\n", cdc_proto_message_name(table));
	write_reserved_numbers(out, table, notes->natts);
	write_reserved_names(out, names, (int) table->n_columns, notes->former_names);
	for (size_t i = 0; i < table->n_columns; i++)
		write_field(out, table->columns[i], names[i], notes);
	appendStringInfoString(out, "}\n");
}
