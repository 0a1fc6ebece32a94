/*
 * tablecache.c
 *	  Keeps resolved relations by OID, marks them when catalogs change.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "session/tablecache.h"
#include "util/settings.h"

/* Where a transaction has more, emptying core's caches takes less time than going through them. */
#define MAX_INVALIDATIONS 500

/* What all resolved relations may take. One of 10 columns takes about 4 kB. */
#define MAX_BYTES (12 * 1024 * 1024)

typedef struct Entry
{
	CdcTableEntry shown;		/* begins with the hash key */
	bool		valid;
	bool		outdated;		/* invalidated while it is being resolved */
	MemoryContext cxt;			/* of table and selection */
	Size		bytes;			/* of cxt */
	dlist_node	lru;
} Entry;

struct CdcTableCache
{
	MemoryContext cxt;
	HTAB	   *entries;
	dlist_head	lru;			/* the least recently used first */
	Size		bytes;			/* of all entries' contexts */
	Entry	   *last;		/* the entry that the last call returned */
	CdcFilter  *filter;
	CdcAccess  *access;
	bool		built;			/* some entry's table reads composite types */
	List	   *ancestors;		/* OIDs of partitioned tables that entries depend on */
	TransactionId prepared;		/* that is decoded, or invalid */
};

/* Callbacks cannot be unregistered: they are registered once for the process
 * and find the cache of the running decoding context here. */
static CdcTableCache *current_cache = NULL;

/* Core's caches are emptied for who looks at catalogs as of another moment. That calls back for
 * everything, once; what is called back for besides that has changed. */
static bool looking = false;

static void
forget_cache(void *arg)
{
	if (current_cache == arg)
		current_cache = NULL;
}

static void
mark(Entry *entry)
{
	entry->valid = false;
	entry->outdated = true;
}

/* Tables with a composite type, when that changes. */
static void
mark_users(Oid relid)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, current_cache->entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->shown.table != NULL && cdc_table_uses(entry->shown.table, relid))
			mark(entry);
}

static void
mark_all(void)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, current_cache->entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		mark(entry);
}

static void
invalidate_relation(Datum arg, Oid relid)
{
	Entry	   *entry;

	if (looking && !OidIsValid(relid))
	{
		looking = false;
		return;
	}
	if (current_cache == NULL)
		return;
	if (!cdc_access_invalidated(current_cache->access, relid) &&
		!list_member_oid(current_cache->ancestors, relid))
	{
		entry = hash_search(current_cache->entries, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			mark(entry);
		if (current_cache->built)
			mark_users(relid);
		return;
	}
	mark_all();
}

/* Names of schemas are part of a Table, any table may be in a publication, and what
 * a role may be sent depends on others. */
static void
invalidate_all(Datum arg, CdcSysCacheId cacheid, uint32 hashvalue)
{
	if (current_cache == NULL || (hashvalue == 0 && looking))
		return;
	(void) cdc_access_invalidated(current_cache->access, InvalidOid);
	mark_all();
}

/*
 * Names of types are part of it, too. Creating any table creates a type, so only tables that
 * have this one are marked; hash value 0 stands for all.
 */
static void
invalidate_type(Datum arg, CdcSysCacheId cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	if (current_cache == NULL || (hashvalue == 0 && looking))
		return;
	hash_seq_init(&status, current_cache->entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		/* one that is being resolved has no table yet */
		bool		uses = hashvalue == 0 || (entry->shown.table == NULL && !entry->valid);

		for (int i = 0; !uses && entry->shown.table != NULL && i < entry->shown.table->ntypes; i++)
			uses = entry->shown.table->types[i] == hashvalue;
		if (uses)
			mark(entry);
	}
}

CdcTableCache *
cdc_tablecache_create(const CdcOptions *options, CdcAccess *access, MemoryContext parent)
{
	static const CdcSysCacheId watched[] = {
		NAMESPACEOID, PUBLICATIONOID, PUBLICATIONRELMAP, PUBLICATIONNAMESPACEMAP,
		AUTHOID, AUTHMEMROLEMEM
	};
	static bool registered = false;
	MemoryContextCallback *callback;
	CdcTableCache *cache;
	HASHCTL		ctl = {0};

	cache = MemoryContextAllocZero(parent, sizeof(CdcTableCache));
	cache->cxt = AllocSetContextCreate(parent, "cdc table cache", ALLOCSET_DEFAULT_SIZES);
	cache->filter = cdc_filter_create(options, parent);
	cache->access = access;
	dlist_init(&cache->lru);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Entry);
	ctl.hcxt = cache->cxt;
	cache->entries = hash_create("cdc table cache", 128, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	if (!registered)
	{
		CacheRegisterRelcacheCallback(invalidate_relation, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, invalidate_type, (Datum) 0);
		for (int i = 0; i < lengthof(watched); i++)
			CacheRegisterSyscacheCallback(watched[i], invalidate_all, (Datum) 0);
		registered = true;
	}
	callback = MemoryContextAllocZero(parent, sizeof(MemoryContextCallback));
	callback->func = forget_cache;
	callback->arg = cache;
	MemoryContextRegisterResetCallback(parent, callback);
	current_cache = cache;
	return cache;
}

static Entry *
new_entry(CdcTableCache *cache, Oid relid)
{
	Entry	   *entry = hash_search(cache->entries, &relid, HASH_ENTER, NULL);

	entry->valid = false;
	entry->shown.table = NULL;
	entry->shown.selection = NULL;
	memset(&entry->shown.sent, 0, sizeof(CdcSentSchema));
	entry->cxt = AllocSetContextCreate(cache->cxt, "cdc table", ALLOCSET_SMALL_SIZES);
	entry->bytes = 0;
	dlist_push_tail(&cache->lru, &entry->lru);
	return entry;
}

/* Forgets what was not used for longest, but never this one. */
static void
make_room(CdcTableCache *cache, Entry *keep)
{
	while (cache->bytes > MAX_BYTES)
	{
		Entry	   *oldest = dlist_head_element(Entry, lru, &cache->lru);

		if (oldest == keep)
			return;
		dlist_delete(&oldest->lru);
		cache->bytes -= oldest->bytes;
		MemoryContextDelete(oldest->cxt);
		hash_search(cache->entries, &oldest->shown.relid, HASH_REMOVE, NULL);
	}
}

/* Resolves what is sent of a relation, if anything is. */
static CdcTable *
resolve_table(CdcTableCache *cache, Entry *entry, Relation rel)
{
	CdcSelection *selection = cdc_filter_resolve(cache->filter, rel, entry->cxt);
	MemoryContext oldcxt;

	/* renames of ancestors, attaching and detaching them matter */
	if (selection->ancestors != NIL)
	{
		oldcxt = MemoryContextSwitchTo(cache->cxt);
		cache->ancestors = list_concat_unique_oid(cache->ancestors, selection->ancestors);
		MemoryContextSwitchTo(oldcxt);
	}
	entry->shown.selection = selection;
	return selection->ops == 0 ? NULL :
		cdc_selection_table(selection, cache->access, rel, entry->cxt);
}

/* A prepared transaction may be rolled back meanwhile; then the catalogs may have less than what it
 * has made. Core notices that, but not with changes of its subtransactions. */
static void
check_prepared(const CdcTableCache *cache)
{
	if (!TransactionIdIsValid(cache->prepared) || TransactionIdIsValid(CheckXidAlive) ||
		!TransactionIdDidAbort(cache->prepared))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("prepared transaction %u was rolled back while it was decoded", cache->prepared),
			 errhint("Read the slot again: the transaction is then left out.")));
}

/* Catalogs may change meanwhile: then the entry serves for this once. After an
 * ERROR it stays invalid. */
static void
resolve(CdcTableCache *cache, Entry *entry, Oid relid, Relation rel)
{
	CdcTable   *table = NULL;
	Relation	target = rel;

	MemoryContextReset(entry->cxt);
	entry->shown.table = NULL;
	entry->shown.selection = NULL;
	entry->outdated = false;
	cdc_fix_settings();
	if (relid != RelationGetRelid(rel))
		target = RelationIdGetRelation(relid);
	if (!RelationIsValid(target))
		elog(ERROR, "could not open relation with OID %u", relid);
	if (cdc_table_is_sent(target))
		table = resolve_table(cache, entry, target);
	if (target != rel)
		RelationClose(target);
	check_prepared(cache);
	entry->shown.table = table;
	cache->built |= table != NULL && table->built != NIL;
	entry->valid = !entry->outdated;
}

void
cdc_tablecache_begin(CdcTableCache *cache, TransactionId prepared)
{
	cache->prepared = prepared;
}

CdcTableEntry *
cdc_tablecache_get(CdcTableCache *cache, Oid relid, Relation rel)
{
	Entry	   *entry = cache->last;

	if (likely(entry != NULL && entry->shown.relid == relid && entry->valid))
		return &entry->shown;
	/* not while its fields change, and not when resolving it fails */
	cache->last = NULL;
	entry = hash_search(cache->entries, &relid, HASH_FIND, NULL);
	if (entry == NULL)
		entry = new_entry(cache, relid);
	dlist_delete(&entry->lru);
	dlist_push_tail(&cache->lru, &entry->lru);
	if (!entry->valid)
	{
		resolve(cache, entry, relid, rel);
		cache->bytes -= entry->bytes;
		entry->bytes = MemoryContextMemAllocated(entry->cxt, true) + sizeof(Entry);
		cache->bytes += entry->bytes;
		make_room(cache, entry);
	}
	cache->last = entry;
	return &entry->shown;
}

const CdcTable *
cdc_tablecache_look(CdcTableCache *cache, Relation rel, MemoryContext cxt, bool *selected)
{
	CdcSelection *selection;

	*selected = false;
	if (!cdc_table_is_sent(rel) || IsCatalogRelation(rel) ||
		rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return NULL;
	cdc_fix_settings();
	selection = cdc_filter_resolve(cache->filter, rel, cxt);
	*selected = selection->ops != 0 && selection->relid == RelationGetRelid(rel);
	return *selected ? cdc_selection_table(selection, cache->access, rel, cxt) : NULL;
}

/* Executes messages of invalidation. */
static void
take_out(SharedInvalidationMessage *messages, uint32 n)
{
	/* core builds its own relations anew, also where the transaction is found to be aborted */
	TransactionId alive = CheckXidAlive;

	CheckXidAlive = InvalidTransactionId;
	PG_TRY();
	{
		if (n > MAX_INVALIDATIONS)
		{
			looking = true;
			InvalidateSystemCaches();
		}
		else
			for (uint32 i = 0; i < n; i++)
				LocalExecuteInvalidationMessage(&messages[i]);
	}
	PG_FINALLY();
	{
		looking = false;
		CheckXidAlive = alive;
	}
	PG_END_TRY();
}

void
cdc_tablecache_reset_catalogs(const ReorderBufferTXN *txn)
{
	take_out(txn->invalidations, txn->ninvalidations);
}

void
cdc_tablecache_resume(const ReorderBufferTXN *txn)
{
	cdc_tablecache_reset_catalogs(txn);
	if (txn->ninvalidations > MAX_INVALIDATIONS)
		mark_all();
}

void
cdc_tablecache_reset(void)
{
	take_out(NULL, MAX_INVALIDATIONS + 1);
	invalidate_all((Datum) 0, NAMESPACEOID, 0);
}

void
cdc_tablecache_forget(Oid relid)
{
	SharedInvalidationMessage messages[2] = {{0}, {0}};

	messages[0].rc.id = SHAREDINVALRELCACHE_ID;
	messages[0].rc.dbId = MyDatabaseId;
	messages[0].rc.relId = relid;
	messages[1].cc.id = RELOID;
	messages[1].cc.dbId = MyDatabaseId;
	messages[1].cc.hashValue = GetSysCacheHashValue1(RELOID, ObjectIdGetDatum(relid));
	take_out(messages, lengthof(messages));
}
