/*
 * jsonarray.h
 *	  Arrays in the JSON form.
 */
#ifndef CDC_JSONARRAY_H
#define CDC_JSONARRAY_H

#include "jsonvalue.h"

/* Appends one of the *Array messages as a JSON array, nested for several
 * dimensions; with other lower bounds than 1 as a string of PostgreSQL's text. */
extern void cdc_json_array(StringInfo out, Cdc__V1__Type element, const CdcField *field);

#endif							/* CDC_JSONARRAY_H */
