/*
 * guard.c
 *	  Catches errors in a subtransaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "util/guard.h"

/*
 * Errors that are not the value's fault. Lack of memory is the server's: what one event
 * takes is bounded (cdc.max_event_size), and a value that asks for more than there can be is
 * refused with 54000 or XX000.
 */
static bool
must_pass(int sqlstate)
{
	static const int categories[] = {
		ERRCODE_TRANSACTION_ROLLBACK,
		ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_OPERATOR_INTERVENTION,
		ERRCODE_SYSTEM_ERROR
	};

	for (int i = 0; i < lengthof(categories); i++)
		if (ERRCODE_TO_CATEGORY(sqlstate) == categories[i])
			return true;
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

ErrorData *
cdc_guarded(void (*fn) (void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	/* Ending a subtransaction clears these, with which the server notices that
	 * a streamed transaction is aborted meanwhile. */
	TransactionId alive = CheckXidAlive;
	bool		sysscan = bsysscan;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		fn(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	CheckXidAlive = alive;
	bsysscan = sysscan;
	if (error != NULL && must_pass(error->sqlerrcode))
		ReThrowError(error);
	return error;
}
