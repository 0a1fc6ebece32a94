/*
 * slotneeds.h
 *	  What a slot needs before it can be made: settings of the server, and the end of
 *	  transactions that are running.
 */
#ifndef CDC_SLOTNEEDS_H
#define CDC_SLOTNEEDS_H

/* ERROR that names all settings that stand in the way, with the statements to run. */
extern void cdc_require_settings(void);

/*
 * A slot begins behind all transactions that are running: a NOTICE names those that still
 * are after a second, until which it waits for them. To be called where nothing was
 * written yet.
 */
extern void cdc_announce_wait(const char *slot_name);

#endif							/* CDC_SLOTNEEDS_H */
