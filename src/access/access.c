/*
 * access.c
 *	  What may leave the server in a session, and its versions.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "access/access.h"
#include "compat.h"
#include "redact/rules.h"
#include "registry/registry.h"

/* What is read may change meanwhile; so often at most it is read again at once. */
#define MAX_TRIES 3

struct CdcAccess
{
	CdcRules   *rules;
	CdcPrivileges *privileges;
	CdcRegistry *registry;
	bool		decoding;
	bool		stale;
	XLogRecPtr	position;		/* of what is decoded */
	bool		warned;			/* of a relation that may not be sent */
};

CdcAccess *
cdc_access_create(bool decoding, MemoryContext cxt)
{
	CdcAccess  *access = MemoryContextAllocZero(cxt, sizeof(CdcAccess));

	access->rules = cdc_rules_create(cxt);
	access->privileges = cdc_privileges_create(cxt);
	access->registry = cdc_registry_create(decoding, cxt);
	access->decoding = decoding;
	access->stale = true;
	return access;
}

static bool
is_stored_in(const CdcAccess *access, Oid relid)
{
	return cdc_rules_stored_in(access->rules, relid) ||
		cdc_privileges_stored_in(access->privileges, relid) ||
		cdc_registry_invalidated(access->registry, relid);
}

bool
cdc_access_invalidated(CdcAccess *access, Oid relid)
{
	if (!OidIsValid(relid))
		(void) cdc_registry_invalidated(access->registry, relid);
	else if (!is_stored_in(access, relid))
		return false;
	access->stale = true;
	return true;
}

/* Decoding runs ahead of what is visible: the transaction whose changes come next may
 * have written what counts for them, and nothing else has told of it yet. */
static bool
has_written(CdcAccess *access, const ReorderBufferTXN *txn)
{
	bool		written = false;

	for (uint32 i = 0; i < txn->ninvalidations; i++)
	{
		const SharedInvalidationMessage *msg = &txn->invalidations[i];

		if (msg->id == SHAREDINVALRELCACHE_ID && OidIsValid(msg->rc.relId))
			written |= is_stored_in(access, msg->rc.relId);
	}
	return written;
}

void
cdc_access_begin(CdcAccess *access, XLogRecPtr position, const ReorderBufferTXN *txn)
{
	access->position = position;
	if (cdc_rules_advance(access->rules, position) || has_written(access, txn))
		access->stale = true;
	cdc_access_refresh(access);
}

void
cdc_access_refresh(CdcAccess *access)
{
	Snapshot	historic = NULL;
	HTAB	   *tuplecids = NULL;
	bool		stale;

	if (cdc_privileges_outdated(access->privileges))
		access->stale = true;
	if (!access->stale)
		return;
	if (HistoricSnapshotActive())
	{
		historic = GetCatalogSnapshot(InvalidOid);
		tuplecids = HistoricSnapshotGetTupleCids();
		TeardownHistoricSnapshot(false);
		InvalidateSystemCaches();
	}
	for (int i = 0; access->stale && i < MAX_TRIES; i++)
	{
		access->stale = false;
		cdc_privileges_read(access->privileges);
		cdc_registry_read(access->registry);
		cdc_rules_read(access->rules, cdc_privileges_superuser(access->privileges));
	}
	if (access->decoding)
	{
		/* what was read is not of those caches */
		stale = access->stale;
		InvalidateSystemCaches();
		access->stale = stale;
	}
	if (historic != NULL)
		SetupHistoricSnapshot(historic, tuplecids);
}

static void
warn(CdcAccess *access, Relation rel)
{
	if (access->warned || !access->decoding)
		return;
	access->warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("changes of table \"%s\" are not sent to role \"%s\"",
					RelationGetRelationName(rel), cdc_privileges_user(access->privileges)),
			 errdetail("The role may not SELECT from it, or row security applies to the role. Other tables of which that is true are not reported."),
			 errhint("cdc.grant_read() gives a role what it may be sent.")));
}

bool
cdc_access_resolve(CdcAccess *access, Relation rel,
				   const CdcRedaction *const **redactions)
{
	static const CdcRedaction withheld = {CDC_METHOD_WITHHELD};
	int			natts = RelationGetNumberOfAttributes(rel);
	const CdcRedaction **all;
	Bitmapset  *columns;

	*redactions = NULL;
	if (cdc_privileges_all(access->privileges, rel, access->position, &columns))
	{
		*redactions = cdc_rules_resolve(access->rules, rel);
		return true;
	}
	if (bms_is_empty(columns))
	{
		warn(access, rel);
		return false;
	}
	all = palloc0(sizeof(CdcRedaction *) * natts);
	*redactions = cdc_rules_resolve(access->rules, rel);
	for (int i = 0; i < natts; i++)
	{
		if (!bms_is_member(i + 1, columns))
			all[i] = &withheld;
		else if (*redactions != NULL)
			all[i] = (*redactions)[i];
	}
	*redactions = all;
	return true;
}

bool
cdc_access_then(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			user = GetUserId();

	return !rel->rd_rel->relrowsecurity &&
		(pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK ||
		 pg_attribute_aclcheck_all(relid, user, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK);
}

bool
cdc_access_plain(CdcAccess *access, Relation rel, const AttrNumber *attnums, int n)
{
	const CdcRedaction *const *redactions;

	if (!cdc_access_resolve(access, rel, &redactions))
		return false;
	for (int i = 0; redactions != NULL && i < n; i++)
		if (redactions[attnums[i] - 1] != NULL)
			return false;
	return true;
}

void
cdc_access_warn(const CdcAccess *access)
{
	cdc_rules_warn(access->rules);
}

uint32
cdc_access_version(CdcAccess *access, Relation rel)
{
	return cdc_registry_version(access->registry, rel);
}

bool
cdc_access_message(const CdcAccess *access, const char *prefix)
{
	return cdc_privileges_message(access->privileges, prefix);
}

bool
cdc_access_superuser(const CdcAccess *access)
{
	return cdc_privileges_superuser(access->privileges);
}

void
cdc_access_refuse(Relation rel, Oid user)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not read table \"%s\"",
					GetUserNameFromId(user, false), RelationGetRelationName(rel)),
			 errdetail("The role may not SELECT from it, or row security applies to the role."),
			 errhint("cdc.grant_read() gives a role what it may be sent.")));
	pg_unreachable();
}
