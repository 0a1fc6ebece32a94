"""Plays at random, and says what was broken.

adversary.py SEED...: see run.sh for the environment. Output is TAP."""

import argparse
import os
import random
import sys
import time
import traceback

import minimize
import restore
from actions import Play
from readers import Readers
from world import Violation, World

READ_EVERY, RESTORE_EVERY = 50, 500
LATE = 5                                # steps before a reading
SHOWN = 40                              # operations before a failure


def say(text):
    print(text, flush=True)


class Game:
    def __init__(self, seed, steps, without, log):
        self.seed, self.steps, self.without, self.log = seed, steps, without, log
        self.rng = random.Random(seed)
        self.world = World("adversary_%s" % seed, seed)
        self.done = 0
        self.restores = 0

    def play(self):
        world = self.world
        world.setup()
        self.readers = Readers(world, random.Random("reader %s" % self.seed), self.log)
        play = Play(world, self.rng, self.without)
        for self.done in range(1, self.steps + 1):
            late = self.done % (2 * READ_EVERY) == READ_EVERY - LATE and "late" not in self.without
            for op in play.late() if late else play.ops():
                if op[0] == "read":
                    self.readers.round()
                else:
                    world.do(op)
            if self.done % READ_EVERY == 0:
                self.readers.round()
            if self.done % RESTORE_EVERY == RESTORE_EVERY // 2 and "restore" not in self.without:
                restore.run(self, partly=self.restores % 3 == 2)
                self.restores += 1
        restore.settle(world)
        self.readers.round()

    def figures(self):
        c = self.readers.counts
        return "%d statements, %d failed, markers: %d protected, %d open, %d not, which arrived %d times; " \
            "%d dumps restored; worst statement %.2f s" % (
                self.world.statements, sum(self.world.errors.values()), c["must"], c["may"], c["no"], c["arrived"],
                self.restores, self.world.worst[0])


def show(entry):
    step, op, error = entry
    return "  %d %s: %s %s" % (step, op[1], " ".join(str(part) for part in (op[0], *op[2:])), error)


def fewer(game, failed, seconds):
    """The lines that show a short way to the same failure."""
    if not seconds:
        return []
    ops, last = minimize.minimize(game.seed, game.log, game.world.log, failed, seconds)
    if ops is None:
        return ["# played again, it does not fail so: %s" % last]
    return ["# of these, enough are:"] + ["#   %s: %s" % (op[1], " ".join(str(part) for part in (op[0], *op[2:])))
                                          for op in ops] + ["#   " + line for line in last.splitlines()]


def run(seed, steps, without, log, ops_file=None, seconds=0):
    game = Game(seed, steps, without, log)
    begin = time.time()
    failed = None
    try:
        game.play()
    except Violation as e:
        failed = str(e)
    except Exception:
        failed = traceback.format_exc()
    if failed is None:
        game.readers.close()
        game.world.drop()
        say("ok - seed %s: %d steps (%s, %.0f s)" % (seed, steps, game.figures(), time.time() - begin))
        return True
    if ops_file:
        os.makedirs(os.path.dirname(ops_file), exist_ok=True)
        with open(ops_file, "w") as f:
            f.write("\n".join(show(entry) for entry in game.world.log))
    lines = ["not ok - seed %s: fails in step %d of %d, after %.0f s" % (seed, game.done, steps, time.time() - begin)]
    lines += ["#   " + line for line in failed.splitlines()]
    lines += ["# the last operations:"] + ["# " + show(entry) for entry in game.world.log[-SHOWN:]]
    lines.append("# again: CDC_ADVERSARY_STEPS=%d%s scripts/check adversary %s" % (
        steps, " CDC_ADVERSARY_WITHOUT=%s" % ",".join(without) if without else "", seed))
    try:
        game.readers.close()
        game.world.drop()
    except Exception:                   # it is reported already
        pass
    lines += fewer(game, failed, seconds)
    # at once: other seeds write to the same place
    say("\n".join(lines))
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="+")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--without", default="")
    parser.add_argument("--log")
    parser.add_argument("--ops", help="where the operations of a failure go")
    parser.add_argument("--minimize", type=int, default=0, help="seconds to look for fewer operations")
    args = parser.parse_args()
    without = [w for w in args.without.split(",") if w]
    good = [run(seed, args.steps, without, args.log, args.ops, args.minimize) for seed in args.seeds]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
