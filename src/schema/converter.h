/*
 * converter.h
 *	  Skeletons of code that makes rows of one version of a table rows of another.
 */
#ifndef CDC_CONVERTER_H
#define CDC_CONVERTER_H

#include "lib/stringinfo.h"

#include "cdc/v1/cdc.pb-c.h"

/* A version of a table. */
typedef struct CdcConverterSide
{
	const Cdc__V1__Table *table;
	uint32		version;
} CdcConverterSide;

/* Appends it, in UTF-8; false, with nothing appended, for a language that is not known. */
extern bool cdc_converter_write(StringInfo out, const char *language,
								const CdcConverterSide *from, const CdcConverterSide *to);

/* The languages, for messages. */
extern char *cdc_converter_languages(void);

#endif							/* CDC_CONVERTER_H */
