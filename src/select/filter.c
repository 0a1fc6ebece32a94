/*
 * filter.c
 *	  Resolves what is sent of a relation, once for each.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "registry/registry.h"
#include "schema/descriptor.h"
#include "schema/versionmap.h"
#include "select/filter.h"
#include "select/publication.h"
#include "util/pattern.h"

#define ALL_OPS \
	(CDC_OP_BIT(INSERT) | CDC_OP_BIT(UPDATE) | CDC_OP_BIT(DELETE) | CDC_OP_BIT(TRUNCATE) | CDC_OP_BIT(REWRITE))

struct CdcFilter
{
	const CdcOptions *options;
	CdcPublications *publications;	/* NULL: none are asked for */
};

CdcFilter *
cdc_filter_create(const CdcOptions *options, MemoryContext cxt)
{
	CdcFilter  *filter = MemoryContextAllocZero(cxt, sizeof(CdcFilter));

	filter->options = options;
	filter->publications = cdc_publications_create(options->publications, cxt);
	return filter;
}

static bool
is_listed(const List *patterns, Relation rel)
{
	char	   *schema;

	if (patterns == NIL)
		return false;
	schema = get_namespace_name(RelationGetNamespace(rel));
	return schema != NULL && cdc_patterns_match(patterns, schema, RelationGetRelationName(rel));
}

/* By `tables` and `exclude_tables`, either by its own name or by the one that
 * it is sent under. */
static bool
is_wanted(const CdcOptions *options, Relation rel, Relation sent_as)
{
	return (options->tables == NIL || is_listed(options->tables, rel) ||
			is_listed(options->tables, sent_as)) &&
		!is_listed(options->exclude_tables, rel) && !is_listed(options->exclude_tables, sent_as);
}

/* The relation under whose name rows are sent, which is an ancestor where publications say so. */
static Relation
open_sent_as(Oid relid, Relation rel)
{
	Relation	sent_as = relid == RelationGetRelid(rel) ? rel : RelationIdGetRelation(relid);

	if (!RelationIsValid(sent_as))
		elog(ERROR, "could not open relation with OID %u", relid);
	return sent_as;
}

static void
close_sent_as(Relation sent_as, Relation rel)
{
	if (sent_as != rel)
		RelationClose(sent_as);
}

/* What is there before publications and options have been asked. */
static CdcSelection *
begin_selection(Relation rel, MemoryContext cxt)
{
	CdcSelection *selection = MemoryContextAllocZero(cxt, sizeof(CdcSelection));
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);

	selection->relid = RelationGetRelid(rel);
	selection->persistence = rel->rd_rel->relpersistence;
	selection->access_method = rel->rd_rel->relam;
	if (rel->rd_rel->relispartition)
		selection->ancestors = get_partition_ancestors(selection->relid);
	MemoryContextSwitchTo(oldcxt);
	return selection;
}

CdcSelection *
cdc_filter_resolve(CdcFilter *filter, Relation rel, MemoryContext cxt)
{
	CdcSelection *selection = begin_selection(rel, cxt);
	List	   *publications = NIL;
	Relation	sent_as;

	/* Tables of information_schema and such are in no publication. */
	if (filter->publications != NULL && selection->relid >= FirstNormalObjectId)
		publications = cdc_publications_find(filter->publications, rel, selection);
	else if (filter->publications == NULL && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		selection->ops = ALL_OPS;
	sent_as = open_sent_as(selection->relid, rel);
	if (sent_as != rel)
	{
		/* A part of it cannot be truncated in its name. */
		selection->ops &= ~CDC_OP_BIT(TRUNCATE);
		cdc_selection_map(selection, RelationGetDescr(rel), RelationGetDescr(sent_as), cxt);
	}
	if (!is_wanted(filter->options, rel, sent_as))
		selection->ops = 0;
	if (selection->ops != 0 && filter->publications != NULL)
		cdc_publications_narrow(filter->publications, publications, sent_as, selection, cxt);
	close_sent_as(sent_as, rel);
	selection->requested = cdc_requested_find(filter->options->versions, selection->relid);
	return selection;
}

/*
 * The older version that is asked for of a relation, if its rows can be sent in it;
 * NULL where they cannot, or have that version. *version is what they have.
 */
static const Cdc__V1__Table *
map_version(CdcRequested *requested, Relation rel, uint32 *version, char **unmappable)
{
	MemoryContext result_cxt = CurrentMemoryContext;
	MemoryContext scratch;
	Bitmapset  *defaults;
	bytea	   *now;
	char	   *reason;

	if (requested == NULL || *version == requested->major)
		return NULL;
	scratch = AllocSetContextCreate(result_cxt, "cdc version", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	now = cdc_registry_describe(rel, &defaults);
	reason = cdc_version_unmappable(requested->table, cdc_table_unpack(VARDATA(now), VARSIZE(now) - VARHDRSZ));
	MemoryContextSwitchTo(result_cxt);
	if (reason != NULL)
		*unmappable = pstrdup(reason);
	else
		*version = requested->major;
	MemoryContextDelete(scratch);
	if (reason != NULL && !requested->warned)
		ereport(WARNING,
				(errmsg("rows of table \"%s\" cannot be sent in version %u: %s",
						RelationGetRelationName(rel), requested->major, *unmappable),
				 errdetail("They are sent as they are, and their schema says so.")));
	requested->warned |= reason != NULL;
	return reason == NULL ? requested->table : NULL;
}

CdcTable *
cdc_selection_table(CdcSelection *selection, CdcAccess *access, Relation rel, MemoryContext cxt)
{
	CdcTableView view = {open_sent_as(selection->relid, rel), selection->map, selection->columns};
	MemoryContext oldcxt;
	CdcTable   *table = NULL;
	uint32		version;
	char	   *unmapped = NULL;

	oldcxt = MemoryContextSwitchTo(cxt);
	if (cdc_access_resolve(access, rel, &view.redactions))
	{
		version = cdc_access_version(access, view.as);
		view.older = map_version(selection->requested, view.as, &version, &unmapped);
		view.withheld = &selection->withheld;
		table = cdc_table_resolve(rel, &view);
		table->version = version;
		table->unmapped = unmapped;
	}
	MemoryContextSwitchTo(oldcxt);
	close_sent_as(view.as, rel);
	return table;
}
