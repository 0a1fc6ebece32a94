/*
 * grants.c
 *	  Reads what cdc.grant_read() gave.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "access/grants.h"
#include "catalog/exttable.h"
#include "compat.h"

/* A row, and whether it counts. */
typedef struct Row
{
	CdcGrant	grant;
	Oid			role;
	Oid			giver;
	bool		named;			/* the giver, which may be gone */
	CdcRowState state;
	TransactionId xid;			/* that adds or removes it */
} Row;

typedef struct Reading
{
	const List *roles;
	List	   *rows;
	List	   *givers;			/* CdcRoles */
	CdcUnsettled *unsettled;
} Reading;

/* --- rows ------------------------------------------------------------------------ */

/* What the names of a row stand for now; of what is not there, nothing. */
static void
resolve_names(Row *row, Relation rel, HeapTuple tup)
{
	const char *schema = cdc_exttable_name(rel, tup, Anum_cdc_read_grant_schema_name);
	const char *table = cdc_exttable_name(rel, tup, Anum_cdc_read_grant_table_name);
	const char *column = cdc_exttable_name(rel, tup, Anum_cdc_read_grant_column_name);
	const char *giver = cdc_exttable_name(rel, tup, Anum_cdc_read_grant_giver_name);
	Oid			namespace = schema == NULL ? InvalidOid : get_namespace_oid(schema, true);

	row->role = get_role_oid(cdc_exttable_name(rel, tup, Anum_cdc_read_grant_role_name), true);
	if (OidIsValid(namespace) && table != NULL)
		row->grant.relid = get_relname_relid(table, namespace);
	if (column != NULL && OidIsValid(row->grant.relid))
	{
		row->grant.attnum = get_attnum(row->grant.relid, column);
		if (row->grant.attnum <= 0)
			row->grant.relid = InvalidOid;
	}
	row->named = giver != NULL;
	if (giver != NULL)
		row->giver = get_role_oid(giver, true);
}

static void
read_row(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	Reading    *reading = arg;
	Row			row = {.state = state};

	row.role = cdc_exttable_oid(rel, tup, Anum_cdc_read_grant_role);
	row.grant.prefix = cdc_exttable_text(rel, tup, Anum_cdc_read_grant_prefix);
	if (OidIsValid(row.role))
	{
		row.grant.relid = cdc_exttable_oid(rel, tup, Anum_cdc_read_grant_relation);
		row.grant.attnum = cdc_exttable_int(rel, tup, Anum_cdc_read_grant_attnum, 0);
		row.giver = cdc_exttable_oid(rel, tup, Anum_cdc_read_grant_giver);
		row.named = OidIsValid(row.giver);
		row.grant.given_at = cdc_exttable_int64(rel, tup, Anum_cdc_read_grant_given_at, 0);
	}
	else
		resolve_names(&row, rel, tup);
	if (!list_member_oid(reading->roles, row.role) ||
		OidIsValid(row.grant.relid) == (row.grant.prefix != NULL))
		return;
	row.grant.id = cdc_exttable_int64(rel, tup, Anum_cdc_read_grant_id, 0);
	cdc_unsettled_add(reading->unsettled, tup, state.being_added, state.being_removed);
	row.xid = state.being_removed ? HeapTupleHeaderGetUpdateXid(tup->t_data) :
		HeapTupleHeaderGetXmin(tup->t_data);
	reading->rows = lappend(reading->rows, memcpy(palloc(sizeof(Row)), &row, sizeof(Row)));
}

/* One that only gets its numbers is there before and after. */
static bool
is_replaced(const List *rows, const Row *row)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		const Row  *other = lfirst(lc);

		if (other->grant.id == row->grant.id && other->state.being_added &&
			TransactionIdEquals(other->xid, row->xid) && other->role == row->role &&
			other->giver == row->giver && other->grant.relid == row->grant.relid &&
			other->grant.attnum == row->grant.attnum)
			return true;
	}
	return false;
}

static bool
counts(const Reading *reading, const Row *row)
{
	if (row->named && !OidIsValid(row->giver))
		return false;
	if (row->state.being_added)
		return false;
	return !row->state.being_removed || is_replaced(reading->rows, row);
}

/* --- relations that were dropped -------------------------------------------------- */

static void
read_dropped(Relation rel, HeapTuple tup, CdcRowState state, void *arg)
{
	Reading    *reading = arg;
	int64		id = cdc_exttable_int64(rel, tup, Anum_cdc_read_grant_dropped_id, 0);
	ListCell   *lc;

	foreach(lc, reading->rows)
	{
		Row		   *row = lfirst(lc);

		if (row->grant.id != id)
			continue;
		cdc_unsettled_add(reading->unsettled, tup, state.being_added, state.being_removed);
		row->grant.dropped = !state.being_added && !state.being_removed;
	}
}

/* --- who gave --------------------------------------------------------------------- */

static const CdcRole *
find_giver(Reading *reading, Oid oid)
{
	ListCell   *lc;
	CdcRole    *giver;

	foreach(lc, reading->givers)
		if (((CdcRole *) lfirst(lc))->oid == oid)
			return lfirst(lc);
	giver = cdc_role_read(oid, reading->unsettled);
	reading->givers = lappend(reading->givers, giver);
	return giver;
}

void
cdc_grants_read(CdcGrants *grants, const List *roles, CdcUnsettled *unsettled)
{
	Reading		reading = {.roles = roles, .unsettled = unsettled};
	ListCell   *lc;

	grants->all = NIL;
	grants->tables[0] = cdc_exttable_read("read_grant", read_row, &reading);
	grants->tables[1] = cdc_exttable_read("read_grant_dropped", read_dropped, &reading);
	foreach(lc, reading.rows)
	{
		Row		   *row = lfirst(lc);

		if (!counts(&reading, row))
			continue;
		if (OidIsValid(row->giver))
			row->grant.giver = find_giver(&reading, row->giver);
		grants->all = lappend(grants->all, &row->grant);
	}
}
