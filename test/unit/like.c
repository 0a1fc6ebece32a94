/*
 * like.c
 *	  src/util/like.c matches names as LIKE does, in time that does not explode.
 */
#include "postgres_fe.h"

#include <time.h>

#include "mb/pg_wchar.h"

/* for its source, which is a server's */
#define POSTGRES_H
static int	encoding;
#define GetDatabaseEncoding() encoding
#include "../../src/util/like.c"

#include "tap.h"

static const struct
{
	int			encoding;
	const char *pattern;
	const char *name;
	bool		matches;
}			cases[] =
{
	{PG_UTF8, "", "", true},
	{PG_UTF8, "", "a", false},
	{PG_UTF8, "a", "", false},
	{PG_UTF8, "%", "", true},
	{PG_UTF8, "%%", "abc", true},
	{PG_UTF8, "_", "", false},
	{PG_UTF8, "email", "email", true},
	{PG_UTF8, "eMaIl", "EmAiL", true},
	{PG_UTF8, "email", "emails", false},
	{PG_UTF8, "emails", "email", false},
	{PG_UTF8, "%mail", "email", true},
	{PG_UTF8, "%mail", "mailmail", true},
	{PG_UTF8, "%mail", "mailmai", false},
	{PG_UTF8, "e%l", "el", true},
	{PG_UTF8, "e%l", "e", false},
	{PG_UTF8, "%a%b%", "xxbxaxbx", true},
	{PG_UTF8, "%a%b%", "xxbxaxx", false},
	{PG_UTF8, "a%b%c", "abcbc", true},
	{PG_UTF8, "a_c", "abc", true},
	{PG_UTF8, "a_c", "ac", false},
	{PG_UTF8, "_%_", "a", false},
	{PG_UTF8, "_%_", "ab", true},
	{PG_UTF8, "%_b", "bb", true},
	/* escapes */
	{PG_UTF8, "a\\_c", "abc", false},
	{PG_UTF8, "a\\_c", "a_c", true},
	{PG_UTF8, "100\\%", "100%", true},
	{PG_UTF8, "100\\%", "1000", false},
	{PG_UTF8, "%\\%%", "a%b", true},
	{PG_UTF8, "%\\%%", "ab", false},
	{PG_UTF8, "\\\\", "\\", true},
	{PG_UTF8, "a\\", "a\\", true},
	{PG_UTF8, "a\\", "a", false},
	{PG_UTF8, "\\E", "e", true},
	/* characters of several bytes */
	{PG_UTF8, "stra\xc3\x9f" "e", "stra\xc3\x9f" "e", true},
	{PG_UTF8, "stra_e", "stra\xc3\x9f" "e", true},
	{PG_UTF8, "stra__e", "stra\xc3\x9f" "e", false},
	{PG_UTF8, "%_\xc3\x9f%", "\xc3\x9f\xc3\x9f", true},
	{PG_UTF8, "%_\xc3\x9f%", "\xc3\x9f", false},
	{PG_UTF8, "\xc3\x84", "\xc3\xa4", false},
	{PG_EUC_JP, "a_c", "a\xa4\xa2" "c", true},
	{PG_EUC_JP, "%\xa2\xa4%", "\xa4\xa2\xa4\xa2", false},
	{PG_LATIN1, "a__c", "a\xc3\x9f" "c", true},
	{PG_LATIN1, "a_c", "a\xc3\x9f" "c", false},
	{PG_SQL_ASCII, "a__c", "a\xc3\x9f" "c", true},
	/* bytes that are no text: cut short at the end of the name */
	{PG_UTF8, "a_", "a\xf0", true},
	{PG_UTF8, "a_", "a\xf0\x9f", true},
	{PG_UTF8, "%b", "a\xf0", false},
	{PG_UTF8, "a_c", "a\xff" "c", true},
};

/* What used to take hours: a % for each a of a name that lacks the end. */
static bool
is_fast(void)
{
	char		pattern[20001];
	char		name[64];
	clock_t		begin = clock();
	bool		matched;

	for (int i = 0; i < 20000; i += 2)
		memcpy(pattern + i, "%a", 2);
	strcpy(pattern + 19998, "%b");
	memset(name, 'a', 63);
	name[63] = '\0';
	encoding = PG_UTF8;
	matched = cdc_like(pattern, name) || cdc_like("%a%a%a%a%a%a%a%a%a%a%a%a%b", name);
	return !matched && clock() - begin < CLOCKS_PER_SEC / 10;
}

/* In ASCII, for the results' names. */
static const char *
shown(const char *text, char *buffer)
{
	char	   *out = buffer;

	for (; *text != '\0'; text++)
		out += sprintf(out, *text & 0x80 ? "<%02X>" : "%c", (unsigned char) *text);
	*out = '\0';
	return buffer;
}

int
main(void)
{
	char		name[256];
	char		pattern[256];

	for (int i = 0; i < lengthof(cases); i++)
	{
		encoding = cases[i].encoding;
		ok(cdc_like(cases[i].pattern, cases[i].name) == cases[i].matches,
		   "%s is %sof the pattern %s", shown(cases[i].name, name), cases[i].matches ? "" : "not ",
		   shown(cases[i].pattern, pattern));
	}
	ok(is_fast(), "many %% on a long name take no time");
	return done_testing();
}
