/*
 * rules.c
 *	  Reads cdc.redaction_rule and finds the rules for a relation.
 *
 * The table is a user catalog table, so that it can be read as of a change. The
 * rules of now are read where no historic snapshot is in force, by catalogs of
 * now: the table may have been dropped or made anew since the change.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "exttable.h"
#include "jsonredact.h"
#include "rules.h"
#include "secret.h"

#define TABLE "redaction_rule"

/* Its columns, as in the install script. */
enum
{
	RULE_ID = 1,
	RULE_RELATION,
	RULE_ATTNUM,
	RULE_SCHEMA,
	RULE_TABLE,
	RULE_COLUMN,
	RULE_PATTERN,
	RULE_METHOD,
	RULE_VALUE,
	RULE_LENGTH,
	RULE_PREFIX,
	RULE_SUFFIX,
	RULE_FILLER,
	RULE_PATH
};

typedef struct Rule
{
	Oid			relid;
	AttrNumber	attnum;
	const char *schema;			/* NULL: a rule by pattern */
	const char *table;
	const char *column;
	const char *pattern;
	const CdcJsonPath *path;	/* NULL: about the whole column */
	const char *path_text;
	CdcRedaction redaction;
} Rule;

/* What was read of the table. */
typedef struct RuleSet
{
	MemoryContext cxt;
	bool		unreadable;		/* there were rules, and they are gone */
	List	   *rules;
} RuleSet;

struct CdcRules
{
	RuleSet		now;
	RuleSet		then;			/* as of the change */
	bool		then_stale;
	Oid			table_now;
	Oid			table_then;
	Oid			storage_now;	/* its relfilenode */
	bool		privileged;		/* a superuser reads */
	CdcSecret	secret;
};

CdcRules *
cdc_rules_create(MemoryContext cxt)
{
	CdcRules   *rules = MemoryContextAllocZero(cxt, sizeof(CdcRules));

	rules->now.cxt = AllocSetContextCreate(cxt, "cdc rules", ALLOCSET_SMALL_SIZES);
	rules->then.cxt = AllocSetContextCreate(cxt, "cdc former rules", ALLOCSET_SMALL_SIZES);
	return rules;
}

void
cdc_rules_outdated(CdcRules *rules)
{
	rules->then_stale = true;
}

bool
cdc_rules_stored_in(const CdcRules *rules, Oid relid)
{
	return relid == rules->table_now || relid == rules->table_then;
}

/* --- reading the table ---------------------------------------------------- */

/* A path that is none withholds the column. */
static void
read_path(Rule *rule, const char *text)
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

static Rule *
read_rule(Relation rel, HeapTuple tup, const CdcSecret *secret)
{
	Rule	   *rule = palloc0(sizeof(Rule));
	CdcRedaction *r = &rule->redaction;
	char	   *method = cdc_exttable_text(rel, tup, RULE_METHOD);

	rule->relid = cdc_exttable_oid(rel, tup, RULE_RELATION);
	rule->attnum = (AttrNumber) cdc_exttable_int(rel, tup, RULE_ATTNUM, 0);
	rule->schema = cdc_exttable_name(rel, tup, RULE_SCHEMA);
	rule->table = cdc_exttable_name(rel, tup, RULE_TABLE);
	rule->column = cdc_exttable_name(rel, tup, RULE_COLUMN);
	rule->pattern = cdc_exttable_text(rel, tup, RULE_PATTERN);
	r->value = cdc_exttable_text(rel, tup, RULE_VALUE);
	r->length = cdc_exttable_int(rel, tup, RULE_LENGTH, -1);
	r->prefix = cdc_exttable_int(rel, tup, RULE_PREFIX, 0);
	r->suffix = cdc_exttable_int(rel, tup, RULE_SUFFIX, 0);
	r->filler = cdc_exttable_text(rel, tup, RULE_FILLER);
	r->value = r->value == NULL ? "" : cdc_utf8(r->value);
	r->filler = r->filler == NULL ? "" : cdc_utf8(r->filler);
	r->secret = secret;
	/* what this version does not know, or can not do, it withholds */
	if (method == NULL || !cdc_method_parse(method, &r->method) ||
		(r->method == CDC_METHOD_HASH && secret->number == 0) ||
		(r->method == CDC_METHOD_TRUNCATE && r->length < 0))
		r->method = CDC_METHOD_WITHHELD;
	read_path(rule, cdc_exttable_text(rel, tup, RULE_PATH));
	return rule;
}

static void
read_rules(RuleSet *set, Relation rel, const CdcSecret *secret)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(set->cxt);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		set->rules = lappend(set->rules, read_rule(rel, tup, secret));
	systable_endscan(scan);
	MemoryContextSwitchTo(oldcxt);
}

static void
forget(RuleSet *set)
{
	MemoryContextReset(set->cxt);
	set->rules = NIL;
	set->unreadable = false;
}

void
cdc_rules_read(CdcRules *rules, bool privileged)
{
	Relation	rel;

	forget(&rules->now);
	forget(&rules->then);
	rules->then_stale = true;
	rules->privileged = privileged;
	cdc_secret_read(&rules->secret);
	rel = cdc_exttable_open(TABLE, AccessShareLock);
	rules->now.unreadable = rel == NULL;
	rules->table_now = rel == NULL ? InvalidOid : RelationGetRelid(rel);
	if (rel == NULL)
		return;
	rules->storage_now = rel->rd_rel->relfilenode;
	read_rules(&rules->now, rel, &rules->secret);
	table_close(rel, AccessShareLock);
}

/*
 * The rules as of the change. Where the table of then has another storage now, or
 * none, it can not be read, and there may have been rules.
 */
static void
read_then(CdcRules *rules)
{
	Relation	rel;

	forget(&rules->then);
	rules->then_stale = false;
	rules->table_then = InvalidOid;
	if (!HistoricSnapshotActive())
		return;
	rules->table_then = cdc_exttable_find(TABLE);
	if (!OidIsValid(rules->table_then))
		return;
	/* to open a table of this kind that is gone would be an ERROR */
	rules->then.unreadable = rules->table_then != rules->table_now;
	if (rules->then.unreadable)
		return;
	rel = table_open(rules->table_then, AccessShareLock);
	rules->then.unreadable = rel->rd_rel->relfilenode != rules->storage_now;
	if (!rules->then.unreadable)
		read_rules(&rules->then, rel, &rules->secret);
	table_close(rel, AccessShareLock);
}

/* --- finding those for a column ------------------------------------------- */

/* LIKE without regard to case, of ASCII: % is any characters, _ is one. */
static bool
matches(const char *pattern, const char *name)
{
	if (*pattern == '\0')
		return *name == '\0';
	if (*pattern == '%')
	{
		do
		{
			if (matches(pattern + 1, name))
				return true;
		} while (*name++ != '\0');
		return false;
	}
	if (*name == '\0')
		return false;
	if (*pattern == '_')
		return matches(pattern + 1, name + pg_mblen(name));
	if (*pattern == '\\' && pattern[1] != '\0')
		pattern++;
	return pg_ascii_tolower((unsigned char) *pattern) == pg_ascii_tolower((unsigned char) *name) &&
		matches(pattern + 1, name + 1);
}

/* A relation whose rules count for the one that is resolved: itself, or an
 * ancestor. */
typedef struct Subject
{
	Oid			relid;
	const char *schema;
	const char *table;
} Subject;

/* Whether a rule is about a column: by its number, or by its names. */
static bool
covers(const Rule *rule, const Subject *subject, AttrNumber attnum, const char *column)
{
	if (rule->schema == NULL)
		return rule->pattern != NULL && matches(rule->pattern, column);
	return (rule->relid == subject->relid && rule->attnum == attnum) ||
		(strcmp(rule->schema, subject->schema) == 0 && strcmp(rule->table, subject->table) == 0 &&
		 strcmp(rule->column, column) == 0);
}

/* What the rules for a column come to. */
typedef struct Verdict
{
	const CdcRedaction *strictest;	/* NULL: there are none */
	bool		contradiction;	/* there is another one of its rank */
	List	   *inside;			/* rules with a path */
} Verdict;

/* Adds a rule that is not among them: the same may count now and as of the change. */
static void
add_inside(Verdict *verdict, const Rule *rule)
{
	ListCell   *lc;

	foreach(lc, verdict->inside)
	{
		const Rule *other = lfirst(lc);

		if (strcmp(rule->path_text, other->path_text) == 0 &&
			cdc_redaction_equal(&rule->redaction, &other->redaction))
			return;
	}
	verdict->inside = lappend(verdict->inside, unconstify(Rule *, rule));
}

static void
apply_rules(const RuleSet *set, const Subject *subject, AttrNumber attnum, const char *column,
			Verdict *verdict)
{
	ListCell   *lc;

	foreach(lc, set->rules)
	{
		const Rule *rule = lfirst(lc);
		const CdcRedaction *other = &rule->redaction;

		if (!covers(rule, subject, attnum, column))
			continue;
		if (rule->path != NULL && other->method != CDC_METHOD_WITHHELD)
			add_inside(verdict, rule);
		else if (verdict->strictest == NULL ||
				 cdc_method_stricter(other->method, verdict->strictest->method))
		{
			verdict->strictest = other;
			verdict->contradiction = false;
		}
		else if (!cdc_method_stricter(verdict->strictest->method, other->method) &&
				 !cdc_redaction_equal(verdict->strictest, other))
			verdict->contradiction = true;
	}
}

/* What rules with a path come to: they need JSON. */
static CdcRedaction *
conclude_inside(const Verdict *verdict, Oid typid)
{
	CdcRedaction *result = palloc0(sizeof(CdcRedaction));
	CdcJsonRule *inside = palloc(sizeof(CdcJsonRule) * list_length(verdict->inside));
	ListCell   *lc;

	result->method = cdc_type_is_json(typid) ? CDC_METHOD_PATH : CDC_METHOD_WITHHELD;
	result->inside = inside;
	foreach(lc, verdict->inside)
	{
		const Rule *rule = lfirst(lc);
		CdcJsonRule *to = &inside[result->ninside++];

		to->path = rule->path;
		to->redaction = &rule->redaction;
	}
	return result;
}

/* A redaction of its own for a column: of two that differ none can be trusted, nor
 * of one that keeps a part of the whole beside one that is about a part. A bytea is
 * cut by bytes, of which each is two digits of its text. */
static CdcRedaction *
conclude(const Verdict *verdict, Oid typid)
{
	CdcRedaction *result;

	if (verdict->strictest == NULL)
		return conclude_inside(verdict, typid);
	result = palloc0(sizeof(CdcRedaction));
	*result = *verdict->strictest;
	if (verdict->inside != NIL && !cdc_method_stricter(result->method, CDC_METHOD_PARTIAL))
		result->method = CDC_METHOD_WITHHELD;
	if (verdict->contradiction)
		result->method = CDC_METHOD_WITHHELD;
	if (result->method == CDC_METHOD_TRUNCATE && getBaseType(typid) == BYTEAOID)
		result->length = 2 + 2 * Min(result->length, PG_INT32_MAX / 2 - 2);
	return result;
}

static List *
find_subjects(Relation rel, const List *ancestors)
{
	List	   *oids = lcons_oid(RelationGetRelid(rel), list_copy(ancestors));
	List	   *subjects = NIL;
	ListCell   *lc;

	foreach(lc, oids)
	{
		Subject    *subject = palloc(sizeof(Subject));

		subject->relid = lfirst_oid(lc);
		subject->schema = get_namespace_name(get_rel_namespace(subject->relid));
		subject->table = get_rel_name(subject->relid);
		if (subject->schema == NULL)
			subject->schema = "";
		if (subject->table == NULL)
			subject->table = "";
		subjects = lappend(subjects, subject);
	}
	return subjects;
}

const CdcRedaction *const *
cdc_rules_resolve(CdcRules *rules, Relation rel, const List *ancestors)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	CdcRedaction **result = palloc0(sizeof(CdcRedaction *) * Max(tupdesc->natts, 1));
	static const CdcRedaction withheld = {CDC_METHOD_WITHHELD};
	List	   *subjects;
	bool		any = false;
	bool		withhold;

	if (rules->then_stale)
		read_then(rules);
	withhold = (rules->now.unreadable || rules->then.unreadable) && !rules->privileged;
	if (!withhold && rules->now.rules == NIL && rules->then.rules == NIL)
		return NULL;
	subjects = find_subjects(rel, ancestors);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		Verdict		verdict = {withhold ? &withheld : NULL};
		ListCell   *lc;

		if (att->attisdropped)
			continue;
		foreach(lc, subjects)
		{
			const Subject *subject = lfirst(lc);
			AttrNumber	attnum = subject->relid == RelationGetRelid(rel) ? att->attnum :
				get_attnum(subject->relid, NameStr(att->attname));

			apply_rules(&rules->now, subject, attnum, NameStr(att->attname), &verdict);
			apply_rules(&rules->then, subject, attnum, NameStr(att->attname), &verdict);
		}
		if (verdict.strictest == NULL && verdict.inside == NIL)
			continue;
		result[i] = conclude(&verdict, att->atttypid);
		any = true;
	}
	return any ? (const CdcRedaction *const *) result : NULL;
}
