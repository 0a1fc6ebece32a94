"""Fewer operations that break the same promise: what a game has logged, played again
with parts left out."""

import random
import re
import time

import psycopg2

import restore
from readers import Readers
from world import Violation, World


def kind(text):
    """What two failures must have in common to be the same."""
    first = text.splitlines()[0].split("): ")[-1]
    for sign in ("which was not granted", "did not come", "cannot be read", "stands still"):
        if sign in first:
            return sign + re.sub(r"[\d\W]|adversary\w*", "", first.split(sign)[1])[:40] * (sign == "cannot be read")
    return "leak" if re.search(r"mk\d+x is in", text) else re.sub(r"[\d\W]", "", first)[:40]


class Repetition:
    """A game that is played from a list of operations."""

    def __init__(self, seed, log):
        self.seed, self.log, self.done = seed, log, 0
        self.world = World("adversary_%s_m" % seed, seed)
        self.readers = None
        self.opened = []

    def play(self, ops):
        self.world.setup()
        self.opened.append(self.world)
        self.readers = Readers(self.world, random.Random(1), self.log)
        for op in ops:
            if op[0] == "restored by":
                restored, _ = restore.restore(self.world, list(op[2:]))
                self.opened.append(restored)
                self.readers.close()
                self.world = restored
                self.readers = Readers(restored, random.Random(1), self.log, consumers=("c1",))
            elif op[0] == "read":
                self.readers.round()
            else:
                self.world.do(op)
        for _ in range(3):              # ways to read take turns
            self.readers.round()

    def clean(self):
        try:
            self.readers.close()
        except (psycopg2.Error, Violation, AttributeError):
            pass
        for world in reversed(self.opened):
            world.drop()


def fails(seed, log, ops):
    """The failure of these operations, or None."""
    game = Repetition(seed, log)
    try:
        game.play(ops)
    except Violation as e:
        return str(e)
    except (psycopg2.Error, LookupError, AttributeError):
        return None                     # what is left makes no sense
    finally:
        game.clean()
    return None


def minimize(seed, log, entries, text, seconds):
    """(operations, the failure) or (None, None) where it cannot be repeated"""
    end, want = time.time() + seconds, kind(text)
    ops = [op for _, op, error in entries]
    last = fails(seed, log, ops)
    if last is None or kind(last) != want:
        return None, last
    named = {"%s" % name for name in re.findall(r"\('w\d', '(\w+)', '\w+'\)", text)}
    about = [op for op in ops if op[0] in ("begin", "commit", "rollback", "read", "restored by", "redact_matching", "unredact", "confirm",
                                           "savepoint", "rollback_to", "release", "prepare", "finish", "leave", "arrive")
             or any(re.search(r"\b%s" % name, str(op)) for name in named)]
    again = fails(seed, log, about)
    if again is not None and kind(again) == want:
        ops, last = about, again
    size = max(1, len(ops) // 2)
    while size and time.time() < end:
        at, removed = 0, False
        while at < len(ops) and time.time() < end:
            fewer = ops[:at] + ops[at + size:]
            again = fails(seed, log, fewer)
            if again is not None and kind(again) == want:
                ops, last, removed = fewer, again, True
            else:
                at += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2) if size > 1 or removed else 0
    return ops, last
