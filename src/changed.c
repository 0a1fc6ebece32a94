/*
 * changed.c
 *	  Notes which relations the current transaction changes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "changed.h"
#include "compat.h"

/* OIDs, in TopTransactionContext. */
static HTAB *changed = NULL;

static void
note(Datum arg, Oid relid)
{
	/* Without an OID it is about all of them, after what others did. Nothing may fail
	 * in a transaction that ends. */
	if (!OidIsValid(relid) || !IsTransactionState())
		return;
	if (changed == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid),
		.hcxt = TopTransactionContext};

		changed = hash_create("cdc changed relations", 16, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(changed, &relid, HASH_ENTER, NULL);
}

static void
forget(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		changed = NULL;
}

void
cdc_changed_watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterRelcacheCallback(note, (Datum) 0);
	RegisterXactCallback(forget, NULL);
	watching = true;
}

ArrayType *
cdc_changed_take(void)
{
	HTAB	   *taken = changed;
	HASH_SEQ_STATUS status;
	Datum	   *oids;
	Oid		   *oid;
	int			n = 0;

	changed = NULL;
	if (taken == NULL)
		return construct_empty_array(OIDOID);
	oids = palloc(sizeof(Datum) * hash_get_num_entries(taken));
	hash_seq_init(&status, taken);
	while ((oid = hash_seq_search(&status)) != NULL)
		oids[n++] = ObjectIdGetDatum(*oid);
	hash_destroy(taken);
	return construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}
