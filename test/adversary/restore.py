"""Dumps the database, restores it elsewhere, and plays on there: of a rule's columns
only the names count then, those of all its life."""

import copy
import random
import re
import subprocess

import psycopg2

from actions import Play
from oracle import ALWAYS, Marker
from readers import Readers
from world import Grant, Violation, World

STEPS = 40


def programs(source, target, options):
    """What psql says of a restored dump."""
    dump = subprocess.Popen(["pg_dump", "-d", source, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    restored = subprocess.run(["psql", "-XAtq", "-d", target], stdin=dump.stdout, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    said = dump.stderr.read().decode()
    dump.stdout.close()
    if dump.wait() != 0:
        raise Violation("pg_dump failed: " + said)
    return restored.stderr


def rules_of(oracle, restored, view):
    """The rules in the restored database."""
    for rule in oracle.rules:
        if rule.dead or rule.removed is not None or rule.committed is None:
            continue
        new = copy.copy(rule)
        new.joined, new.names, new.tags = {}, {}, {}
        new.step = new.committed = 0
        new.restored = True
        for place in rule.names:
            restored.name(new, place, 0, None)
        restored.rules.append(new)
        if new.pattern is None:
            restored.follow_rule(new, view, ALWAYS, None)


def markers_of(world, restored):
    """What was written before its column became json stays so: it may be no object there."""
    before, after = world.oracle, restored.oracle
    for number, marker in before.markers.items():
        homes = {home: restored.committed.places.get(world.committed.place(home)) for home in marker.homes}
        older = [there for home, there in homes.items() if there and marker.step < before.made_json.get(home, ALWAYS)]
        after.made_json.update(dict.fromkeys(older, 0))
        after.markers[number] = Marker(number, filter(None, homes.values()), marker.path, ALWAYS if older else 0, None,
                                       False, False)


def grants_of(world, restored):
    """Those that count: by the names of now, which what is not there yet may get later."""
    for grant in world.grants:
        table = world.committed.tables.get(grant.oid)
        if table is None or grant.gone == "surely" or grant.label is not None:
            continue
        there = restored.committed.table(table.schema, table.name)
        names = [table.by_number[n].name for n in grant.numbers or () if n in table.by_number]
        numbers = [there.by_name[n].number for n in names if n in there.by_name] if there else []
        new = Grant(grant.role, there and there.oid, None if grant.numbers is None else numbers, grant.giver, None)
        new.gone = grant.gone
        new.name = table.schema, table.name
        restored.grants.append(new)


def settle(world):
    world.do(("arrive", "L"))
    for name in "ABSL":
        world.do(("commit", name))
    for gid in sorted(world.prepared):
        world.do(("finish", "S", gid, "COMMIT"))


def restore(world, options):
    """(the world that a dump of this one makes, with its rules and markers; the first
    operation there)"""
    settle(world)
    world.look(None)
    restored = World(world.database + "_r", world.seed, world.bound, parent=world)
    restored.create()
    said = programs(world.database, restored.database, options)
    errors = [line for line in said.splitlines() if "ERROR" in line]
    if errors and (not options or re.search(r"cdc\.|cdc_", "\n".join(errors))):
        raise Violation("the restore of a dump%s failed:\n%s" % (" with " + " ".join(options) if options else "", said))
    with psycopg2.connect(dbname=restored.database) as c:
        c.cursor().execute("ALTER DATABASE %s SET log_min_error_statement = panic; GRANT CREATE ON DATABASE %s TO %s" %
                           (restored.database, restored.database, world.roles["owner"]))
    c.close()
    world.log.append((world.step, ("restored by", "pg_dump", *options), ""))
    restored.log = world.log
    restored.open()
    rules_of(world.oracle, restored.oracle, restored.committed)
    markers_of(world, restored)
    grants_of(world, restored)
    for key, rule in world.rules.items():
        restored.rules.update({key: r for r in restored.oracle.rules if r.number == rule.number and not rule.dead})
    return restored, len(world.log)


def run(game, partly):
    """partly: without one of the schemas"""
    world = game.world
    settle(world)
    schemas = world.look(None).schemas
    restored, start = restore(world, ["-N", schemas[-1]] if partly and len(schemas) > 2 else [])
    try:
        play_on(game, restored)
    except Violation as e:
        raise Violation("(in the database that was restored, since operation %d): %s" % (start, e)) from e
    world.last_marker, world.last_id = restored.last_marker, restored.last_id
    world.worst = max(world.worst, restored.worst)
    # what was done there has no part in what follows
    del world.log[start - 1:]


def play_on(game, restored):
    readers = Readers(restored, random.Random(game.done), game.log, consumers=("c1",))
    play = Play(restored, game.rng, game.without)
    play.serial = 10000 * game.done
    if game.rng.random() < 0.5:
        restored.do(("admin", "S", "SELECT cdc.bind_grants()"))
    for table in list(restored.committed.tables.values()):
        play.session, play.view = "A", restored.look(None)
        if table.columns:
            rows = play.row(table, table.bound)
            if rows[0]:
                restored.do(("dml", "W", "INSERT INTO %s (%s) VALUES (%s) RETURNING tableoid::bigint" % (
                    table.sql(), ", ".join(rows[0]), ", ".join(rows[1])), [rows[2]]))
    readers.round()
    for step in range(STEPS):
        if step == STEPS // 2:
            readers.round()
            for key in sorted(restored.rules):
                if game.rng.random() < 0.5:
                    restored.do(("confirm", "S", key))
        for op in play.ops():
            if op[0] != "read":
                restored.do(op)
    settle(restored)
    readers.round()
    readers.close()
    restored.drop()
