/*
 * tap.h
 *	  Test results in the Test Anything Protocol.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int	tap_run = 0;
static int	tap_bad = 0;

/* One result; returns it, so that a failure can say more with diag(). */
static bool
ok(bool result, const char *fmt,...)
{
	va_list		args;

	printf("%sok %d - ", result ? "" : "not ", ++tap_run);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (!result)
		tap_bad++;
	return result;
}

#define diag(...) (printf("#   "), printf(__VA_ARGS__), putchar('\n'))

/* The plan, and what main() returns. */
static int
done_testing(void)
{
	printf("1..%d\n", tap_run);
	return tap_bad == 0 && tap_run > 0 ? 0 : 1;
}

#endif							/* TAP_H */
