/*
 * atcommit.c
 *	  Positions in the WAL that are taken when the transaction commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "utils/snapmgr.h"

#include "redact/atcommit.h"
#include "redact/protection.h"

/* Whether this transaction may have written such positions. */
static bool pending = false;

/* As late as a transaction can write. Large values of the rows may be read on the way. */
static void
date_rows(void)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) cdc_protection_date(GetXLogInsertRecPtr());
	PopActiveSnapshot();
}

/* Nobody could take the position when COMMIT PREPARED comes. */
static void
refuse_prepare(void)
{
	if (cdc_protection_date(InvalidXLogRecPtr) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has removed a rule of redaction or created the extension \"cdc\""),
				 errdetail("Until COMMIT PREPARED others could commit what would not be redacted then."),
				 errhint("COMMIT it.")));
}

static void
at_end(XactEvent event, void *arg)
{
	if (!pending)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			date_rows();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pending = false;
			break;
		default:
			break;
	}
}

void
cdc_positions_at_end(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(at_end, NULL);
	registered = true;
	pending = true;
}
