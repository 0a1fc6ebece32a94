"""Prints what was checked, as TAP."""

import subprocess
import time
import traceback

import psycopg2

from stream import Damaged


class Failed(Exception):
    pass


class Reported(Exception):
    """A failure that was printed."""


# With the last two, where they were raised is printed too.
FAILURES = (Failed, Damaged, psycopg2.Error, subprocess.TimeoutExpired, ValueError, LookupError)


class Tap:
    def __init__(self):
        self.tests = self.failed = 0

    def check(self, title, function, *args):
        self.tests += 1
        begin = time.time()
        try:
            result = function(*args)
        except FAILURES as e:
            self.failed += 1
            print("not ok %d - %s" % (self.tests, title))
            what = traceback.format_exc() if isinstance(e, (ValueError, LookupError)) else str(e)
            print("".join("#   %s\n" % line for line in what.splitlines()), end="", flush=True)
            raise Reported from e
        note = result + ", " if isinstance(result, str) else ""
        print("ok %d - %s (%s%.1f s)" % (self.tests, title, note, time.time() - begin),
              flush=True)
        return result
