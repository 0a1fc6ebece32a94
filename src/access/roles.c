/*
 * roles.c
 *	  Finds the roles whose privileges a role has.
 *
 * Core knows of which roles one is a member, from what is committed and seen; of that is
 * taken what is being revoked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "access/roles.h"
#include "compat.h"

bool
cdc_role_has(const CdcRole *role, Oid other)
{
	return role->superuser || list_member_oid(role->has, other);
}

/* --- attributes --------------------------------------------------------------- */

/* What every version of its row says. */
static bool
read_attributes(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	CdcRole    *role = arg;
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tup);

	if (version == CDC_VERSION_SEEN)
	{
		role->superuser = form->rolsuper;
		role->replication = form->rolreplication;
		role->bypasses_rls = form->rolbypassrls;
		return false;
	}
	if (role->superuser == form->rolsuper && role->replication == form->rolreplication &&
		role->bypasses_rls == form->rolbypassrls)
		return false;
	role->superuser &= form->rolsuper;
	role->replication &= form->rolreplication;
	role->bypasses_rls &= form->rolbypassrls;
	return true;
}

/* --- memberships -------------------------------------------------------------- */

typedef struct Membership
{
	Oid			member;
	Oid			of;
} Membership;

typedef struct Memberships
{
	List	   *going;			/* that are being revoked, or changed */
	List	   *usable;			/* that let the member have the other's privileges */
} Memberships;

static bool
contains(const List *list, Form_pg_auth_members form)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Membership *m = lfirst(lc);

		if (m->member == form->member && m->of == form->roleid)
			return true;
	}
	return false;
}

static List *
append(List *list, Form_pg_auth_members form)
{
	Membership *m = palloc(sizeof(Membership));

	*m = (Membership) {form->member, form->roleid};
	return lappend(list, m);
}

static bool
find_going(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	Memberships *memberships = arg;

	if (version == CDC_VERSION_GOING)
		memberships->going = append(memberships->going, (Form_pg_auth_members) GETSTRUCT(tup));
	return version == CDC_VERSION_GOING || version == CDC_VERSION_COMING;
}

/* Its attribute, before PostgreSQL 16. */
static bool
inherits(Oid oid)
{
	HeapTuple	tup = SearchSysCache1(AUTHOID, ObjectIdGetDatum(oid));
	bool		result;

	if (!HeapTupleIsValid(tup))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tup))->rolinherit;
	ReleaseSysCache(tup);
	return result;
}

static bool
find_rest(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	Memberships *memberships = arg;
	Form_pg_auth_members form = (Form_pg_auth_members) GETSTRUCT(tup);

	if (version == CDC_VERSION_SEEN && cdc_membership_inherits(form, inherits) &&
		!contains(memberships->going, form))
		memberships->usable = append(memberships->usable, form);
	return false;
}

/* Whoever owns the database has the privileges of the role that is named so. */
static bool
owns_database(const List *roles)
{
	HeapTuple	tup = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool		owns;

	if (!HeapTupleIsValid(tup))
		return false;
	owns = list_member_oid(roles, ((Form_pg_database) GETSTRUCT(tup))->datdba);
	ReleaseSysCache(tup);
	return owns;
}

/* What remains of the roles, without memberships that are going. */
static List *
follow(Oid oid, const List *allowed, const List *memberships)
{
	List	   *reached = list_make1_oid(oid);
	int			before;
	ListCell   *lc;

	do
	{
		before = list_length(reached);
		foreach(lc, memberships)
		{
			const Membership *m = lfirst(lc);

			if (list_member_oid(reached, m->member) && list_member_oid(allowed, m->of))
				reached = list_append_unique_oid(reached, m->of);
		}
		if (list_member_oid(allowed, ROLE_PG_DATABASE_OWNER) && owns_database(reached))
			reached = list_append_unique_oid(reached, ROLE_PG_DATABASE_OWNER);
	} while (list_length(reached) > before);
	return reached;
}

/* As core knows it. */
static List *
read_committed(Oid oid)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *roles = NIL;
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Oid			other = ((Form_pg_authid) GETSTRUCT(tup))->oid;

		if (has_privs_of_role(oid, other))
			roles = lappend_oid(roles, other);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return roles;
}

CdcRole *
cdc_role_read(Oid oid, CdcUnsettled *unsettled)
{
	CdcRole    *role = palloc0(sizeof(CdcRole));
	Memberships memberships = {NIL, NIL};

	role->oid = oid;
	cdc_versions_read(AuthIdRelationId, AuthIdOidIndexId, Anum_pg_authid_oid, oid,
					  read_attributes, role, unsettled);
	if (role->superuser)
		return role;
	cdc_versions_read(AuthMemRelationId, InvalidOid, 0, InvalidOid, find_going, &memberships,
					  unsettled);
	/* of one that was a superuser a moment ago core knows more than memberships */
	role->has = superuser_arg(oid) ? list_make1_oid(oid) : read_committed(oid);
	if (memberships.going != NIL)
	{
		cdc_versions_read(AuthMemRelationId, InvalidOid, 0, InvalidOid, find_rest, &memberships,
						  unsettled);
		role->has = follow(oid, role->has, memberships.usable);
	}
	return role;
}
