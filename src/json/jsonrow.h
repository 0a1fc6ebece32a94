/*
 * jsonrow.h
 *	  Lines of JSON as rows of SQL, with values that jsonb can hold.
 */
#ifndef CDC_JSONROW_H
#define CDC_JSONROW_H

/* The columns of cdc.decode(). */
typedef enum CdcJsonColumn
{
	CDC_ROW_POSITION,
	CDC_ROW_XID,
	CDC_ROW_COMMIT_TIME,
	CDC_ROW_OP,
	CDC_ROW_RELATION,
	CDC_ROW_FINGERPRINT,
	CDC_ROW_KEY,
	CDC_ROW_NEW_KEY,
	CDC_ROW_OLD,
	CDC_ROW_NEW,
	CDC_ROW_METADATA,
	CDC_ROW_EVENT
} CdcJsonColumn;

#define CDC_ROW_COLUMNS (CDC_ROW_EVENT + 1)

/*
 * Fills the columns from the line of an event; false when it is none. JSON that
 * jsonb cannot hold is a string of its text. Needs a transaction. Allocates in
 * the current memory context.
 */
extern bool cdc_json_row(const char *line, int len, Datum *values, bool *isnull);

#endif							/* CDC_JSONROW_H */
