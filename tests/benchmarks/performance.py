"""Measure intake and recording on each database; write the figures into docs/performance.md: `make bench`."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: make bench -->\n", "<!-- end of figures -->\n"
BENCHMARKS = ("tests.benchmarks.intake", "tests.benchmarks.recording")
POSTGRES = "KODIAI_TEST_POSTGRES_URL"


def main() -> int:
    tables = [
        _measured(benchmark, database)
        for benchmark in BENCHMARKS
        for database in ["", *filter(None, [os.environ.get(POSTGRES)])]
    ]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    head = f"Measured on {today}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.\n"
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(
        before + BEGIN + "\n".join(["", head, *map(_markdown, tables)]) + "\n" + END + rest.partition(END)[2]
    )
    sys.stdout.write(f"{Path(PAGE).relative_to(ROOT)} is written.\n")
    return 0


def _measured(benchmark: str, database: str) -> dict[str, Any]:
    environment = {**os.environ, POSTGRES: database, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", benchmark, "--json"]
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(printed.splitlines()[-1]))


def _markdown(table: dict[str, Any]) -> str:
    lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {table['title']}\n\n{rows}\n" + "".join(f"\n{note}\n" for note in table["notes"])


if __name__ == "__main__":
    sys.exit(main())
