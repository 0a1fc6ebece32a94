/*
 * settings.h
 *	  The settings under which output functions run, so that what is sent never
 *	  depends on the session.
 */
#ifndef CDC_SETTINGS_H
#define CDC_SETTINGS_H

/* Sets them until the current (sub)transaction or GUC nesting level ends.
 * Cheap when they already have these values. */
extern void cdc_fix_settings(void);

#endif							/* CDC_SETTINGS_H */
