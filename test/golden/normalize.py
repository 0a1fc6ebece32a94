#!/usr/bin/python3
"""Replaces what is new in every run by something that is not: LSNs and xids by
their places among the others, times by a word. Everything else stays as it is,
byte for byte, and what is equal or in order stays so."""

import re
import sys

LSN = r"[0-9A-F]+/[0-9A-F]+"
EVENT = re.compile(rf'^\{{"position":"({LSN})/({LSN})/([0-9]+)"')
TRANSACTION = re.compile(r'^(\{(?:"position":"[^"]*",)?)"xid":([0-9]+)(?:,"commit_time":"([^"]*)")?')
OUTCOME = re.compile(rf'(?:,"commit_lsn":"({LSN})")?(?:,"prepare_lsn":"({LSN})")?,"end_lsn":"({LSN})"'
                     r'(,"event_count":[0-9]+\}$)')
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$")


def number(lsn):
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def places(lsns):
    return {lsn: place for place, lsn in enumerate(sorted(set(lsns), key=number), 1)}


lines = sys.stdin.read().splitlines()
events = [m for m in map(EVENT.search, lines) if m]
outcomes = [m for m in map(OUTCOME.search, lines) if m]
# Ends are apart: whether one is also the start of what follows is chance.
commits = places([m[1] for m in events] + [m[1] for m in outcomes if m[1]])
rows = places(m[2] for m in events)
ends = places(lsn for m in outcomes for lsn in (m[2], m[3]) if lsn)
xids = {}


def event(m):
    return f'{{"position":"commit {commits[m[1]]}, row {rows[m[2]]}, {m[3]}"'


def transaction(m):
    time = m[3] if m[3] is None or not TIME.match(m[3]) else "then"
    return (f'{m[1]}"xid":{xids.setdefault(m[2], len(xids) + 1)}'
            + (f',"commit_time":"{time}"' if time is not None else ""))


def outcome(m):
    return "".join([f',"commit_lsn":"commit {commits[m[1]]}"' if m[1] else "",
                    f',"prepare_lsn":"end {ends[m[2]]}"' if m[2] else "",
                    f',"end_lsn":"end {ends[m[3]]}"', m[4]])


for line in lines:
    if line.startswith('{"position"'):
        line = EVENT.sub(event, line)
    elif line.startswith('{"xid"'):
        line = OUTCOME.sub(outcome, line)
    print(TRANSACTION.sub(transaction, line))
