"""Finds markers in bytes: as they are, in base64, in hexadecimal digits, also where a column
has become text and bytea in turn."""

import base64
import re

PLAIN = re.compile(rb"mk0\d{6}x")
HEX = re.compile(rb"6d6b30(?:3\d){6}78", re.I)
# the digits of digits, and how "mk0" looks in them, in those of them, and so on
TWICE = re.compile(rb"(?:3\d|[46][1-6]){20,}")
NESTED = [b"366436623330"]
for _ in range(7):
    NESTED.append(NESTED[-1].hex().encode())
# "mk0" at each of the three ways in which it can fall into groups of three bytes
BASE64 = re.compile(rb"bWsw|1rMD|tazA")


def marker(number):
    return "mk%07dx" % number


def numbers(texts):
    return {int(text[2:-1]) for text in texts}


def of_base64(run):
    found = set()
    for start in range(4):
        part = run[start:]
        try:
            found.update(PLAIN.findall(base64.b64decode(part[:len(part) // 4 * 4])))
        except ValueError:
            pass
    return found


def of_digits(data):
    found = set()
    if not any(text in data for text in NESTED):
        return found
    for run in TWICE.findall(data):
        for start in range(2):
            part = run[start:]
            found |= find(bytes.fromhex(part[:len(part) // 2 * 2].decode()))
    return found


def find(data):
    """The numbers of all markers in data."""
    found = set(PLAIN.findall(data))
    for text in HEX.findall(data):
        found.add(bytes.fromhex(text.decode()))
    for hit in BASE64.finditer(data):
        found |= of_base64(data[max(0, hit.start() - 4):hit.end() + 16])
    return numbers(found) | of_digits(data)
