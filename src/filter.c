/*
 * filter.c
 *	  Resolves what is sent of a relation, once for each.
 *
 * Publications are looked up by name every time, under the historic snapshot:
 * there is nothing to be kept up to date.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "filter.h"
#include "json.h"
#include "pattern.h"
#include "registry.h"

#define OP_BIT(op)	(1 << CDC__V1__OP__OP_##op)
#define ALL_OPS \
	(OP_BIT(INSERT) | OP_BIT(UPDATE) | OP_BIT(DELETE) | OP_BIT(TRUNCATE) | OP_BIT(REWRITE))

/* A publication that was asked for. */
typedef struct Wanted
{
	const char *name;
	bool		reported;		/* that it is missing */
} Wanted;

struct CdcFilter
{
	MemoryContext cxt;
	const CdcOptions *options;
	List	   *publications;	/* of Wanted */
	List	   *reported;		/* OIDs of relations whose column lists differ */
};

CdcFilter *
cdc_filter_create(const CdcOptions *options, MemoryContext cxt)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	CdcFilter  *filter = palloc0(sizeof(CdcFilter));
	ListCell   *lc;

	filter->cxt = cxt;
	filter->options = options;
	foreach(lc, options->publications)
	{
		Wanted	   *wanted = palloc0(sizeof(Wanted));

		wanted->name = lfirst(lc);
		filter->publications = lappend(filter->publications, wanted);
	}
	MemoryContextSwitchTo(oldcxt);
	return filter;
}

/* Why nothing is sent of a table of this name; NULL where there is nothing against it. */
static const char *
why_not_sent(const char *schema, const char *table)
{
	Oid			namespace = get_namespace_oid(schema, true);
	Oid			relid = OidIsValid(namespace) ? get_relname_relid(table, namespace) : InvalidOid;

	if (!OidIsValid(namespace))
		return "no such schema";
	if (!OidIsValid(relid))
		return "no such table";
	if (get_rel_relkind(relid) != RELKIND_RELATION && get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return "no table";
	if (get_rel_persistence(relid) != RELPERSISTENCE_PERMANENT)
		return "not in the WAL";
	return NULL;
}

char *
cdc_filter_missing(List *tables)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, tables)
	{
		const char *schema;
		const char *table;
		const char *why;

		if (cdc_pattern_names(lfirst(lc), &schema, &table) && (why = why_not_sent(schema, table)) != NULL)
			appendStringInfo(&list, "%s%s (%s)", list.len > 0 ? ", " : "",
							 quote_qualified_identifier(schema, table), why);
	}
	return list.data;
}

/* Who calls again and again, as cdc.fetch() is called, is told once. */
static void
warn_once(uint32 *told, const char *list, const char *message)
{
	uint32		hash = hash_bytes((const unsigned char *) list, strlen(list));

	if (*list != '\0' && hash != *told)
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("%s", message), errdetail("These are: %s.", list)));
	*told = hash;
}

void
cdc_filter_warn_of_missing(const CdcOptions *options)
{
	static uint32 told = 0;

	warn_once(&told, cdc_filter_missing(options->tables),
			  "the option \"tables\" names tables of which nothing is sent");
}

void
cdc_filter_warn_of_gone(const char *versions)
{
	static uint32 told = 0;

	warn_once(&told, versions, "the option \"versions\" names versions of tables that are gone");
}

static Publication *
find_publication(Wanted *wanted)
{
	Publication *publication = GetPublicationByName(wanted->name, true);

	if (publication == NULL && !wanted->reported)
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("publication \"%s\" does not exist at this point of the WAL", wanted->name),
				 errdetail("Nothing is sent for it until it is created.")));
	wanted->reported = publication == NULL;
	return publication;
}

/*
 * How many levels above itself a relation is published: 0 as itself. -1: it is
 * not in the publication.
 */
static int
published_level(Publication *publication, Oid relid, List *ancestors, List *own)
{
	int			level = 0;

	if (publication->alltables)
	{
		Oid			top = ancestors == NIL ? relid : llast_oid(ancestors);

		if (list_member_oid(GetRelationExcludedPublications(top), publication->oid))
			return -1;
		return publication->pubviaroot ? list_length(ancestors) : 0;
	}
	if (ancestors != NIL &&
		OidIsValid(GetTopMostAncestorInPublication(publication->oid, ancestors, &level)))
		return publication->pubviaroot ? level : 0;
	return list_member_oid(own, publication->oid) ? 0 : -1;
}

static uint32
published_ops(const PublicationActions *actions)
{
	/* The rows of a rewrite are what INSERTs of them would be. */
	return (actions->pubinsert ? OP_BIT(INSERT) | OP_BIT(REWRITE) : 0) |
		(actions->pubupdate ? OP_BIT(UPDATE) : 0) |
		(actions->pubdelete ? OP_BIT(DELETE) : 0) |
		(actions->pubtruncate ? OP_BIT(TRUNCATE) : 0);
}

/*
 * Finds the publications of a relation. Of those that name different
 * ancestors only the ones with the highest count for columns and rows.
 */
static List *
find_publications(CdcFilter *filter, Relation rel, CdcSelection *selection)
{
	Oid			relid = RelationGetRelid(rel);
	bool		partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	List	   *own = list_concat(GetRelationIncludedPublications(relid),
								  GetSchemaPublications(RelationGetNamespace(rel)));
	List	   *found = NIL;
	int			highest = 0;
	ListCell   *lc;

	foreach(lc, filter->publications)
	{
		Publication *publication = find_publication(lfirst(lc));
		int			level;

		/* The changes of partitions suffice, if they are sent as such. */
		if (publication == NULL || (partitioned && !publication->pubviaroot))
			continue;
		level = published_level(publication, relid, selection->ancestors, own);
		if (level < 0)
			continue;
		selection->ops |= published_ops(&publication->pubactions);
		if (level > highest)
		{
			highest = level;
			found = NIL;
		}
		if (level == highest)
			found = lappend(found, publication);
	}
	if (highest > 0)
		selection->relid = list_nth_oid(selection->ancestors, highest - 1);
	return found;
}

/* An attribute of the publication's entry for a table, if there are both. */
static bool
publication_attribute(Publication *publication, Oid relid, AttrNumber attnum, Datum *value)
{
	HeapTuple	tup;
	bool		isnull = true;

	if (publication->alltables)
		return false;
	tup = SearchSysCacheCopy2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid),
							  ObjectIdGetDatum(publication->oid));
	if (HeapTupleIsValid(tup))
		*value = SysCacheGetAttr(PUBLICATIONRELMAP, tup, attnum, &isnull);
	return !isnull;
}

/*
 * The columns to send. Where publications disagree, core's own plugin gives
 * up; here only what all of them send is sent.
 */
static void
find_columns(CdcFilter *filter, List *publications, Relation rel,
			 CdcSelection *selection, MemoryContext cxt)
{
	Bitmapset  *all = NULL;
	Bitmapset  *columns;
	bool		differ = false;
	ListCell   *lc;
	MemoryContext oldcxt;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			all = bms_add_member(all, i + 1);
	columns = bms_copy(all);
	foreach(lc, publications)
	{
		Bitmapset  *these = all;
		Datum		list;

		if (publication_attribute(lfirst(lc), selection->relid,
								  Anum_pg_publication_rel_prattrs, &list))
			these = pub_collist_to_bitmapset(NULL, list, NULL);
		differ |= lc != list_head(publications) && !bms_equal(these, columns);
		columns = bms_int_members(columns, these);
	}
	if (bms_equal(columns, all))
		return;
	oldcxt = MemoryContextSwitchTo(cxt);
	selection->columns = bms_copy(columns);
	MemoryContextSwitchTo(oldcxt);
	if (differ && !list_member_oid(filter->reported, selection->relid))
	{
		oldcxt = MemoryContextSwitchTo(filter->cxt);
		filter->reported = lappend_oid(filter->reported, selection->relid);
		MemoryContextSwitchTo(oldcxt);
		ereport(WARNING,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("publications have different column lists for table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Only the columns that are in all of them are sent.")));
	}
}

static const struct
{
	Cdc__V1__Op op;
	uint32		bit;
}			filtered_ops[] =
{
	{CDC__V1__OP__OP_INSERT, OP_BIT(INSERT)},
	{CDC__V1__OP__OP_UPDATE, OP_BIT(UPDATE)},
	{CDC__V1__OP__OP_DELETE, OP_BIT(DELETE)},
};

/* The row filter of a publication as text; NULL: it has none. */
static char *
row_filter(Publication *publication, Relation rel)
{
	Datum		value;

	if (SearchSysCacheExists2(PUBLICATIONNAMESPACEMAP,
							  ObjectIdGetDatum(RelationGetNamespace(rel)),
							  ObjectIdGetDatum(publication->oid)) ||
		!publication_attribute(publication, RelationGetRelid(rel),
							   Anum_pg_publication_rel_prqual, &value))
		return NULL;
	return TextDatumGetCString(value);
}

/* An operation has a filter if all publications that send it have one. */
static void
find_row_filters(List *publications, Relation rel, CdcSelection *selection, MemoryContext cxt)
{
	char	  **texts = palloc(sizeof(char *) * Max(list_length(publications), 1));
	uint32		unfiltered = 0;
	MemoryContext oldcxt;

	for (int i = 0; i < list_length(publications); i++)
	{
		Publication *publication = list_nth(publications, i);

		texts[i] = row_filter(publication, rel);
		if (texts[i] == NULL)
			unfiltered |= published_ops(&publication->pubactions);
	}
	oldcxt = MemoryContextSwitchTo(cxt);
	for (int i = 0; i < list_length(publications); i++)
	{
		Publication *publication = list_nth(publications, i);
		uint32		ops = published_ops(&publication->pubactions) & ~unfiltered;

		for (int j = 0; j < lengthof(filtered_ops); j++)
		{
			if ((ops & filtered_ops[j].bit) == 0)
				continue;
			if (selection->rows == NULL)
				selection->rows = cdc_rowfilter_create(RelationGetDescr(rel));
			cdc_rowfilter_add(selection->rows, filtered_ops[j].op, texts[i]);
		}
	}
	MemoryContextSwitchTo(oldcxt);
}

static AttrNumber
attnum_of(TupleDesc tupdesc, const char *name)
{
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

/* Finds the columns of an ancestor in its partition. */
static void
map_columns(TupleDesc from, TupleDesc to, CdcSelection *selection, MemoryContext cxt)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	AttrNumber *map = palloc0(sizeof(AttrNumber) * Max(to->natts, 1));
	bool		same = from->natts == to->natts;

	for (int i = 0; i < to->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(to, i);

		if (!att->attisdropped)
			map[i] = attnum_of(from, NameStr(att->attname));
		same &= att->attisdropped || map[i] == i + 1;
	}
	if (!same)
	{
		selection->map = map;
		selection->map_len = to->natts;
		selection->before = cdc_row_alloc(to->natts);
		selection->after = cdc_row_alloc(to->natts);
	}
	MemoryContextSwitchTo(oldcxt);
}

static void
map_row(const CdcSelection *selection, const CdcRow *from, const CdcRow *to)
{
	for (int i = 0; i < selection->map_len; i++)
	{
		int			at = selection->map[i] - 1;

		to->isnull[i] = at < 0 || from->isnull[at];
		to->values[i] = to->isnull[i] ? (Datum) 0 : from->values[at];
	}
}

static void
map_rows(CdcSelection *selection, CdcChange *change)
{
	if (change->before != NULL)
	{
		map_row(selection, change->before, &selection->before);
		change->before = &selection->before;
	}
	if (change->after != NULL)
	{
		map_row(selection, change->after, &selection->after);
		change->after = &selection->after;
	}
}

bool
cdc_selection_pass(CdcSelection *selection, CdcChange *change, ErrorData **error)
{
	if (selection->map != NULL)
		map_rows(selection, change);
	return selection->rows == NULL || cdc_rowfilter_apply(selection->rows, change, error);
}

bool
cdc_selection_can_rewrite(const CdcSelection *selection, Oid relid, Relation transient)
{
	return selection->relid == relid ||
		(selection->persistence == transient->rd_rel->relpersistence &&
		 selection->access_method == transient->rd_rel->relam);
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

CdcSelection *
cdc_filter_resolve(CdcFilter *filter, Relation rel, MemoryContext cxt)
{
	CdcSelection *selection = MemoryContextAllocZero(cxt, sizeof(CdcSelection));
	bool		by_publications = filter->publications != NIL;
	List	   *publications = NIL;
	Relation	sent_as = rel;
	MemoryContext oldcxt;

	selection->relid = RelationGetRelid(rel);
	selection->persistence = rel->rd_rel->relpersistence;
	selection->access_method = rel->rd_rel->relam;
	if (rel->rd_rel->relispartition)
	{
		oldcxt = MemoryContextSwitchTo(cxt);
		selection->ancestors = get_partition_ancestors(selection->relid);
		MemoryContextSwitchTo(oldcxt);
	}
	/* Tables of information_schema and such are in no publication. */
	if (by_publications && selection->relid >= FirstNormalObjectId)
		publications = find_publications(filter, rel, selection);
	else if (!by_publications && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		selection->ops = ALL_OPS;

	if (selection->relid != RelationGetRelid(rel))
	{
		/* A part of it cannot be truncated in its name. */
		selection->ops &= ~OP_BIT(TRUNCATE);
		sent_as = RelationIdGetRelation(selection->relid);
		if (!RelationIsValid(sent_as))
			elog(ERROR, "could not open relation with OID %u", selection->relid);
		map_columns(RelationGetDescr(rel), RelationGetDescr(sent_as), selection, cxt);
	}
	if (!is_wanted(filter->options, rel, sent_as))
		selection->ops = 0;
	if (selection->ops != 0 && by_publications)
	{
		find_columns(filter, publications, sent_as, selection, cxt);
		find_row_filters(publications, sent_as, selection, cxt);
	}
	if (sent_as != rel)
		RelationClose(sent_as);
	selection->older = cdc_older_find(filter->options->versions, selection->relid);
	return selection;
}

/*
 * The older version that is asked for of a relation, if its rows can be sent in it;
 * NULL where they cannot, or have that version. *version is what they have.
 */
static const Cdc__V1__Table *
find_older(CdcOlder *older, Relation rel, uint32 *version, char **hindrance)
{
	MemoryContext result_cxt = CurrentMemoryContext;
	MemoryContext scratch;
	Bitmapset  *defaults;
	bytea	   *now;
	char	   *reason;

	if (older == NULL || *version == older->major)
		return NULL;
	scratch = AllocSetContextCreate(result_cxt, "cdc older", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	now = cdc_registry_describe(rel, &defaults);
	reason = cdc_older_hindrance(older->table, cdc_table_unpack(VARDATA(now), VARSIZE(now) - VARHDRSZ));
	MemoryContextSwitchTo(result_cxt);
	if (reason != NULL)
		*hindrance = pstrdup(reason);
	else
		*version = older->major;
	MemoryContextDelete(scratch);
	if (reason != NULL && !older->warned)
		ereport(WARNING,
				(errmsg("rows of table \"%s\" cannot be sent in version %u: %s",
						RelationGetRelationName(rel), older->major, *hindrance),
				 errdetail("They are sent as they are, and their schema says so.")));
	older->warned |= reason != NULL;
	return reason == NULL ? older->table : NULL;
}

CdcTable *
cdc_selection_table(const CdcSelection *selection, CdcAccess *access, Relation rel, MemoryContext cxt)
{
	CdcTableView view = {rel, selection->map, selection->columns};
	MemoryContext oldcxt;
	CdcTable   *table = NULL;
	uint32		version;
	char	   *unmapped = NULL;

	if (selection->relid != RelationGetRelid(rel))
		view.as = RelationIdGetRelation(selection->relid);
	if (!RelationIsValid(view.as))
		elog(ERROR, "could not open relation with OID %u", selection->relid);
	oldcxt = MemoryContextSwitchTo(cxt);
	if (cdc_access_resolve(access, rel, &view.redactions))
	{
		version = cdc_access_version(access, view.as);
		view.older = find_older(selection->older, view.as, &version, &unmapped);
		table = cdc_table_resolve(rel, &view);
		table->version = version;
		table->unmapped = unmapped;
	}
	MemoryContextSwitchTo(oldcxt);
	if (view.as != rel)
		RelationClose(view.as);
	return table;
}
