/*
 * evolution.c
 *	  The rules of compatibility between two schemas of a relation.
 *
 * A column is its number: that is what the wire knows. docs/schema-evolution.md
 * gives the reasons, and how the rules relate to Protobuf's and others.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/descriptor.h"
#include "schema/evolution.h"
#include "schema/proto.h"

/* A schema whose columns are found by number and by name. */
typedef struct Side
{
	const Cdc__V1__Table *table;
	size_t		n;
	const Cdc__V1__Column **by_name;
} Side;

typedef struct Comparison
{
	Side		before;
	Side		after;
	const Bitmapset *defaults;
	CdcFindingSink sink;
	void	   *arg;
} Comparison;

/* The two sides of a column; one of them is NULL where it is not there. */
typedef struct Pair
{
	const Cdc__V1__Column *before;
	const Cdc__V1__Column *after;
} Pair;

/* A rule about columns: what a pair breaks, and in *detail why. */
typedef struct ColumnRule
{
	const char *name;
	bool		wire;
	CdcBreaks	(*judge) (const Comparison *c, const Pair *pair, char **detail);
} ColumnRule;

typedef struct TableRule
{
	const char *name;
	bool		wire;
	CdcBreaks	(*judge) (const Comparison *c, char **detail);
} TableRule;

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(const Cdc__V1__Column *const *) a)->name,
				  (*(const Cdc__V1__Column *const *) b)->name);
}

static const Cdc__V1__Column **
sort_by_name(const Cdc__V1__Table *table)
{
	const Cdc__V1__Column **columns = palloc(sizeof(*columns) * Max(table->n_columns, 1));

	for (size_t i = 0; i < table->n_columns; i++)
		columns[i] = table->columns[i];
	qsort(columns, table->n_columns, sizeof(*columns), compare_names);
	return columns;
}

static Side
make_side(const Cdc__V1__Table *table)
{
	Side		side = {table, table->n_columns};

	side.by_name = sort_by_name(table);
	return side;
}

static const Cdc__V1__Column *
find_name(const Side *side, const char *name)
{
	const Cdc__V1__Column wanted = {.name = unconstify(char *, name)};
	const Cdc__V1__Column *key = &wanted;
	const Cdc__V1__Column **found = bsearch(&key, side->by_name, side->n, sizeof(key), compare_names);

	return found == NULL ? NULL : *found;
}

/* --- columns -------------------------------------------------------------- */

/* Readers of the older schema find nothing where there was a value. */
static CdcBreaks
dropped(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->after != NULL)
		return CDC_BREAKS_NONE;
	*detail = psprintf("dropped; its number %u is not used again", pair->before->number);
	return CDC_BREAKS_FORWARD;
}

/* A reader by name takes the one for the other. */
static CdcBreaks
recreated(const Comparison *c, const Pair *pair, char **detail)
{
	const Cdc__V1__Column *former;

	if (pair->before != NULL || (former = find_name(&c->before, pair->after->name)) == NULL ||
		cdc_column_find(c->after.table, former->number) != NULL)
		return CDC_BREAKS_NONE;
	*detail = psprintf("dropped and added again: it was number %u and is number %u",
					   former->number, pair->after->number);
	return CDC_BREAKS_BOTH;
}

/* Data of before has no value for it. */
static CdcBreaks
added_not_null(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->before != NULL || !pair->after->not_null ||
		bms_is_member(pair->after->number, c->defaults))
		return CDC_BREAKS_NONE;
	*detail = pstrdup("added NOT NULL, without a constant default: earlier rows have no value");
	return CDC_BREAKS_BACKWARD;
}

static bool
same_wire_type(const Pair *pair)
{
	return strcmp(cdc_proto_field_type(pair->before), cdc_proto_field_type(pair->after)) == 0;
}

static bool
changes_type(const Pair *pair)
{
	return pair->before != NULL && pair->after != NULL &&
		(pair->before->type != pair->after->type || pair->before->element != pair->after->element);
}

static CdcBreaks
retyped(const Comparison *c, const Pair *pair, char **detail)
{
	bool		wider;

	if (!changes_type(pair) || same_wire_type(pair))
		return CDC_BREAKS_NONE;
	wider = cdc_type_widens(pair->before->type, pair->after->type);
	if (wider || cdc_type_widens(pair->after->type, pair->before->type))
	{
		*detail = psprintf("was %s, is %s: readers of the narrower one cut values",
						   pair->before->pg_type, pair->after->pg_type);
		return wider ? CDC_BREAKS_FORWARD : CDC_BREAKS_BACKWARD;
	}
	*detail = psprintf("was %s, is %s: %s and %s are not the same on the wire",
					   pair->before->pg_type, pair->after->pg_type,
					   cdc_proto_field_type(pair->before), cdc_proto_field_type(pair->after));
	return CDC_BREAKS_BOTH;
}

/* The same bytes, read as something else. */
static CdcBreaks
reinterpreted(const Comparison *c, const Pair *pair, char **detail)
{
	if (!changes_type(pair) || !same_wire_type(pair))
		return CDC_BREAKS_NONE;
	*detail = psprintf("was %s, is %s: the same on the wire, with another meaning",
					   pair->before->pg_type, pair->after->pg_type);
	return CDC_BREAKS_BOTH;
}

static CdcBreaks
renamed(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->before == NULL || pair->after == NULL ||
		strcmp(pair->before->name, pair->after->name) == 0)
		return CDC_BREAKS_NONE;
	*detail = psprintf("renamed to \"%s\"", pair->after->name);
	return CDC_BREAKS_BOTH;
}

static CdcBreaks
made_not_null(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->before == NULL || pair->after == NULL || pair->before->not_null || !pair->after->not_null)
		return CDC_BREAKS_NONE;
	*detail = pstrdup("NOT NULL now: earlier rows may have none");
	return CDC_BREAKS_BACKWARD;
}

static CdcBreaks
made_nullable(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->before == NULL || pair->after == NULL || !pair->before->not_null || pair->after->not_null)
		return CDC_BREAKS_NONE;
	*detail = pstrdup("NULL is allowed now");
	return CDC_BREAKS_FORWARD;
}

static CdcBreaks
redacted(const Comparison *c, const Pair *pair, char **detail)
{
	if (pair->before == NULL || pair->after == NULL ||
		pair->before->redaction == pair->after->redaction)
		return CDC_BREAKS_NONE;
	*detail = pstrdup("redacted otherwise: what stands for its values is in another field, or in none");
	return CDC_BREAKS_BOTH;
}

static const ColumnRule column_rules[] =
{
	{"column_dropped", true, dropped},
	{"column_recreated", false, recreated},
	{"column_added_not_null", true, added_not_null},
	{"column_retyped", true, retyped},
	{"column_reinterpreted", false, reinterpreted},
	{"column_renamed", false, renamed},
	{"not_null_added", true, made_not_null},
	{"not_null_dropped", true, made_nullable},
	{"redaction_changed", true, redacted},
};

/* --- the relation --------------------------------------------------------- */

static CdcBreaks
table_renamed(const Comparison *c, char **detail)
{
	const Cdc__V1__Table *before = c->before.table;
	const Cdc__V1__Table *after = c->after.table;

	if (strcmp(before->schema, after->schema) == 0 && strcmp(before->name, after->name) == 0)
		return CDC_BREAKS_NONE;
	*detail = psprintf("was %s.%s, is %s.%s", before->schema, before->name, after->schema, after->name);
	return CDC_BREAKS_BOTH;
}

static bool
same_key(const Side *a, const Side *b)
{
	for (size_t i = 0; i < a->n; i++)
	{
		const Cdc__V1__Column *column = a->table->columns[i];
		const Cdc__V1__Column *other = column->key ? cdc_column_find(b->table, column->number) : NULL;

		if (column->key && (other == NULL || !other->key))
			return false;
	}
	return true;
}

/* Readers find rows by it, and it decides where values stand. */
static CdcBreaks
key_changed(const Comparison *c, char **detail)
{
	if (same_key(&c->before, &c->after) && same_key(&c->after, &c->before))
		return CDC_BREAKS_NONE;
	*detail = pstrdup("the key has other columns");
	return CDC_BREAKS_BOTH;
}

/* Readers of the older schema may need what the WAL has no more. */
static CdcBreaks
less_of_old_rows(const Comparison *c, char **detail)
{
	static const int amount[] = {
		[CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING] = 0,
		[CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT] = 1,
		[CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX] = 1,
		[CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL] = 2,
	};

	if (amount[c->after.table->replica_identity] >= amount[c->before.table->replica_identity])
		return CDC_BREAKS_NONE;
	*detail = pstrdup("REPLICA IDENTITY logs less of rows before they change");
	return CDC_BREAKS_FORWARD;
}

static const TableRule table_rules[] =
{
	{"table_renamed", false, table_renamed},
	{"key_changed", true, key_changed},
	{"replica_identity_reduced", true, less_of_old_rows},
};

/* -------------------------------------------------------------------------- */

static void
apply_rule(const Comparison *c, const ColumnRule *rule, const Pair *pair)
{
	CdcFinding	finding = {rule->name, CDC_BREAKS_NONE, rule->wire};

	finding.column = pair->before != NULL ? pair->before->name : pair->after->name;
	finding.breaks = rule->judge(c, pair, &finding.detail);
	if (finding.breaks != CDC_BREAKS_NONE)
		c->sink(c->arg, &finding);
}

/* One rule after the other, so that findings of a kind stand together. */
static void
apply_column_rule(const Comparison *c, const ColumnRule *rule)
{
	for (size_t i = 0; i < c->before.n; i++)
	{
		Pair		pair = {c->before.table->columns[i], NULL};

		CHECK_FOR_INTERRUPTS();
		pair.after = cdc_column_find(c->after.table, pair.before->number);
		apply_rule(c, rule, &pair);
	}
	for (size_t i = 0; i < c->after.n; i++)
	{
		Pair		pair = {NULL, c->after.table->columns[i]};

		CHECK_FOR_INTERRUPTS();
		if (cdc_column_find(c->before.table, pair.after->number) == NULL)
			apply_rule(c, rule, &pair);
	}
}

void
cdc_evolution_compare(const Cdc__V1__Table *before, const Cdc__V1__Table *after,
					  const Bitmapset *defaults, CdcFindingSink sink, void *arg)
{
	Comparison	c = {make_side(before), make_side(after), defaults, sink, arg};

	for (int i = 0; i < lengthof(table_rules); i++)
	{
		CdcFinding	finding = {table_rules[i].name, CDC_BREAKS_NONE, table_rules[i].wire};

		finding.breaks = table_rules[i].judge(&c, &finding.detail);
		if (finding.breaks != CDC_BREAKS_NONE)
			sink(arg, &finding);
	}
	for (int i = 0; i < lengthof(column_rules); i++)
		apply_column_rule(&c, &column_rules[i]);
}
