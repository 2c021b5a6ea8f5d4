"""Run each target's tests against its mutants: `make mutation`, or `python -m tools.mutation TARGET --only NUMBER …`.

A start of Django and pytest costs more than the tests. So this process loads what is not Kodiai's own once, and forks
for each mutant: the child is handed the mutated source in place of the file, which is never touched, and a copy of a
database that has been migrated. It runs the tests that come by the changed statement and stops at the first that fails.
Before the mutants the code as it is goes the same way, with all the tests, and has to survive.

The database is SQLite, or PostgreSQL where `KODIAI_TEST_POSTGRES_URL` names a server.
"""

import argparse
import ast
import importlib
import importlib.machinery
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import psycopg
import pytest

from tools.mutation.targets import TARGETS, Target

OWN = ("kodiai", "reviews", "telemetry", "tests")
OUT = Path("var/mutation")
POSTGRES_URL = os.environ.get("KODIAI_TEST_POSTGRES_URL", "")
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
NEEDS_DJANGO = (".models", ".admin", "django_tasks", "django_rq", "drf_spectacular", "rest_framework")
MAX_CONTROL = 1200.0
"""Seconds for the code as it is. What it takes says how long a mutant may: the machine may have other things to do."""
MISSED, NOTICED = 0, (1, 2)
"""pytest's exit codes: all passed; one failed, could not be collected. Any other says that no test was asked."""


@dataclass(eq=False)  # pytest needs a hash
class Watch:
    """A pytest plugin: which test comes by which lines of a file, and how long it takes."""

    path: str
    lines: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        seen: set[int] = set()

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != self.path:
                return None
            seen.add(frame.f_lineno)
            return trace

        started = time.monotonic()
        threading.settrace(trace)
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self.lines[item.nodeid] = sorted(seen)
            self.seconds[item.nodeid] = time.monotonic() - started


@dataclass(eq=False)  # pytest needs a hash
class FirstFailure:
    said: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.said:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.said = f"{report.nodeid}: {crash.message if crash else report.longrepr}"[:600]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.said:
            self.said = f"{report.nodeid}: not collected"


class Database:
    """A pytest plugin: the tests run on a database that is there already."""

    @pytest.fixture(scope="session")
    def django_db_setup(self, django_test_environment: None) -> None:
        """Nothing is made and nothing migrated."""


def use(code: str, target: Target) -> None:
    """Hand `code` to whoever imports the target."""
    assert target.module not in sys.modules, target.module
    path = str(Path(target.path).resolve())
    get_code = importlib.machinery.SourceFileLoader.get_code

    def mutated(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        return compile(code, path, "exec") if name == target.module else get_code(loader, name)

    importlib.machinery.SourceFileLoader.get_code = mutated  # type: ignore[method-assign]


def database_name(folder: Path, name: str) -> str:
    return f"kodiai_mutation_{name}" if POSTGRES_URL else str(folder / f"{name}.sqlite3")


def copy_database(template: str, name: str) -> None:
    if POSTGRES_URL:
        drop_database(name)
        on_the_server(f"CREATE DATABASE {name} TEMPLATE {template}")
    else:
        shutil.copy(template, name)


def drop_database(name: str) -> None:
    """Remove a database on the PostgreSQL server; a file goes with its folder."""
    if POSTGRES_URL:
        on_the_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def on_the_server(statement: str) -> None:
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(statement)


def child(target: Target, database: str, folder: Path, code: str, tests: list[str], cpu: int) -> None:
    """Run `tests` on the mutant and end this process with pytest's exit code."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    use(code, target)
    from django.conf import settings

    settings.DATABASES["default"] |= {"NAME": database, "TEST": {"NAME": database}}
    first = FirstFailure()
    options = [*QUIET, "-x", "-p", "no:hypothesispytest", "--no-header"]
    ended = pytest.main([*options, f"--basetemp={folder / 'tmp'}", *tests], plugins=[first, Database()])
    (folder / "said").write_text(first.said)
    os._exit(int(ended))


def watched_run(target: Target, out: Path) -> dict[str, Any]:
    """Run the target's tests on the code as it is, in a child, and return what was seen. They have to pass."""
    pid = os.fork()
    if pid == 0:
        watch = Watch(str(Path(target.path).resolve()))
        from django.conf import settings

        settings.DATABASES["default"] |= {"TEST": {"NAME": database_name(out, "template")}}
        options = [*QUIET, "--create-db", "--reuse-db", "-m", "not slow"]
        options += ["-k", f"not ({target.deselected})"] if target.deselected else []
        started = time.process_time()
        ended = pytest.main([*options, f"--basetemp={out / 'tmp'}", *target.tests], plugins=[watch])
        modules = [name for name in sys.modules if name.partition(".")[0] not in OWN]
        seen = {
            "lines": watch.lines,
            "seconds": watch.seconds,
            "cpu": time.process_time() - started,
            "modules": modules,
        }
        (out / "baseline.json").write_text(json.dumps(seen))
        os._exit(int(ended))
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        sys.exit(f"{target.path}: its tests do not pass on the code as it is")
    seen = json.loads((out / "baseline.json").read_text())
    for name in seen["modules"]:
        if not any(part in name for part in NEEDS_DJANGO) and not name.startswith("django.contrib"):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - then each child loads it for itself
                continue
    loaded = [
        name for name in sys.modules if name.partition(".")[0] in OWN and not name.startswith(("kodiai", "tests"))
    ]
    assert not loaded, f"loaded before the fork: {loaded}"
    return seen


def tests_for(mutant: dict[str, Any], seen: dict[str, Any], imported: set[int]) -> list[str]:
    """The tests that come by the mutant's statement, the fastest first; all of them where it runs at import."""
    lines = set(range(mutant["first"], mutant["last"] + 1))
    by = [test for test, passed in seen["lines"].items() if lines & set(passed)]
    if not by and not lines & imported:
        return []
    return sorted(by or seen["lines"], key=seen["seconds"].__getitem__)


def run(name: str, target: Target, only: set[int]) -> None:
    out = (OUT / name).resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    so_far = OUT / f"{name}.results.jsonl"
    so_far.unlink(missing_ok=True)
    mutants = json.loads((OUT / f"{name}.mutants.json").read_text())
    seen = watched_run(target, out)
    source = Path(target.path).read_text()
    at_import = {line for mutant in mutants for line in range(mutant["first"], mutant["last"] + 1)} - function_lines(
        source
    )
    print(
        f"== {name}: {len(mutants)} mutants, {len(seen['lines'])} tests in {sum(seen['seconds'].values()):.1f} s",
        flush=True,
    )
    cpu = max(20, round(5 * seen["cpu"]))
    started = time.monotonic()
    control = outcome(target, out, {"id": 0, "code": source}, sorted(seen["lines"]), cpu, MAX_CONTROL)
    limit = max(60.0, 5 * (time.monotonic() - started))
    if control != ("survived", ""):
        sys.exit(f"{target.path}: run like a mutant, the code as it is has to survive, but: {' '.join(control)}")
    done: list[dict[str, Any]] = []
    for mutant in mutants:
        if only and mutant["id"] not in only:
            continue
        tests = tests_for(mutant, seen, at_import)
        ended, by = outcome(target, out, mutant, tests, cpu, limit) if tests else ("survived", "no test comes by")
        done.append({**mutant, "code": "", "outcome": ended, "by": by})
        with so_far.open("a") as lines:
            lines.write(json.dumps(done[-1]) + "\n")
    drop_database(database_name(out, "template"))
    report(name, done)


def outcome(
    target: Target, out: Path, mutant: dict[str, Any], tests: list[str], cpu: int, limit: float
) -> tuple[str, str]:
    """Run `tests` on a mutant in a child; return how that ended, and what the test that failed said.

    It may take `cpu` seconds of work, and `limit` seconds by the clock.
    """
    folder = out / str(mutant["id"])
    folder.mkdir()
    database = database_name(folder, "mutant")
    copy_database(database_name(out, "template"), database)
    until = time.monotonic() + limit
    pid = os.fork()
    if pid == 0:
        child(target, database, folder, mutant["code"], tests, cpu)
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(ended[1])
    said = (folder / "said").read_text() if (folder / "said").exists() else ""
    drop_database(database)
    shutil.rmtree(folder)
    if code < 0:
        return "timed out", said
    if code == MISSED:
        return "survived", said
    # Without the name of a test it was the test run that failed, and not the mutant.
    return "killed" if code in NOTICED and said else "broken", said


def function_lines(source: str) -> set[int]:
    """The lines inside of functions, which do not run when the file is imported."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {line for each in functions for line in range(each.body[0].lineno, (each.end_lineno or 0) + 1)}


def report(name: str, done: list[dict[str, Any]]) -> None:
    (OUT / f"{name}.results.json").write_text(json.dumps(done, indent=1))
    counts = {
        outcome: sum(mutant["outcome"] == outcome for mutant in done)
        for outcome in ("killed", "timed out", "survived", "broken")
    }
    for mutant in done:
        if mutant["outcome"] != "killed":
            print(
                f"-- {mutant['id']} line {mutant['first']}, {mutant['outcome']} ({mutant['by']})",
                *mutant["diff"],
                sep="\n",
            )
    caught = counts["killed"] + counts["timed out"]
    print(f"== {name}: {counts}, {100 * caught / max(len(done), 1):.1f} % noticed", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--only", type=int, nargs="*", default=[], help="numbers of mutants")
    arguments = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    # One test database for all processes of this run.
    os.environ["KODIAI_TEST_RUN"] = str(os.getpid())
    run(arguments.target, TARGETS[arguments.target], set(arguments.only))
