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
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "access/grants.h"
#include "access/privileges.h"
#include "compat.h"
#include "util/settings.h"
#include "util/utf8.h"
#include "values/typcodec.h"

struct CdcPrivileges
{
	MemoryContext cxt;			/* of what follows */
	Oid			user;
	const char *name;
	bool		checked;		/* cdc.check_privileges was on */
	bool		everything;		/* may be sent */
	CdcRole    *role;			/* NULL before it is read */
	CdcGrants	grants;
	CdcUnsettled unsettled;
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
	return p->checked != cdc_check_privileges || cdc_unsettled_ended(&p->unsettled);
}

bool
cdc_privileges_stored_in(const CdcPrivileges *p, Oid relid)
{
	for (int i = 0; i < lengthof(p->grants.tables); i++)
		if (relid == p->grants.tables[i])
			return true;
	return false;
}

bool
cdc_privileges_superuser(const CdcPrivileges *p)
{
	return p->role != NULL && p->role->superuser;
}

const char *
cdc_privileges_user(const CdcPrivileges *p)
{
	return p->name;
}

void
cdc_privileges_read(CdcPrivileges *p)
{
	MemoryContext oldcxt;
	char	   *name;

	p->role = NULL;
	p->everything = false;
	memset(&p->grants, 0, sizeof(CdcGrants));
	memset(&p->unsettled, 0, sizeof(CdcUnsettled));
	MemoryContextReset(p->cxt);
	oldcxt = MemoryContextSwitchTo(p->cxt);
	name = GetUserNameFromId(p->user, true);
	p->name = name == NULL ? "" : cdc_utf8(name);
	p->checked = cdc_check_privileges;
	p->role = cdc_role_read(p->user, &p->unsettled);
	/* without the check it is as with other plugins: REPLICATION is what lets read */
	p->everything = p->role->superuser || (!p->checked && p->role->replication);
	if (!p->everything)
		cdc_grants_read(&p->grants, p->role->has, &p->unsettled);
	MemoryContextSwitchTo(oldcxt);
}

/* --- access lists ------------------------------------------------------------- */

/* Whether an access list (NULL: none) lets a role do this; to everyone no grant option
 * is given. */
static bool
lets(const CdcRole *role, Relation catalog, HeapTuple tup, AttrNumber attnum, AclMode mode)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, attnum, RelationGetDescr(catalog), &isnull);
	Acl		   *acl = isnull ? NULL : DatumGetAclP(value);

	for (int i = 0; acl != NULL && i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if ((item->ai_privs & mode) != 0 &&
			(item->ai_grantee == ACL_ID_PUBLIC || cdc_role_has(role, item->ai_grantee)))
			return true;
	}
	return false;
}

/* The grants, by their index, on a relation whose givers may still give them: its owner,
 * or whom an access list lets pass on SELECT. */
static Bitmapset *
find_givers(const CdcPrivileges *p, Oid relid, AttrNumber attnum, Oid owner,
			Relation catalog, HeapTuple tup, AttrNumber acl)
{
	Bitmapset  *givers = NULL;
	ListCell   *lc;

	foreach(lc, p->grants.all)
	{
		const CdcGrant *grant = lfirst(lc);

		if (grant->relid == relid && grant->giver != NULL &&
			(attnum == 0 || grant->attnum == attnum) &&
			(cdc_role_has(grant->giver, owner) ||
			 (acl != 0 && lets(grant->giver, catalog, tup, acl, ACL_GRANT_OPTION_FOR(ACL_SELECT)))))
			givers = bms_add_member(givers, foreach_current_index(lc));
	}
	return givers;
}

/* --- the privileges of a relation, as of now ------------------------------------ */

/* What the user may do with a relation. */
typedef struct Access
{
	const CdcPrivileges *p;
	Oid			relid;
	bool		exists;
	bool		seen;			/* there is one that counts */
	bool		is_partition;
	bool		secured;		/* by row security */
	bool		rows;			/* which does not stand in the user's way */
	bool		select;			/* all columns */
	Bitmapset  *givers;			/* grants of those who may give all of it */
} Access;

static void
judge_class(Access *access, Relation catalog, HeapTuple tup)
{
	const CdcRole *role = access->p->role;
	Form_pg_class form = (Form_pg_class) GETSTRUCT(tup);
	bool		owner = cdc_role_has(role, form->relowner);
	bool		default_acl = heap_attisnull(tup, Anum_pg_class_relacl, RelationGetDescr(catalog));

	access->is_partition = form->relispartition;
	access->secured = form->relrowsecurity;
	access->rows = !form->relrowsecurity || role->bypasses_rls ||
		(owner && !form->relforcerowsecurity);
	access->select = access->rows &&
		((owner && default_acl) || cdc_role_has(role, ROLE_PG_READ_ALL_DATA) ||
		 lets(role, catalog, tup, Anum_pg_class_relacl, ACL_SELECT));
	/* row security could hide rows from who is not the owner */
	access->givers = find_givers(access->p, access->relid, 0, form->relowner, catalog, tup,
								 form->relrowsecurity ? 0 : Anum_pg_class_relacl);
}

static bool
read_class_version(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	Access	   *access = arg;
	Access		other = {access->p, access->relid};
	bool		differs;

	access->exists = true;
	if (version == CDC_VERSION_SEEN)
	{
		access->seen = true;
		judge_class(access, catalog, tup);
		return false;
	}
	judge_class(&other, catalog, tup);
	differs = !access->seen || other.is_partition != access->is_partition ||
		other.secured != access->secured || other.rows != access->rows ||
		other.select != access->select || !bms_equal(other.givers, access->givers);
	access->is_partition &= other.is_partition;
	access->secured |= other.secured;
	access->rows &= other.rows;
	access->select &= other.select;
	access->givers = bms_int_members(access->givers, other.givers);
	return differs || version == CDC_VERSION_GOING;
}

static Access
read_class(CdcPrivileges *p, Oid relid)
{
	Access		access = {p, relid};

	cdc_versions_read(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid,
					  read_class_version, &access, &p->unsettled);
	return access;
}

/* A column as of now. */
typedef struct Column
{
	const char *name;			/* NULL: there is none */
	bool		select;			/* by itself */
	Bitmapset  *givers;			/* as of a relation */
} Column;

typedef struct Columns
{
	const CdcPrivileges *p;
	Oid			relid;
	int			n;
	Column		columns[MaxHeapAttributeNumber];	/* by attnum - 1 */
} Columns;

static bool
read_column_version(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	Columns    *columns = arg;
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tup);
	Column	   *column;
	Column		now = {0};
	bool		differs;

	if (form->attnum < 1)
		return false;
	column = &columns->columns[form->attnum - 1];
	if (!form->attisdropped)
		now.name = NameStr(form->attname);
	now.select = now.name != NULL &&
		lets(columns->p->role, catalog, tup, Anum_pg_attribute_attacl, ACL_SELECT);
	now.givers = now.name == NULL ? NULL :
		find_givers(columns->p, columns->relid, form->attnum, InvalidOid, catalog, tup,
					Anum_pg_attribute_attacl);
	if (version == CDC_VERSION_SEEN)
	{
		*column = now;
		column->name = now.name == NULL ? NULL : pstrdup(now.name);
		columns->n = Max(columns->n, form->attnum);
		return false;
	}
	differs = now.select != column->select || !bms_equal(now.givers, column->givers);
	column->select &= now.select;
	column->givers = bms_int_members(column->givers, now.givers);
	return differs;
}

static Columns *
read_columns(CdcPrivileges *p, Oid relid)
{
	Columns    *columns = palloc0(sizeof(Columns));

	columns->p = p;
	columns->relid = relid;
	cdc_versions_read(AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid,
					  relid, read_column_version, columns, &p->unsettled);
	return columns;
}

/* --- partitions ------------------------------------------------------------------- */

typedef struct Parent
{
	Oid			oid;
	bool		going;
} Parent;

static bool
read_parent_version(Relation catalog, HeapTuple tup, CdcVersion version, void *arg)
{
	Parent	   *parent = arg;
	Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(tup);

	if (version == CDC_VERSION_SEEN)
		parent->oid = form->inhparent;
	if (version == CDC_VERSION_GOING || form->inhdetachpending)
		parent->going = true;
	return version == CDC_VERSION_GOING || version == CDC_VERSION_COMING;
}

static Oid
read_parent(CdcPrivileges *p, Oid relid)
{
	Parent		parent = {InvalidOid, false};

	cdc_versions_read(InheritsRelationId, InheritsRelidSeqnoIndexId, Anum_pg_inherits_inhrelid,
					  relid, read_parent_version, &parent, &p->unsettled);
	return parent.going ? InvalidOid : parent.oid;
}

/* --- what was given ---------------------------------------------------------------- */

/* Whether the giver of a grant may still give it. */
static bool
stands(const CdcPrivileges *p, int index, const Access *access, const Columns *columns)
{
	const CdcGrant *grant = list_nth(p->grants.all, index);

	if (grant->giver == NULL)
		return true;
	return bms_is_member(index, access->givers) ||
		(!access->secured && columns != NULL && grant->attnum > 0 && grant->attnum <= columns->n &&
		 bms_is_member(index, columns->columns[grant->attnum - 1].givers));
}

/* Whether all of a relation was given, by `since`; or else which columns, by number. One
 * that was dropped leaves its grants, which are not those of another one that has got its
 * number. */
static bool
read_given(const CdcPrivileges *p, const Access *access, const Columns *columns,
		   XLogRecPtr since, Bitmapset **given)
{
	ListCell   *lc;

	foreach(lc, p->grants.all)
	{
		const CdcGrant *grant = lfirst(lc);

		if (grant->relid != access->relid || (grant->dropped && access->exists) ||
			grant->given_at > since ||
			!stands(p, foreach_current_index(lc), access, columns))
			continue;
		if (grant->attnum == 0)
			return true;
		*given = bms_add_member(*given, grant->attnum);
	}
	return false;
}

/* Whether something was given of a relation. */
static bool
concerns(const CdcPrivileges *p, Oid relid)
{
	ListCell   *lc;

	foreach(lc, p->grants.all)
		if (((CdcGrant *) lfirst(lc))->relid == relid)
			return true;
	return false;
}

/* --- together ------------------------------------------------------------------------ */

/* A relation that is looked at: `columns` of it, by number, are allowed. */
static bool
read_level(CdcPrivileges *p, const Access *access, Columns *columns, Bitmapset **allowed)
{
	if (access->select || read_given(p, access, columns, PG_UINT64_MAX, allowed))
		return true;
	for (int i = 0; i < columns->n; i++)
		if (access->rows && columns->columns[i].select)
			*allowed = bms_add_member(*allowed, i + 1);
	return false;
}

static Bitmapset *
add_by_name(Bitmapset *columns, const Columns *own, const Columns *others, const Bitmapset *allowed)
{
	int			attnum = -1;

	if (own == others)
		return bms_add_members(columns, allowed);
	while ((attnum = bms_next_member(allowed, attnum)) > 0)
	{
		const char *name = attnum > others->n ? NULL : others->columns[attnum - 1].name;

		for (int i = 0; name != NULL && i < own->n; i++)
			if (own->columns[i].name != NULL && strcmp(own->columns[i].name, name) == 0)
				columns = bms_add_member(columns, i + 1);
	}
	return columns;
}

/* What a partition's ancestors let the user see is seen of the partition, too. *seen are
 * those that were looked at. */
static bool
read_now(CdcPrivileges *p, Oid relid, Bitmapset **columns, List **seen)
{
	Columns    *own = NULL;

	for (Oid level = relid; OidIsValid(level) && !list_member_oid(*seen, level);)
	{
		Access		access = read_class(p, level);
		Columns    *now;
		Bitmapset  *allowed = NULL;

		if (!access.seen)
			break;
		*seen = lappend_oid(*seen, level);
		now = read_columns(p, level);
		own = own == NULL ? now : own;
		if (read_level(p, &access, now, &allowed))
			return true;
		*columns = add_by_name(*columns, own, now, allowed);
		level = access.is_partition ? read_parent(p, level) : InvalidOid;
	}
	return false;
}

/* The columns of a relation by their names in another one, both as of the change. */
static Bitmapset *
add_as_of_change(Bitmapset *columns, Relation rel, Oid ancestor, const Bitmapset *given)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			attnum = -1;

	if (ancestor == RelationGetRelid(rel))
		return bms_add_members(columns, given);
	while ((attnum = bms_next_member(given, attnum)) > 0)
	{
		char	   *name = get_attname(ancestor, attnum, true);

		for (int i = 0; name != NULL && i < desc->natts; i++)
			if (!TupleDescAttr(desc, i)->attisdropped &&
				strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
				columns = bms_add_member(columns, i + 1);
	}
	return columns;
}

/*
 * What was given of a relation that is dropped by now, or of what it was a partition of
 * when it was changed: nobody loses what waits by DROP or DETACH. Of a former ancestor
 * that is what had been given by then.
 */
static bool
read_then(CdcPrivileges *p, Relation rel, Oid level, XLogRecPtr lsn, Bitmapset **columns)
{
	XLogRecPtr	since = level == RelationGetRelid(rel) ? PG_UINT64_MAX : lsn;
	Bitmapset  *given = NULL;
	Access		access;

	if (!concerns(p, level))
		return false;
	access = read_class(p, level);
	if (access.exists && !access.seen)
		return false;
	if (read_given(p, &access, access.exists ? read_columns(p, level) : NULL, since, &given))
		return true;
	*columns = add_as_of_change(*columns, rel, level, given);
	return false;
}

static bool
read_all(CdcPrivileges *p, Relation rel, XLogRecPtr lsn, Bitmapset **columns)
{
	List	   *seen = NIL;
	ListCell   *lc;

	if (read_now(p, RelationGetRelid(rel), columns, &seen))
		return true;
	if (!list_member_oid(seen, RelationGetRelid(rel)) &&
		read_then(p, rel, RelationGetRelid(rel), lsn, columns))
		return true;
	if (!rel->rd_rel->relispartition)
		return false;
	foreach(lc, get_partition_ancestors(RelationGetRelid(rel)))
		if (!list_member_oid(seen, lfirst_oid(lc)) && read_then(p, rel, lfirst_oid(lc), lsn, columns))
			return true;
	return false;
}

bool
cdc_privileges_all(CdcPrivileges *p, Relation rel, XLogRecPtr lsn, Bitmapset **columns)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext scratch;
	bool		all;

	*columns = NULL;
	if (p->everything || p->role == NULL)
		return p->everything;
	scratch = AllocSetContextCreate(cxt, "cdc privileges of a relation", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	all = read_all(p, rel, lsn, columns);
	MemoryContextSwitchTo(cxt);
	*columns = all ? NULL : bms_copy(*columns);
	MemoryContextDelete(scratch);
	return all;
}

bool
cdc_privileges_message(const CdcPrivileges *p, const char *prefix)
{
	ListCell   *lc;

	if (p->everything)
		return true;
	foreach(lc, p->grants.all)
	{
		const CdcGrant *grant = lfirst(lc);

		if (grant->prefix != NULL && strcmp(grant->prefix, prefix) == 0)
			return true;
	}
	return false;
}
