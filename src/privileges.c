/*
 * privileges.c
 *	  Decides what the user of a session may be sent.
 *
 * Roles and grants are read where no historic snapshot is in force. The
 * privileges of a relation are read when it is resolved, by a snapshot of now
 * beside the historic one: core's functions for privileges would answer as of
 * the change, when a role may have had what was revoked since.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "exttable.h"
#include "privileges.h"
#include "settings.h"
#include "typcodec.h"

#define TABLE "read_grant"

/* Its columns, as in the install script. */
enum
{
	GRANT_ID = 1,
	GRANT_ROLE,
	GRANT_RELATION,
	GRANT_COLUMN,
	GRANT_PREFIX
};

/* What was given to one of the user's roles. */
typedef struct Grant
{
	Oid			relid;			/* or InvalidOid */
	const char *column;			/* NULL: all */
	const char *prefix;			/* of messages; or NULL */
} Grant;

struct CdcPrivileges
{
	MemoryContext cxt;			/* of what follows */
	Oid			user;
	const char *name;
	bool		superuser;
	bool		checked;		/* cdc.check_privileges was on */
	bool		everything;		/* may be sent */
	bool		bypasses_rls;
	List	   *roles;			/* OIDs: those whose privileges it has */
	List	   *grants;
	Oid			table;			/* where grants are stored */
};

CdcPrivileges *
cdc_privileges_create(MemoryContext cxt)
{
	CdcPrivileges *p = MemoryContextAllocZero(cxt, sizeof(CdcPrivileges));

	p->cxt = AllocSetContextCreate(cxt, "cdc privileges", ALLOCSET_SMALL_SIZES);
	p->user = GetUserId();
	return p;
}

bool
cdc_privileges_outdated(const CdcPrivileges *p)
{
	return p->checked != cdc_check_privileges;
}

bool
cdc_privileges_stored_in(const CdcPrivileges *p, Oid relid)
{
	return relid == p->table;
}

bool
cdc_privileges_superuser(const CdcPrivileges *p)
{
	return p->superuser;
}

const char *
cdc_privileges_user(const CdcPrivileges *p)
{
	return p->name;
}

/* --- roles and grants ----------------------------------------------------- */

static void
read_roles(CdcPrivileges *p)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Oid			role = ((Form_pg_authid) GETSTRUCT(tup))->oid;

		if (has_privs_of_role(p->user, role))
			p->roles = lappend_oid(p->roles, role);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_grants(CdcPrivileges *p)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tup;

	p->table = rel == NULL ? InvalidOid : RelationGetRelid(rel);
	if (rel == NULL)
		return;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Grant	   *grant;

		if (!list_member_oid(p->roles, cdc_exttable_oid(rel, tup, GRANT_ROLE)))
			continue;
		grant = palloc(sizeof(Grant));
		grant->relid = cdc_exttable_oid(rel, tup, GRANT_RELATION);
		grant->column = cdc_exttable_name(rel, tup, GRANT_COLUMN);
		grant->prefix = cdc_exttable_text(rel, tup, GRANT_PREFIX);
		p->grants = lappend(p->grants, grant);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

void
cdc_privileges_read(CdcPrivileges *p)
{
	MemoryContext oldcxt;
	char	   *name;

	MemoryContextReset(p->cxt);
	oldcxt = MemoryContextSwitchTo(p->cxt);
	p->roles = p->grants = NIL;
	name = GetUserNameFromId(p->user, true);
	p->name = name == NULL ? "" : cdc_utf8(name);
	p->superuser = superuser_arg(p->user);
	p->checked = cdc_check_privileges;
	/* without the check it is as with other plugins: REPLICATION is what lets read */
	p->everything = p->superuser || (!p->checked && has_rolreplication(p->user));
	p->bypasses_rls = has_bypassrls_privilege(p->user);
	if (!p->everything)
	{
		read_roles(p);
		read_grants(p);
	}
	MemoryContextSwitchTo(oldcxt);
}

/* --- the privileges of a relation, as of now ------------------------------ */

typedef struct CatalogScan
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
} CatalogScan;

/* The rows of a catalog whose column `attnum` is an OID. */
static void
begin_scan(CatalogScan *scan, Oid catalog, Oid index, AttrNumber attnum, Oid key)
{
	ScanKeyData scankey;

	scan->rel = table_open(catalog, AccessShareLock);
	scan->snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(catalog));
	ScanKeyInit(&scankey, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	scan->scan = systable_beginscan(scan->rel, index, true, scan->snapshot, 1, &scankey);
}

static void
end_scan(CatalogScan *scan)
{
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	table_close(scan->rel, AccessShareLock);
}

/* Whether an access list (NULL: none) lets the user SELECT. */
static bool
lets_select(const CdcPrivileges *p, Relation catalog, HeapTuple tup, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, attnum, RelationGetDescr(catalog), &isnull);
	Acl		   *acl = isnull ? NULL : DatumGetAclP(value);

	for (int i = 0; acl != NULL && i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if ((ACLITEM_GET_PRIVS(*item) & ACL_SELECT) != 0 &&
			(item->ai_grantee == ACL_ID_PUBLIC || list_member_oid(p->roles, item->ai_grantee)))
			return true;
	}
	return false;
}

/* What the user may do with a relation. */
typedef struct Access
{
	bool		exists;
	bool		is_partition;
	bool		rows;			/* no row security policy stands in the way */
	bool		select;			/* all columns */
} Access;

static Access
read_class(const CdcPrivileges *p, Oid relid)
{
	Access		access = {false};
	CatalogScan		scan;
	HeapTuple	tup;

	begin_scan(&scan, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid);
	if (HeapTupleIsValid(tup = systable_getnext(scan.scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tup);
		bool		owner = list_member_oid(p->roles, form->relowner);
		bool		default_acl = heap_attisnull(tup, Anum_pg_class_relacl, RelationGetDescr(scan.rel));

		access.exists = true;
		access.is_partition = form->relispartition;
		access.rows = !form->relrowsecurity || p->bypasses_rls ||
			(owner && !form->relforcerowsecurity);
		access.select = access.rows &&
			((owner && default_acl) || list_member_oid(p->roles, ROLE_PG_READ_ALL_DATA) ||
			 lets_select(p, scan.rel, tup, Anum_pg_class_relacl));
	}
	end_scan(&scan);
	return access;
}

/* Whether cdc.grant_read() gave a column of a relation; NULL: all of them. */
static bool
is_given(const CdcPrivileges *p, Oid relid, const char *column)
{
	ListCell   *lc;

	foreach(lc, p->grants)
	{
		const Grant *grant = lfirst(lc);

		if (grant->relid == relid && grant->prefix == NULL &&
			(grant->column == NULL || (column != NULL && strcmp(grant->column, column) == 0)))
			return true;
	}
	return false;
}

/* The columns of a relation that the user may be sent, by attnum - 1; others are
 * NULL. */
static List *
read_columns(const CdcPrivileges *p, Oid relid, bool rows, bool all)
{
	List	   *names = NIL;
	CatalogScan		scan;
	HeapTuple	tup;

	begin_scan(&scan, AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid, relid);
	while (HeapTupleIsValid(tup = systable_getnext(scan.scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tup);
		char	   *name = NameStr(form->attname);

		if (form->attnum < 1)
			continue;
		if (form->attisdropped ||
			!(all || is_given(p, relid, name) ||
			  (rows && lets_select(p, scan.rel, tup, Anum_pg_attribute_attacl))))
			name = NULL;
		names = lappend(names, name == NULL ? NULL : pstrdup(name));
	}
	end_scan(&scan);
	return names;
}

static Oid
read_parent(Oid relid)
{
	Oid			parent = InvalidOid;
	CatalogScan		scan;
	HeapTuple	tup;

	begin_scan(&scan, InheritsRelationId, InheritsRelidSeqnoIndexId, Anum_pg_inherits_inhrelid, relid);
	if (HeapTupleIsValid(tup = systable_getnext(scan.scan)) &&
		!((Form_pg_inherits) GETSTRUCT(tup))->inhdetachpending)
		parent = ((Form_pg_inherits) GETSTRUCT(tup))->inhparent;
	end_scan(&scan);
	return parent;
}

static Bitmapset *
add_by_name(Bitmapset *columns, const List *names, const List *allowed)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, names)
		foreach(lc2, allowed)
			if (lfirst(lc) != NULL && lfirst(lc2) != NULL &&
				strcmp(lfirst(lc), lfirst(lc2)) == 0)
				columns = bms_add_member(columns, foreach_current_index(lc) + 1);
	return columns;
}

/* What a partition's ancestors let the user see is seen of the partition, too. */
bool
cdc_privileges_all(CdcPrivileges *p, Oid relid, Bitmapset **columns)
{
	List	   *names = NIL;

	*columns = NULL;
	if (p->everything)
		return true;
	for (Oid level = relid; OidIsValid(level);)
	{
		Access		access = read_class(p, level);

		if (!access.exists)
			break;
		if (access.select || is_given(p, level, NULL))
			return true;
		if (level == relid)
			names = read_columns(p, relid, false, true);
		*columns = add_by_name(*columns, names, read_columns(p, level, access.rows, false));
		level = access.is_partition ? read_parent(level) : InvalidOid;
	}
	return false;
}

bool
cdc_privileges_message(const CdcPrivileges *p, const char *prefix)
{
	ListCell   *lc;

	if (p->everything)
		return true;
	foreach(lc, p->grants)
	{
		const Grant *grant = lfirst(lc);

		if (grant->prefix != NULL && strcmp(grant->prefix, prefix) == 0)
			return true;
	}
	return false;
}
