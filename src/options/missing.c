/*
 * missing.c
 *	  Says which tables and versions, of those that options name, are not there.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "options/missing.h"
#include "util/pattern.h"

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
cdc_missing_in_tables(List *tables)
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
cdc_missing_warn_tables(const CdcOptions *options)
{
	static uint32 told = 0;

	warn_once(&told, cdc_missing_in_tables(options->tables),
			  "the option \"tables\" names tables of which nothing is sent");
}

void
cdc_missing_warn_versions(const char *versions)
{
	static uint32 told = 0;

	warn_once(&told, versions, "the option \"versions\" names versions of tables that are gone");
}
