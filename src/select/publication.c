/*
 * publication.c
 *	  Looks up what publications say of a relation.
 *
 * They are looked up by name every time, under the historic snapshot: there is nothing to
 * be kept up to date.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "select/publication.h"

/* A publication that was asked for. */
typedef struct Wanted
{
	const char *name;
	bool		reported;		/* that it is missing */
} Wanted;

struct CdcPublications
{
	MemoryContext cxt;
	List	   *wanted;			/* of Wanted */
	List	   *reported;		/* OIDs of relations whose column lists differ */
};

CdcPublications *
cdc_publications_create(const List *names, MemoryContext cxt)
{
	MemoryContext oldcxt;
	CdcPublications *asked;
	ListCell   *lc;

	if (names == NIL)
		return NULL;
	oldcxt = MemoryContextSwitchTo(cxt);
	asked = palloc0(sizeof(CdcPublications));
	asked->cxt = cxt;
	foreach(lc, names)
	{
		Wanted	   *wanted = palloc0(sizeof(Wanted));

		wanted->name = lfirst(lc);
		asked->wanted = lappend(asked->wanted, wanted);
	}
	MemoryContextSwitchTo(oldcxt);
	return asked;
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
	return (actions->pubinsert ? CDC_OP_BIT(INSERT) | CDC_OP_BIT(REWRITE) : 0) |
		(actions->pubupdate ? CDC_OP_BIT(UPDATE) : 0) |
		(actions->pubdelete ? CDC_OP_BIT(DELETE) : 0) |
		(actions->pubtruncate ? CDC_OP_BIT(TRUNCATE) : 0);
}

List *
cdc_publications_find(CdcPublications *asked, Relation rel, CdcSelection *selection)
{
	Oid			relid = RelationGetRelid(rel);
	bool		partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	List	   *own = list_concat(GetRelationIncludedPublications(relid),
								  GetSchemaPublications(RelationGetNamespace(rel)));
	List	   *found = NIL;
	int			highest = 0;
	ListCell   *lc;

	foreach(lc, asked->wanted)
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

static Bitmapset *
all_columns(Relation rel)
{
	Bitmapset  *all = NULL;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			all = bms_add_member(all, i + 1);
	return all;
}

/* Once for each relation. */
static void
warn_of_different_lists(CdcPublications *asked, Relation rel)
{
	MemoryContext oldcxt;

	if (list_member_oid(asked->reported, RelationGetRelid(rel)))
		return;
	oldcxt = MemoryContextSwitchTo(asked->cxt);
	asked->reported = lappend_oid(asked->reported, RelationGetRelid(rel));
	MemoryContextSwitchTo(oldcxt);
	ereport(WARNING,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("publications have different column lists for table \"%s\"",
					RelationGetRelationName(rel)),
			 errdetail("Only the columns that are in all of them are sent.")));
}

/* Where publications disagree, core's own plugin gives up; here only what all of them
 * send is sent. */
static void
find_columns(CdcPublications *asked, List *publications, Relation rel,
			 CdcSelection *selection, MemoryContext cxt)
{
	Bitmapset  *all = all_columns(rel);
	Bitmapset  *columns;
	bool		differ = false;
	ListCell   *lc;
	MemoryContext oldcxt;

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
	if (differ)
		warn_of_different_lists(asked, rel);
}

static const struct
{
	Cdc__V1__Op op;
	uint32		bit;
}			filtered_ops[] =
{
	{CDC__V1__OP__OP_INSERT, CDC_OP_BIT(INSERT)},
	{CDC__V1__OP__OP_UPDATE, CDC_OP_BIT(UPDATE)},
	{CDC__V1__OP__OP_DELETE, CDC_OP_BIT(DELETE)},
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

void
cdc_publications_narrow(CdcPublications *asked, List *publications, Relation rel,
						CdcSelection *selection, MemoryContext cxt)
{
	find_columns(asked, publications, rel, selection, cxt);
	find_row_filters(publications, rel, selection, cxt);
}
