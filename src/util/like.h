/*
 * like.h
 *	  Patterns for names, as of SQL's LIKE.
 */
#ifndef CDC_LIKE_H
#define CDC_LIKE_H

/*
 * Whether a name matches a pattern: % is any characters, _ is one, and a backslash
 * takes the next one as it is. Without regard to case, of ASCII. Both are in the
 * server's encoding; nothing is raised for bytes that are no text in it. Takes
 * time in proportion to the pattern's length times the name's at most.
 */
extern bool cdc_like(const char *pattern, const char *name);

#endif							/* CDC_LIKE_H */
