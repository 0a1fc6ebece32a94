/*
 * rules.c
 *	  Finds the rules of redaction for a relation.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/exttable.h"
#include "redact/jsonwalker.h"
#include "redact/rules.h"
#include "redact/ruleset.h"
#include "redact/secret.h"
#include "values/typcodec.h"
#include "util/like.h"

/* The tables that rules are in. */
static const char *const tables[] = {"redaction_rule", "redaction_name", "redaction_column", "installation"};

struct CdcRules
{
	CdcRuleSet	set;
	CdcSecret	secret;
	Oid			stored_in[lengthof(tables)];
	bool		privileged;		/* a superuser reads */
	XLogRecPtr	position;
	uint64		resolved;		/* how many relations */
};

CdcRules *
cdc_rules_create(MemoryContext cxt)
{
	CdcRules   *rules = MemoryContextAllocZero(cxt, sizeof(CdcRules));

	rules->set.cxt = AllocSetContextCreate(cxt, "cdc rules", ALLOCSET_SMALL_SIZES);
	rules->position = CDC_NOW;
	return rules;
}

bool
cdc_rules_stored_in(const CdcRules *rules, Oid relid)
{
	for (int i = 0; i < lengthof(tables); i++)
		if (relid == rules->stored_in[i])
			return true;
	return false;
}

void
cdc_rules_read(CdcRules *rules, bool privileged)
{
	for (int i = 0; i < lengthof(tables); i++)
		rules->stored_in[i] = cdc_exttable_find(tables[i]);
	rules->privileged = privileged;
	cdc_secret_read(&rules->secret);
	cdc_ruleset_read(&rules->set, &rules->secret);
}

/* Whether rules that were removed count, or that are not known any more. */
static bool
is_before(const CdcRules *rules, XLogRecPtr end)
{
	return rules->position < end;
}

bool
cdc_rules_advance(CdcRules *rules, XLogRecPtr position)
{
	XLogRecPtr	from = Min(rules->position, position);
	XLogRecPtr	to = Max(rules->position, position);
	bool		differs = from < rules->set.since && to >= rules->set.since;
	ListCell   *lc;

	foreach(lc, rules->set.removed)
	{
		XLogRecPtr	end = ((CdcRule *) lfirst(lc))->removed_at;

		differs |= from < end && to >= end;
	}
	rules->position = position;
	return differs;
}

void
cdc_rules_warn(const CdcRules *rules)
{
	List	   *lost = cdc_ruleset_lost(&rules->set);

	if (lost == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg_plural("%d rule of redaction finds no table",
						   "%d rules of redaction find no table",
						   list_length(lost), list_length(lost)),
			 errdetail("A restore has brought them, the first one is rule " INT64_FORMAT ".",
					   *(int64 *) linitial(lost)),
			 errhint("cdc.redaction_report() lists them; cdc.unredact() removes what is not needed.")));
}

/* --- finding those for a column ------------------------------------------- */

/* What the rules for a column come to. */
typedef struct Verdict
{
	const CdcRedaction *strictest;	/* NULL: there are none */
	bool		contradiction;	/* there is another one of its rank */
	List	   *inside;			/* rules with a path */
	const CdcRule *last;		/* the same one often comes twice */
} Verdict;

/* Adds a rule that is not among them: the same may count now and as of the change. */
static void
add_inside(Verdict *verdict, const CdcRule *rule)
{
	ListCell   *lc;

	foreach(lc, verdict->inside)
	{
		const CdcRule *other = lfirst(lc);

		if (strcmp(rule->path_text, other->path_text) == 0 &&
			cdc_redaction_equal(&rule->redaction, &other->redaction))
			return;
	}
	verdict->inside = lappend(verdict->inside, unconstify(CdcRule *, rule));
}

static bool
counts(const CdcRules *rules, const CdcRule *rule)
{
	return XLogRecPtrIsInvalid(rule->removed_at) || is_before(rules, rule->removed_at);
}

static void
apply_rule(const CdcRules *rules, const CdcRule *rule, Verdict *verdict)
{
	const CdcRedaction *other = &rule->redaction;

	if (!counts(rules, rule) || rule == verdict->last)
		return;
	verdict->last = rule;
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
		const CdcRule *rule = lfirst(lc);
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

/* --- a relation and what it is a part of ------------------------------------ */

/* Adds the tables that a relation is a partition of, or inherits from, as of the
 * change. */
static List *
add_parents(List *relids, Oid relid)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		relids = list_append_unique_oid(relids, ((Form_pg_inherits) GETSTRUCT(tup))->inhparent);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relids;
}

/* The verdicts for a relation, by attnum - 1. */
typedef struct Resolving
{
	CdcRules   *rules;
	Oid			relid;
	int			natts;
	Verdict    *verdicts;
	bool		withhold;		/* all of it */
} Resolving;

/* The rule protects the column of this name of a table that the relation is, or is a part
 * of; columns of partitions and children have the names of their parents'. */
static void
apply_by_name(Resolving *r, const CdcRule *rule, const char *column)
{
	AttrNumber	attnum = column == NULL ? InvalidAttrNumber : get_attnum(r->relid, column);

	if (attnum > 0 && attnum <= r->natts)
		apply_rule(r->rules, rule, &r->verdicts[attnum - 1]);
}

static void
apply_numbers(Resolving *r, Oid subject)
{
	ListCell   *lc;

	foreach(lc, cdc_ruleset_by_number(&r->rules->set, subject))
	{
		const CdcProtected *protected = lfirst(lc);

		protected->rule->found = r->rules->resolved;
		if (subject != r->relid)
			apply_by_name(r, protected->rule, get_attname(subject, protected->attnum, true));
		else if (protected->attnum <= r->natts)
			apply_rule(r->rules, protected->rule, &r->verdicts[protected->attnum - 1]);
	}
}

/* A rule that a restore has brought, and that finds this table but none of the columns
 * that it was for, withholds all of it. */
static bool
misses_its_column(const CdcRules *rules, const List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const CdcRule *rule = ((CdcProtected *) lfirst(lc))->rule;

		if (!rule->made_here && rule->found != rules->resolved && counts(rules, rule))
			return true;
	}
	return false;
}

static void
apply_names(Resolving *r, Oid subject)
{
	const char *schema = get_namespace_name(get_rel_namespace(subject));
	const char *table = get_rel_name(subject);
	const List *columns;
	ListCell   *lc;

	if (schema == NULL || table == NULL)
		return;
	columns = cdc_ruleset_by_name(&r->rules->set, schema, table);
	foreach(lc, columns)
	{
		const CdcProtected *protected = lfirst(lc);

		if (get_attnum(subject, protected->column) > 0)
			protected->rule->found = r->rules->resolved;
		apply_by_name(r, protected->rule, protected->column);
	}
	r->withhold |= misses_its_column(r->rules, columns);
}

static void
apply_patterns(Resolving *r, TupleDesc tupdesc)
{
	ListCell   *lc;

	foreach(lc, r->rules->set.patterns)
	{
		const CdcRule *rule = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < tupdesc->natts; i++)
			if (cdc_like(rule->pattern, NameStr(TupleDescAttr(tupdesc, i)->attname)))
				apply_rule(r->rules, rule, &r->verdicts[i]);
	}
}

static void
apply_rules(Resolving *r, Relation rel)
{
	List	   *subjects = list_make1_oid(r->relid);

	/* grows while it is gone through */
	for (int i = 0; i < list_length(subjects); i++)
	{
		Oid			subject = list_nth_oid(subjects, i);

		CHECK_FOR_INTERRUPTS();
		r->rules->resolved++;
		apply_numbers(r, subject);
		apply_names(r, subject);
		subjects = add_parents(subjects, subject);
	}
	apply_patterns(r, RelationGetDescr(rel));
}

const CdcRedaction *const *
cdc_rules_resolve(CdcRules *rules, Relation rel)
{
	static const CdcRedaction withheld = {CDC_METHOD_WITHHELD};
	TupleDesc	tupdesc = RelationGetDescr(rel);
	CdcRedaction **result = palloc0(sizeof(CdcRedaction *) * Max(tupdesc->natts, 1));
	Resolving	r = {rules, RelationGetRelid(rel), tupdesc->natts};
	bool		any = false;

	r.withhold = !rules->privileged &&
		(rules->set.unreadable || is_before(rules, rules->set.since));
	if (!r.withhold && rules->set.count == 0)
		return NULL;
	r.verdicts = palloc0(sizeof(Verdict) * Max(tupdesc->natts, 1));
	if (rules->set.count > 0)
		apply_rules(&r, rel);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		Verdict    *verdict = &r.verdicts[i];

		if (r.withhold)
			verdict->strictest = &withheld;
		if (att->attisdropped || (verdict->strictest == NULL && verdict->inside == NIL))
			continue;
		result[i] = conclude(verdict, att->atttypid);
		any = true;
	}
	return any ? (const CdcRedaction *const *) result : NULL;
}
