"""The alerts with their times divided, so that what takes minutes is seen in seconds.

  scaled.py FACTOR        prints them

Divided are windows ([10m], offset 10m), for and keep_firing_for, what is compared with a metric of seconds, and
the horizon of a rate (3600 * deriv(...)). Bytes and numbers of events stay as they are."""
import re
import sys

import yaml

from metrics import FOLDER

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION = r"\d+(?:ms|[smhd])"


def duration(text, factor):
    number, unit = re.fullmatch(r"(\d+)(ms|[smhd])", text).groups()
    return "%dms" % max(1, int(number) * UNITS[unit] / factor)


def expression(text, factor):
    text = re.sub(r"(?<=\[)%s(?=\])|(?<=offset )%s" % (DURATION, DURATION), lambda m: duration(m[0], factor), text)
    number = r"(\d+(?:\.\d+)?(?:e\d+)?)\b"
    text = re.sub(r"(\bcdc_\w+_seconds(?:\{[^}]*\})?\)* *[<>]=? *)" + number, lambda m: m[1] + "%g" % (float(m[2]) / factor), text)
    return re.sub(r"\b" + number + r"(?= \* (?:deriv|rate)\()", lambda m: "%g" % (float(m[1]) / factor), text)


def scaled(factor):
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression(rule["expr"], factor)
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = duration(rule[key], factor)
    return yaml.safe_dump(rules, sort_keys=False, width=1000)


if __name__ == "__main__":
    sys.stdout.write(scaled(float(sys.argv[1])))
