"""Time `kodiai review` of a change of three files: `python -m tests.benchmarks.local_review [TIMES]`.

Prints the least time on the clock and the least processor time, of the command with its analyzers, and of a process
that only imports what the command needs.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.git import ENVIRONMENT, Git

REVIEW = ("-m", "kodiai", "review")
IMPORT = ("-c", "import reviews.local.git_range, reviews.local.export, reviews.local.terminal")


def measure(command: tuple[str, ...], at: Path) -> tuple[float, float]:
    """Run Python and return seconds on the clock and of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, *command], cwd=at, env=environment, check=True, capture_output=True)
    clock = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(times: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        git = Git(Path(directory) / "repository")
        git.commit()
        git.write(a__py="import os\n", b__js="debugger;\n", c__sh="#!/bin/sh\ncd $1\n")
        for name, command in (("review", REVIEW), ("import", IMPORT)):
            clock, processor = map(min, zip(*(measure(command, git.directory) for _ in range(times)), strict=True))
            sys.stdout.write(f"{name}: {clock:.2f} s on the clock, {processor:.2f} s of processor time\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
