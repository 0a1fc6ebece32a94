/*
 * versionmap.h
 *	  Whether rows of a schema can be sent in an older one without loss.
 */
#ifndef CDC_VERSIONMAP_H
#define CDC_VERSIONMAP_H

#include "cdc/v1/cdc.pb-c.h"

/*
 * Why rows of a schema cannot be sent in an older one, in words, or NULL where they can:
 * columns that were renamed, added, widened, or dropped and could be NULL are
 * no obstacle. Both are whole schemas.
 */
extern char *cdc_version_unmappable(const Cdc__V1__Table *older, const Cdc__V1__Table *now);

#endif							/* CDC_VERSIONMAP_H */
