"""The command `review`: its options, its output and its exit status. Runs without Django unless a model is asked."""

import logging
import os
import secrets
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from reviews.findings import Report
    from reviews.local.terminal import Output

FORMATS = ("text", "json", "sarif", "github")
SEVERITIES = ("critical", "major", "minor", "info")
NOTHING_REVIEWED = 2
DESCRIPTION = """\
Review a git range on this machine with the engines that review pull requests.
Needs no GitHub, no App and no database."""
EPILOG = """\
what is compared:
  Without RANGE: the working tree, untracked files included, with its merge base
  with the default branch. In GitHub Actions: the checked out commit with the base
  of the event (GITHUB_BASE_REF, GITHUB_EVENT_PATH). .kodiai.yml and settings of
  linters are read from the base.

exit status:
  0  reviewed, and nothing found that --fail-on names
  1  --fail-on: a finding has this severity or a higher one
  2  nothing could be reviewed; or, with --fail-on, an engine failed or could not
     read a file, so that the absence of findings is not certain

The report is on standard output, progress and notes are on standard error.
NO_COLOR turns colours off."""

_IMPORTED = time.monotonic()


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(NOTHING_REVIEWED, f"{self.prog}: {message}; {self.prog} --help shows all options\n")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.add_argument(
        "range",
        nargs="?",
        metavar="RANGE",
        help="as for git diff: main...HEAD, A..B, or A for A up to the working tree",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text",
        help="text; json; sarif; github: annotations, the default in GitHub Actions (%(default)s)",
    )
    parser.add_argument(
        "--fail-on",
        choices=(*SEVERITIES, "never"),
        default="never",
        help="exit with 1 if a finding has this severity or a higher one (%(default)s)",
    )
    parser.add_argument(
        "--language-model",
        action="store_true",
        help="also call the language model (settings KODIAI_LLM_…), which receives the changed lines",
    )
    parser.add_argument("-C", dest="directory", type=Path, default=Path(), help="the repository (this directory)")


def main(arguments: list[str], program: str) -> int:
    """Parse the arguments of the command line and run the command; return the exit status."""
    parser = _Parser(prog=program)
    add_arguments(parser)
    parser.add_argument("--no-color", action="store_true", help="no colours, as with NO_COLOR=1")
    return run(parser.parse_args(arguments))


def run(options: Namespace) -> int:
    """Run the command and return its exit status."""
    # Failures of engines are part of the report.
    logging.getLogger("reviews").addHandler(logging.NullHandler())
    from reviews.local.git import NotAReview
    from reviews.local.terminal import Output

    output = Output(no_color=options.no_color)
    try:
        return _review(options, output)
    except NotAReview as problem:
        output.note(f"kodiai: {problem}")
        return NOTHING_REVIEWED
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        output.note(f"kodiai: {error.strerror or error}")
        return NOTHING_REVIEWED


def _review(options: Namespace, output: "Output") -> int:
    from reviews.findings import Report
    from reviews.local.actions import event_base
    from reviews.local.git_range import MAX_UNTRACKED, GitRepository, UnlimitedBudget, review

    budget = None
    if options.language_model:
        _configure_language_model()
        budget = UnlimitedBudget()
    with output.progress("Reading the repository…"):
        repository = GitRepository(options.directory)
        revisions = repository.range(options.range, event_base(os.environ))
        files = repository.changed_files(revisions)
    noun = "file" if len(files) == 1 else "files"
    output.note(f"{revisions.name}: {len(files)} changed {noun}")
    if len(repository.untracked(revisions)) == MAX_UNTRACKED:
        output.note(f"Only the first {MAX_UNTRACKED} untracked files are part of the review; see .gitignore.")
    with output.progress(f"Analysing {len(files)} {noun}…"):
        report = review(repository, revisions, files, budget, options.fail_on) if files else Report()
    if budget and (used := budget.usage):
        output.note(f"{used.model}: {used.input_tokens} tokens in, {used.output_tokens} out, ${used.cost_usd:.4f}")
    for problem in (*report.config_problems, *report.linter_problems):
        output.note(f"At the base: {problem}")
    for problem in report.config_change or ():
        problem = problem.replace("defaults were used", "defaults would be used")
        output.note(f"As changed here: {problem} This review used what the base has.")
    _write(report, options.format, output)
    if options.format == "text":
        output.note(f"({_seconds_since_start():.1f} s)")
    return _status(report, options.fail_on, output)


def _write(report: "Report", format: str, output: "Output") -> None:
    from reviews.local import export

    if format == "text":
        output.show_report(report)
    elif format == "json":
        output.write(export.as_json(report))
    elif format == "sarif":
        output.write(export.as_sarif(report))
    elif annotations := export.as_annotations(report):
        output.write(annotations)


def _status(report: "Report", fail_on: str, output: "Output") -> int:
    if fail_on == "never":
        return 0
    if any(SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on) for finding in report.findings):
        return 1
    if report.is_incomplete:
        output.note("kodiai: not everything could be read (see above), so --fail-on cannot pass")
        return NOTHING_REVIEWED
    return 0


def _configure_language_model() -> None:
    """Read the settings of the language model, which are those of a server. Raises `NotAReview`."""
    from reviews.local.git import NotAReview

    # A local review signs and stores nothing.
    for name in ("KODIAI_SECRET_KEY_FILE", "DATABASE_URL_FILE"):
        os.environ.pop(name, None)
    os.environ["KODIAI_SECRET_KEY"] = secrets.token_urlsafe(50)
    os.environ["DATABASE_URL"] = "sqlite:///:memory:"
    os.environ["DJANGO_SETTINGS_MODULE"] = "kodiai.settings"
    try:
        from django.conf import settings

        model = settings.KODIAI_LLM_MODEL
    except SystemExit as stopped:
        # The settings end a process with a sentence; here status 1 would mean findings.
        raise NotAReview(str(stopped)) from None
    except ImportError as error:
        raise NotAReview("the language model needs more packages: pip install 'kodiai[server,llm]'") from error
    if not model:
        raise NotAReview("KODIAI_LLM_MODEL is not set; see docs/language-model.md")


def _seconds_since_start() -> float:
    """Seconds since this process was started; on systems that do not say, since this module was imported."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8")
        # Field 22, in ticks since boot; the second field may contain spaces. Source: proc(5).
        ticks = int(stat.rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
