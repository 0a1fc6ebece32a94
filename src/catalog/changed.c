/*
 * changed.c
 *	  Notes what the current transaction changes in the catalogs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/changed.h"
#include "compat.h"

/* Relations that are noted for each follower; beyond that all of them may have changed. For
 * streams, dropped ones are to be known, too, and it is for one command each. */
static const long max_noted[CDC_FOLLOWERS] = {10000, 10000, 10 * 1000 * 1000};

typedef struct Noted
{
	HTAB	   *relids;			/* in TopTransactionContext; NULL: none */
	bool		everything;
	bool		schemas;
} Noted;

static Noted noted[CDC_FOLLOWERS];

static HTAB *
create_relids(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid), .hcxt = TopTransactionContext};

	return hash_create("cdc changed relations", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
note_relation(Datum arg, Oid relid)
{
	/* nothing may fail in a transaction that ends */
	if (!IsTransactionState())
		return;
	for (int i = 0; i < CDC_FOLLOWERS; i++)
	{
		Noted	   *n = &noted[i];

		if (!OidIsValid(relid) || (n->relids != NULL && hash_get_num_entries(n->relids) >= max_noted[i]))
			n->everything = true;
		else
		{
			if (n->relids == NULL)
				n->relids = create_relids();
			(void) hash_search(n->relids, &relid, HASH_ENTER, NULL);
		}
	}
}

static void
note_schema(Datum arg, CdcSysCacheId cacheid, uint32 hashvalue)
{
	for (int i = 0; i < CDC_FOLLOWERS; i++)
		noted[i].schemas = true;
}

static void
forget(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		memset(noted, 0, sizeof(noted));
}

void
cdc_changed_watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterRelcacheCallback(note_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, note_schema, (Datum) 0);
	RegisterXactCallback(forget, NULL);
	watching = true;
}

CdcChanged
cdc_changed_take(CdcFollower follower)
{
	Noted		taken = noted[follower];
	CdcChanged	changed = {NIL, taken.everything, taken.schemas};
	HASH_SEQ_STATUS status;
	Oid		   *relid;

	memset(&noted[follower], 0, sizeof(Noted));
	if (taken.relids == NULL)
		return changed;
	hash_seq_init(&status, taken.relids);
	while ((relid = hash_seq_search(&status)) != NULL)
		changed.relids = lappend_oid(changed.relids, *relid);
	hash_destroy(taken.relids);
	return changed;
}
