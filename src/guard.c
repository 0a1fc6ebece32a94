/*
 * guard.c
 *	  Catches errors in a subtransaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guard.h"

/* Errors that are not the value's fault. */
static bool
must_pass(int sqlstate)
{
	return sqlstate == ERRCODE_OUT_OF_MEMORY ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TRANSACTION_ROLLBACK ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_OPERATOR_INTERVENTION;
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
