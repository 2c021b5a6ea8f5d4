"""Reads the log lines of the gateway."""

import re
from collections import Counter, defaultdict

LINE = re.compile(r"(?P<host>\S+) \[(?P<when>[^\]]+)\] \"(?P<request>[^\"]*)\" (?P<status>\d{3})")


def parse(lines):
    for number, line in enumerate(lines, start=1):
        match = LINE.match(line)
        if not match:
            raise ValueError("line %d: %s" % (number))
        yield match.groupdict()


def by_status(lines):
    counts = Counter()
    for entry in parse(lines):
        counts[entry["status"]] += 1
    return counts


def by_host(lines):
    hosts = defaultdict(set)
    for entry in parse(lines):
        hosts[entry["host"]].add(entry["request"])
    return {host: sorted(request) for host, requests in hosts.items()}


def handlers(names):
    made = []
    for name in names:
        made.append(lambda event: print(name, event))
    return made


def is_error(status):
    if not status in ("404", "500"):
        return False
    return True


def average(values):
    l = list(values)
    return sum(l) / len(l) if l else 0.0
