/*
 * source.h
 *	  The Source message: where a stream comes from.
 */
#ifndef CDC_SOURCE_H
#define CDC_SOURCE_H

/* Serializes field `source` of a Batch into the current memory context. Both
 * names are UTF-8; slot is empty for what no slot sends. Returns its length. */
extern int	cdc_source(const char *database, const char *slot, bool schema_changes, char **data);

/* As server_version_num. */
extern int	cdc_server_version(void);

#endif							/* CDC_SOURCE_H */
