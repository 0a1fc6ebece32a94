/*
 * settings.h
 *	  The extension's own settings, and those under which output functions run,
 *	  so that what is sent never depends on the session.
 */
#ifndef CDC_SETTINGS_H
#define CDC_SETTINGS_H

/* Sets them until the current (sub)transaction or GUC nesting level ends.
 * Cheap when they already have these values. */
extern void cdc_fix_settings(void);

/* cdc.check_privileges: whether roles with REPLICATION, too, are sent only what they
 * may SELECT or were given by cdc.grant_read(). */
extern bool cdc_check_privileges;

/* cdc.max_event_size: what one event may take, in bytes. */
extern int	cdc_max_event_bytes(void);

/* cdc.allow_user_catalog_tables: whether roles that are no superusers may set the
 * storage option user_catalog_table. */
extern bool cdc_allow_user_catalog_tables;

/* cdc.warn_of_old_minor: whether to warn of a server without a correction that decoding needs. */
extern bool cdc_warn_of_old_minor;

/* cdc.track_schema: whether commands say in the WAL which relations they have changed. */
extern bool cdc_track_schema;

/* Defines the extension's own settings. */
extern void cdc_define_settings(void);

#endif							/* CDC_SETTINGS_H */
