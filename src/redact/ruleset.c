/*
 * ruleset.c
 *	  Reads the tables of the rules of redaction.
 *
 * They are read as of now, and dirty: a rule counts from the moment its row is there,
 * whether its transaction has ended or not, and a removal once it is committed. So of
 * two rows for one rule the one without a removal counts.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/exttable.h"
#include "redact/ruleset.h"
#include "util/utf8.h"
#include "values/typcodec.h"

typedef struct NameKey
{
	NameData	schema;
	NameData	table;
} NameKey;

typedef struct NameEntry
{
	NameKey		key;
	List	   *columns;		/* CdcProtected */
} NameEntry;

typedef struct NumberEntry
{
	Oid			relid;
	List	   *columns;		/* CdcProtected */
} NumberEntry;

typedef struct Reading
{
	CdcRuleSet *set;
	const CdcSecret *secret;
} Reading;

static HTAB *
create_table(const char *name, Size keysize, Size entrysize, MemoryContext cxt)
{
	HASHCTL		ctl = {.keysize = keysize, .entrysize = entrysize, .hcxt = cxt};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* A path that is none withholds the column. */
static void
read_path(CdcRule *rule, const char *text)
{
	const char *where;
	const char *expected;

	if (text == NULL)
		return;
	rule->path_text = cdc_utf8(text);
	rule->path = cdc_json_path_parse(rule->path_text, &where, &expected);
	if (rule->path == NULL)
		rule->redaction.method = CDC_METHOD_WITHHELD;
}

static void
read_redaction(CdcRedaction *r, Relation rel, HeapTuple tup, const CdcSecret *secret)
{
	char	   *method = cdc_exttable_text(rel, tup, Anum_cdc_redaction_rule_method);

	r->value = cdc_exttable_text(rel, tup, Anum_cdc_redaction_rule_value);
	r->length = cdc_exttable_int(rel, tup, Anum_cdc_redaction_rule_length, -1);
	r->prefix = cdc_exttable_int(rel, tup, Anum_cdc_redaction_rule_prefix, 0);
	r->suffix = cdc_exttable_int(rel, tup, Anum_cdc_redaction_rule_suffix, 0);
	r->filler = cdc_exttable_text(rel, tup, Anum_cdc_redaction_rule_filler);
	r->value = r->value == NULL ? "" : cdc_utf8(r->value);
	r->filler = r->filler == NULL ? "" : cdc_utf8(r->filler);
	r->secret = secret;
	/* what this version does not know, or cannot do, it withholds */
	if (method == NULL || !cdc_method_parse(method, &r->method) ||
		(r->method == CDC_METHOD_HASH && secret->number == 0) ||
		(r->method == CDC_METHOD_TRUNCATE && r->length < 0))
		r->method = CDC_METHOD_WITHHELD;
}

static void
read_rule(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	Reading    *reading = arg;
	int64		id = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_rule_id, 0);
	XLogRecPtr	removed_at = (XLogRecPtr) cdc_exttable_int64(rel, tup, Anum_cdc_redaction_rule_removed_at, 0);
	CdcRule    *rule;
	bool		found;

	rule = hash_search(reading->set->rules, &id, HASH_ENTER, &found);
	if (found)
	{
		/* its removal is not committed */
		if (!XLogRecPtrIsInvalid(rule->removed_at))
			rule->removed_at = XLogRecPtrIsInvalid(removed_at) ? removed_at :
				Max(rule->removed_at, removed_at);
		return;
	}
	memset(rule, 0, sizeof(CdcRule));
	rule->id = id;
	rule->removed_at = removed_at;
	rule->pattern = cdc_exttable_text(rel, tup, Anum_cdc_redaction_rule_column_pattern);
	read_redaction(&rule->redaction, rel, tup, reading->secret);
	read_path(rule, cdc_exttable_text(rel, tup, Anum_cdc_redaction_rule_path));
}

/* A rule's column, unless the rule is not there. */
static List *
add_column(const CdcRuleSet *set, List *columns, int64 id, AttrNumber attnum, const char *column)
{
	CdcRule    *rule = hash_search(set->rules, &id, HASH_FIND, NULL);
	CdcProtected *protected;

	if (rule == NULL)
		return columns;
	protected = palloc(sizeof(CdcProtected));
	protected->rule = rule;
	protected->attnum = attnum;
	protected->column = column;
	return lappend(columns, protected);
}

static void
read_name(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	CdcRuleSet *set = arg;
	NameKey		key = {0};
	NameEntry  *entry;
	bool		found;

	namestrcpy(&key.schema, cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_schema_name));
	namestrcpy(&key.table, cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_table_name));
	entry = hash_search(set->names, &key, HASH_ENTER, &found);
	if (!found)
		entry->columns = NIL;
	entry->columns = add_column(set, entry->columns, cdc_exttable_int64(rel, tup, Anum_cdc_redaction_name_rule_id, 0),
								InvalidAttrNumber, cdc_exttable_name(rel, tup, Anum_cdc_redaction_name_column_name));
}

static void
read_number(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	CdcRuleSet *set = arg;
	Oid			relid = cdc_exttable_oid(rel, tup, Anum_cdc_redaction_column_relation);
	int64		id = cdc_exttable_int64(rel, tup, Anum_cdc_redaction_column_rule_id, 0);
	CdcRule    *rule = hash_search(set->rules, &id, HASH_FIND, NULL);
	NumberEntry *entry;
	bool		found;

	if (!OidIsValid(relid))
	{
		if (rule != NULL)
			rule->made_here = true;
		return;
	}
	entry = hash_search(set->numbers, &relid, HASH_ENTER, &found);
	if (!found)
		entry->columns = NIL;
	entry->columns = add_column(set, entry->columns, id,
								(AttrNumber) cdc_exttable_int16(rel, tup, Anum_cdc_redaction_column_attnum), NULL);
}

static void
read_installation(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	CdcRuleSet *set = arg;

	set->since = Max(set->since,
					 (XLogRecPtr) cdc_exttable_int64(rel, tup, Anum_cdc_installation_since, 0));
}

/* Sorts out those that count always from those that count for a while. */
static void
sort_rules(CdcRuleSet *set)
{
	HASH_SEQ_STATUS status;
	CdcRule    *rule;

	hash_seq_init(&status, set->rules);
	while ((rule = hash_seq_search(&status)) != NULL)
	{
		set->count++;
		if (rule->pattern != NULL)
			set->patterns = lappend(set->patterns, rule);
		if (!XLogRecPtrIsInvalid(rule->removed_at))
			set->removed = lappend(set->removed, rule);
	}
}

void
cdc_ruleset_read(CdcRuleSet *set, const CdcSecret *secret)
{
	MemoryContext cxt = set->cxt;
	MemoryContext oldcxt;
	Reading		reading = {set, secret};

	MemoryContextReset(cxt);
	memset(set, 0, sizeof(CdcRuleSet));
	set->cxt = cxt;
	oldcxt = MemoryContextSwitchTo(cxt);
	set->rules = create_table("cdc rules", sizeof(int64), sizeof(CdcRule), cxt);
	set->numbers = create_table("cdc columns with rules", sizeof(Oid), sizeof(NumberEntry), cxt);
	set->names = create_table("cdc names with rules", sizeof(NameKey), sizeof(NameEntry), cxt);
	/* the rules first: what is added meanwhile is told by an invalidation */
	set->unreadable =
		!OidIsValid(cdc_exttable_read("installation", read_installation, set)) ||
		!OidIsValid(cdc_exttable_read("redaction_rule", read_rule, &reading)) ||
		!OidIsValid(cdc_exttable_read("redaction_name", read_name, set)) ||
		!OidIsValid(cdc_exttable_read("redaction_column", read_number, set)) ||
		XLogRecPtrIsInvalid(set->since);
	sort_rules(set);
	MemoryContextSwitchTo(oldcxt);
}

const List *
cdc_ruleset_by_number(const CdcRuleSet *set, Oid relid)
{
	NumberEntry *entry = hash_search(set->numbers, &relid, HASH_FIND, NULL);

	return entry == NULL ? NIL : entry->columns;
}

const List *
cdc_ruleset_by_name(const CdcRuleSet *set, const char *schema, const char *table)
{
	NameKey		key = {0};
	NameEntry  *entry;

	namestrcpy(&key.schema, schema);
	namestrcpy(&key.table, table);
	entry = hash_search(set->names, &key, HASH_FIND, NULL);
	return entry == NULL ? NIL : entry->columns;
}

void
cdc_ruleset_each_number(const CdcRuleSet *set, CdcProtectedFn fn, void *arg)
{
	HASH_SEQ_STATUS status;
	NumberEntry *entry;
	ListCell   *lc;

	hash_seq_init(&status, set->numbers);
	while ((entry = hash_seq_search(&status)) != NULL)
		foreach(lc, entry->columns)
			fn(lfirst(lc), entry->relid, arg);
}

void
cdc_ruleset_each_name(const CdcRuleSet *set, CdcProtectedFn fn, void *arg)
{
	HASH_SEQ_STATUS status;
	NameEntry  *entry;
	ListCell   *lc;

	hash_seq_init(&status, set->names);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		Oid			schema = get_namespace_oid(NameStr(entry->key.schema), true);
		Oid			relid = OidIsValid(schema) ? get_relname_relid(NameStr(entry->key.table), schema) : InvalidOid;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, OidIsValid(relid) ? entry->columns : NIL)
			fn(lfirst(lc), relid, arg);
	}
}

/* What is protected by the names of a table that there is. */
static void
mark_found(const CdcProtected *column, Oid relid, void *arg)
{
	column->rule->found = PG_UINT64_MAX;
}

List *
cdc_ruleset_lost(const CdcRuleSet *set)
{
	HASH_SEQ_STATUS status;
	CdcRule    *rule;
	List	   *lost = NIL;

	cdc_ruleset_each_name(set, mark_found, NULL);
	hash_seq_init(&status, set->rules);
	while ((rule = hash_seq_search(&status)) != NULL)
	{
		if (!rule->made_here && rule->pattern == NULL && rule->found != PG_UINT64_MAX &&
			XLogRecPtrIsInvalid(rule->removed_at))
			lost = lappend(lost, &rule->id);
		rule->found = 0;
	}
	return lost;
}
