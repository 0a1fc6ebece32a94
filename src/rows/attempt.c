/*
 * attempt.c
 *	  Writes events; failures where that is not possible.
 */
#include "postgres.h"

#include "rows/attempt.h"
#include "util/guard.h"
#include "wire/wire.h"

/* What may be said of an error: where something is held back, not what was raised,
 * since that may quote a value. */
static const char *
error_text(const CdcAttempt *attempt, const ErrorData *error)
{
	/* ours, which quotes nothing */
	if (error->message_id != NULL && strcmp(error->message_id, CDC_TOO_LARGE) == 0)
		return CDC_TOO_LARGE;
	if (attempt->change->table->restricted)
		return "value cannot be written";
	return error->message_id != NULL ? error->message_id : "unknown error";
}

static void
raise_error(const CdcAttempt *attempt, ErrorData *error)
{
	if (attempt->change->table->restricted)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("value cannot be written")));
	ReThrowError(error);
}

static void
write_change(void *arg)
{
	CdcAttempt *attempt = arg;

	cdc_event_change(attempt->out, attempt->change);
}

/* Writes something with care: an ERROR is caught, and `out` does not grow without bounds. */
static ErrorData *
guard(CdcAttempt *attempt, void (*write) (void *arg))
{
	ErrorData  *error;

	attempt->out->cursor = attempt->out->len + attempt->max_len;
	error = cdc_guarded(write, attempt);
	attempt->out->cursor = 0;
	return error;
}

static void
write_failed_key(void *arg)
{
	CdcAttempt *attempt = arg;

	cdc_event_failure(attempt->out, attempt->change, true, "", "", 0);
}

/* Writes, in place of the event that begins at `start`, one that says why there
 * is none. */
static void
write_failure(CdcAttempt *attempt, int start, bool with_key,
			  int sqlerrcode, const char *message, AttrNumber column)
{
	attempt->out->len = start;
	with_key = with_key && guard(attempt, write_failed_key) == NULL &&
		attempt->out->len - start < attempt->max_len / 2;
	attempt->out->len = start;
	cdc_event_failure(attempt->out, attempt->change, with_key,
					  unpack_sql_state(sqlerrcode), message, column);
}

bool
cdc_attempt(CdcAttempt *attempt, ErrorData *filter_error, bool may_raise)
{
	int			start = attempt->out->len;
	ErrorData  *error = filter_error;

	if (error == NULL && may_raise)
		error = guard(attempt, write_change);
	else if (error == NULL)
		write_change(attempt);
	if (error != NULL)
	{
		if (attempt->stop_on_error)
			raise_error(attempt, error);
		write_failure(attempt, start, filter_error == NULL, error->sqlerrcode,
					  error_text(attempt, error), attempt->change->failing);
		return false;
	}
	if (unlikely(attempt->out->len - start > attempt->max_len))
	{
		if (attempt->stop_on_error)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg(CDC_TOO_LARGE)));
		write_failure(attempt, start, true, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					  CDC_TOO_LARGE, 0);
		return false;
	}
	return true;
}

void
cdc_error_place(void *arg)
{
	CdcErrorPlace *place = arg;

	if (place->change->failing > 0)
		errcontext("cdc: writing column %d of relation \"%s\"",
				   place->change->failing, RelationGetRelationName(place->rel));
	else
		errcontext("cdc: writing a change of relation \"%s\"",
				   RelationGetRelationName(place->rel));
}
