import os
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

FORMATS = ("text", "json", "sarif", "github")
SEVERITIES = ("critical", "major", "minor", "info")


class Command(BaseCommand):
    help = (
        "Review a git range on this machine with the engines that review pull requests. Needs no GitHub, App or "
        "database. Without RANGE it compares the working tree with its merge base with the default branch. Untracked "
        "files are not analysed (git add -N includes them). Exits with 0; with 1 if a finding is as severe as "
        "--fail-on; with 2 if nothing could be reviewed."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
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

    def handle(
        self,
        *args: Any,
        range: str | None,
        format: str,
        fail_on: str,
        language_model: bool,
        directory: Path,
        no_color: bool,
        **options: Any,
    ) -> None:
        from django.conf import settings
        from rich.console import Console

        if language_model and not settings.KODIAI_LLM_MODEL:
            raise CommandError("KODIAI_LLM_MODEL is not set; see docs/language-model.md", returncode=2)

        # Progress and notes go to standard error: standard output is the report.
        beside = Console(stderr=True, no_color=no_color or None, highlight=False)
        with beside.status("Reading the repository…"):
            from reviews.local.git_range import GitRepository, NotAReview, UnlimitedBudget, review

            try:
                repository = GitRepository(directory)
                revisions = repository.range(range)
                files = repository.changed_files(revisions)
            except NotAReview as problem:
                raise CommandError(str(problem), returncode=2) from problem
        noun = "file" if len(files) == 1 else "files"
        beside.print(f"{revisions.name}: {len(files)} changed {noun}", markup=False)
        started = time.monotonic()
        with beside.status(f"Analysing {len(files)} {noun}…"):
            budget = UnlimitedBudget() if language_model else None
            report = review(repository, revisions, files, budget)
        if budget and (used := budget.usage):
            beside.print(
                f"{used.model}: {used.input_tokens} tokens in, {used.output_tokens} out, ${used.cost_usd:.4f}",
                markup=False,
            )
        for ignored in repository.config(revisions).problems:
            beside.print(ignored, style="yellow", markup=False)
        self._write(report, format, no_color)
        if format == "text":
            beside.print(f"({time.monotonic() - started:.1f} s)", style="dim")
        if fail_on != "never" and any(
            SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on) for finding in report.findings
        ):
            sys.exit(1)

    def _write(self, report: Any, format: str, no_color: bool) -> None:
        from reviews.local import export

        if format == "text":
            from rich.console import Console

            from reviews.local.terminal import show_report

            show_report(Console(no_color=no_color or None, highlight=False), report)
        elif format == "json":
            self.stdout.write(export.as_json(report))
        elif format == "sarif":
            self.stdout.write(export.as_sarif(report))
        elif annotations := export.as_annotations(report):
            self.stdout.write(annotations)
