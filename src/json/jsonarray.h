/*
 * jsonarray.h
 *	  Values of columns in the JSON form, arrays too.
 */
#ifndef CDC_JSONARRAY_H
#define CDC_JSONARRAY_H

#include "json/jsonvalue.h"

/*
 * The value of a column, by its type. An array is a JSON array, nested for several
 * dimensions; with other lower bounds than 1 a string of PostgreSQL's text.
 */
extern void cdc_json_value(StringInfo out, const Cdc__V1__Column *column,
						   const CdcField *field);

#endif							/* CDC_JSONARRAY_H */
