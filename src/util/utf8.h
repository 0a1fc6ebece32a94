/*
 * utf8.h
 *	  Text in UTF-8, whatever the server's encoding is.
 */
#ifndef CDC_UTF8_H
#define CDC_UTF8_H

/* Bytes of the character of UTF-8 that begins here; 0 if none does. */
extern int	cdc_utf8_char(const char *text, int len);

/*
 * A name or other text in the server's encoding as UTF-8. What is no text in
 * that encoding, or has no counterpart, becomes \xHH, byte by byte, so that the
 * result always is valid and nothing is raised. Returns `text` itself where it
 * needs no change. Reads catalogs, unless the text is ASCII or the encoding
 * UTF-8 or SQL_ASCII.
 */
extern char *cdc_utf8(const char *text);

/* The same without a conversion, and so without catalogs: in other encodings
 * than UTF-8 everything but ASCII is \xHH. */
extern char *cdc_utf8_escaped(const char *text);

#endif							/* CDC_UTF8_H */
