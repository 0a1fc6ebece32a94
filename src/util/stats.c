/*
 * stats.c
 *	  Counters of slots, in shared memory.
 *
 * One entry for each slot that the server can have, at the slot's own place. Only
 * the process that has the slot writes to it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "compat.h"
#include "util/stats.h"

typedef struct CdcSlotStats
{
	slock_t		mutex;
	NameData	slot_name;		/* whose counters these are */
	uint64		counters[CDC_COUNTERS];
} CdcSlotStats;

static CdcSlotStats *slots = NULL;	/* NULL: not preloaded */
static shmem_request_hook_type next_request = NULL;
static shmem_startup_hook_type next_startup = NULL;

static Size
size_of_slots(void)
{
	return mul_size(sizeof(CdcSlotStats), max_replication_slots);
}

static void
request(void)
{
	if (next_request)
		next_request();
	RequestAddinShmemSpace(size_of_slots());
}

static void
startup(void)
{
	bool		found;

	if (next_startup)
		next_startup();
	slots = ShmemInitStruct("cdc slot statistics", size_of_slots(), &found);
	if (found)
		return;
	memset(slots, 0, size_of_slots());
	for (int i = 0; i < max_replication_slots; i++)
		SpinLockInit(&slots[i].mutex);
}

void
cdc_stats_reserve(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request = shmem_request_hook;
	shmem_request_hook = request;
	next_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

void
cdc_stats_attach(CdcStats *stats, bool created)
{
	CdcSlotStats *slot;
	const NameData *name = &MyReplicationSlot->data.name;
	int			number = ReplicationSlotIndex(MyReplicationSlot);

	memset(stats, 0, sizeof(*stats));
	/* beyond are slots of another kind */
	if (slots == NULL || number >= max_replication_slots)
		return;
	slot = &slots[number];
	SpinLockAcquire(&slot->mutex);
	if (created || strcmp(NameStr(slot->slot_name), NameStr(*name)) != 0)
	{
		slot->slot_name = *name;
		memset(slot->counters, 0, sizeof(slot->counters));
	}
	SpinLockRelease(&slot->mutex);
	stats->slot = slot;
}

void
cdc_stats_flush(CdcStats *stats)
{
	if (stats->slot == NULL)
		return;
	SpinLockAcquire(&stats->slot->mutex);
	for (int i = 0; i < CDC_COUNTERS; i++)
		stats->slot->counters[i] += stats->pending[i];
	SpinLockRelease(&stats->slot->mutex);
	memset(stats->pending, 0, sizeof(stats->pending));
}

bool
cdc_stats_preloaded(void)
{
	return slots != NULL;
}

bool
cdc_stats_read(int number, const char *slot_name, uint64 *counters)
{
	bool		found = false;

	if (slots == NULL || number >= max_replication_slots)
		return false;
	SpinLockAcquire(&slots[number].mutex);
	if (strcmp(NameStr(slots[number].slot_name), slot_name) == 0)
	{
		memcpy(counters, slots[number].counters, sizeof(slots[number].counters));
		found = true;
	}
	SpinLockRelease(&slots[number].mutex);
	return found;
}
