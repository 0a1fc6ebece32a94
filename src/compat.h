/*
 * compat.h
 *	  The differences between PostgreSQL 15 and 20devel that matter here; the
 *	  rest of the code is spelled for the newest server.
 *
 * The only file with PG_VERSION_NUM in it.
 */
#ifndef CDC_COMPAT_H
#define CDC_COMPAT_H

#include "access/detoast.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "replication/logical.h"
#include "replication/message.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"
#include "replication/slot.h"
#include "replication/snapbuild.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#error "cdc needs PostgreSQL 15 or later"
#endif

/* Entry points of a module: declared by the server from 16 on. */
extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

#if PG_VERSION_NUM >= 180000
#define CDC_MODULE_MAGIC(nm, ver)	PG_MODULE_MAGIC_EXT(.name = nm, .version = ver)
#else
#define CDC_MODULE_MAGIC(nm, ver)	PG_MODULE_MAGIC
#endif

/* Before a declaration; a macro with an argument list before 18. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn		pg_attribute_noreturn()
#endif

/* Tuples of a change: HeapTuple from 17 on. */
#if PG_VERSION_NUM >= 170000
#define cdc_new_tuple(change)	((change)->data.tp.newtuple)
#define cdc_old_tuple(change)	((change)->data.tp.oldtuple)
#else
#define cdc_new_tuple(change) \
	((change)->data.tp.newtuple ? &(change)->data.tp.newtuple->tuple : (HeapTuple) NULL)
#define cdc_old_tuple(change) \
	((change)->data.tp.oldtuple ? &(change)->data.tp.oldtuple->tuple : (HeapTuple) NULL)
#endif

/* Time of commit: in a named union before 19. */
#if PG_VERSION_NUM >= 190000
#define cdc_commit_time(txn)	((txn)->commit_time)
#else
#define cdc_commit_time(txn)	((txn)->xact_time.commit_time)
#endif

#if PG_VERSION_NUM >= 190000
#define cdc_prepare_time(txn)	((txn)->prepare_time)
#else
#define cdc_prepare_time(txn)	((txn)->xact_time.prepare_time)
#endif

#ifndef rbtxn_get_toptxn
#define rbtxn_get_toptxn(txn)	((txn)->toptxn != NULL ? (txn)->toptxn : (txn))
#endif

#if PG_VERSION_NUM < 190000
typedef RepOriginId ReplOriginId;
#define InvalidReplOriginId		InvalidRepOriginId
#endif

/* Core reports progress for every 100 changes from 16 on; before, the plugin
 * must do it for the changes that it skips. */
#if PG_VERSION_NUM >= 160000
#define CDC_CORE_REPORTS_PROGRESS	true
#else
#define CDC_CORE_REPORTS_PROGRESS	false
#endif

/* Argument of syscache callbacks. */
#if PG_VERSION_NUM >= 190000
typedef SysCacheIdentifier CdcSysCacheId;
#else
typedef int CdcSysCacheId;
#endif

/* A deferrable primary key is none: its old values are not logged. */
#if PG_VERSION_NUM >= 180000
#define cdc_primary_key_index(rel)	RelationGetPrimaryKeyIndex((rel), false)
#else
#define cdc_primary_key_index(rel)	RelationGetPrimaryKeyIndex(rel)
#endif

/* Whether to flush the WAL after a logical message: an argument from 17 on. */
#if PG_VERSION_NUM >= 170000
#define cdc_log_message(prefix, data, len) \
	LogLogicalMessage((prefix), (data), (len), true, false)
#else
#define cdc_log_message(prefix, data, len) \
	LogLogicalMessage((prefix), (data), (len), true)
#endif

/* The newest snapshot for decoding; without a transaction's xid from 16 on. */
#if PG_VERSION_NUM >= 160000
#define cdc_build_snapshot(builder) SnapBuildGetOrBuildSnapshot(builder)
#else
#define cdc_build_snapshot(builder) SnapBuildGetOrBuildSnapshot((builder), InvalidTransactionId)
#endif

/* Slots that are synchronized to standbys from 17 on, with what two-phase commit
 * needs from 18 on. */
#define CDC_HAS_FAILOVER		(PG_VERSION_NUM >= 170000)
#if CDC_HAS_FAILOVER
#define cdc_create_logical_slot(name, plugin, temporary, two_phase, failover) \
	OidFunctionCall5(F_PG_CREATE_LOGICAL_REPLICATION_SLOT, (name), (plugin), (temporary), \
					 (two_phase), (failover))
#else
#define cdc_create_logical_slot(name, plugin, temporary, two_phase, failover) \
	((void) (failover), \
	 OidFunctionCall4(F_PG_CREATE_LOGICAL_REPLICATION_SLOT, (name), (plugin), (temporary), \
					  (two_phase)))
#endif
#define CDC_SYNCS_TWO_PHASE		(PG_VERSION_NUM >= 180000)

/* Has an argument for slots that cannot be read from 18 on: whether that is an ERROR. */
#if PG_VERSION_NUM >= 180000
#define cdc_acquire_slot(name)	ReplicationSlotAcquire((name), true, false)
#else
#define cdc_acquire_slot(name)	ReplicationSlotAcquire((name), true)
#endif

/* A failover slot's reader must not be ahead of standbys (17): whether those have the
 * position. `elevel` is for messages about slots of theirs that are not in use. */
#if CDC_HAS_FAILOVER
#define cdc_standbys_have(lsn, elevel) \
	(!MyReplicationSlot->data.failover || StandbySlotsHaveCaughtup((lsn), (elevel)))
#else
#define cdc_standbys_have(lsn, elevel)	((void) (lsn), (void) (elevel), true)
#endif

/* Why nothing can be read from a slot any more is kept from 16 on. */
#if PG_VERSION_NUM >= 160000
#define cdc_slot_is_lost(slot)	((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define cdc_slot_is_lost(slot)	XLogRecPtrIsInvalid((slot)->data.restart_lsn)
#endif

/* The wal_level that slots need at least: from 19 on the server itself logs more as long
 * as there is a logical slot. */
#if PG_VERSION_NUM >= 190000
#define CDC_WAL_LEVEL			WAL_LEVEL_REPLICA
#define CDC_WAL_LEVEL_NAME		"replica"
#else
#define CDC_WAL_LEVEL			WAL_LEVEL_LOGICAL
#define CDC_WAL_LEVEL_NAME		"logical"
#endif

/* Publications that name a relation, and those FOR ALL TABLES EXCEPT it (19). */
#if PG_VERSION_NUM < 190000
#define GetRelationIncludedPublications(relid)	GetRelationPublications(relid)
#define GetRelationExcludedPublications(relid)	((void) (relid), NIL)
#endif

/* Whether a member has the privileges of the role: of the membership from 16 on, of the
 * member before, which `inherits` says of a role. */
#if PG_VERSION_NUM >= 160000
#define cdc_membership_inherits(form, inherits)	((void) (inherits), (form)->inherit_option)
#else
#define cdc_membership_inherits(form, inherits)	(inherits) ((form)->member)
#endif

/* Virtual generated columns (18) have no value in the tuple. */
#ifndef ATTRIBUTE_GENERATED_VIRTUAL
#define ATTRIBUTE_GENERATED_VIRTUAL	'v'
#endif

/* The argument of post_parse_analyze_hook, which is not for others to change from 19 on. */
#if PG_VERSION_NUM >= 190000
#define CDC_JUMBLE_STATE		const JumbleState
#else
#define CDC_JUMBLE_STATE		JumbleState
#endif

/* Has the rights to the tables of a query, not of those within it, asked for a role. They
 * stand apart from the tables from 16 on. */
static inline void
cdc_query_check_as(Query *query, Oid role)
{
	ListCell   *lc;

#if PG_VERSION_NUM >= 160000
	foreach(lc, query->rteperminfos)
		lfirst_node(RTEPermissionInfo, lc)->checkAsUser = role;
#else
	foreach(lc, query->rtable)
		lfirst_node(RangeTblEntry, lc)->checkAsUser = role;
#endif
}

/*
 * PG_DETOAST_DATUM_PACKED(), without a call for what is neither compressed nor out of line,
 * and without a copy of what core has put together of its parts for a change: that stays
 * where it is until the callback returns.
 */
static inline struct varlena *
cdc_packed(Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	if (unlikely(VARATT_IS_EXTERNAL_INDIRECT(v)))
	{
		struct varatt_indirect redirect;

		VARATT_EXTERNAL_GET_POINTER(redirect, v);
		v = (struct varlena *) redirect.pointer;
	}
	return unlikely(VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v)) ? pg_detoast_datum_packed(v) : v;
}

#endif							/* CDC_COMPAT_H */
