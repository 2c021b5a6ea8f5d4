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
        "Review a git range on this machine, with the engines that review pull requests: no GitHub, no App, no "
        "database. Without RANGE it compares the files as they are with where this branch left the default branch; "
        "files that git does not know yet are not looked at (git add -N makes them known). Ends with 0; with 1 where a "
        "finding is as severe as --fail-on, with 2 where nothing could be reviewed."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "range",
            nargs="?",
            metavar="RANGE",
            help="as for git diff: main...HEAD, A..B, or A for A up to the files as they are",
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
            help="end with status 1 where a finding is as severe as this or more (%(default)s)",
        )
        parser.add_argument(
            "--language-model",
            action="store_true",
            help="ask the language model too, with the settings KODIAI_LLM_…: it gets the changed lines",
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
            raise CommandError("KODIAI_LLM_MODEL names no language model: docs/language-model.md", returncode=2)

        # Progress and what is told beside the review go to standard error: standard output is the review.
        beside = Console(stderr=True, no_color=no_color or None, highlight=False)
        with beside.status("Reading the repository…"):
            from reviews.local.git_range import GitRepository, NotAReview, UnlimitedBudget, review

            try:
                repository = GitRepository(directory)
                compared = repository.range(range)
                files = repository.changed_files(compared)
            except NotAReview as problem:
                raise CommandError(str(problem), returncode=2) from problem
        noun = "file" if len(files) == 1 else "files"
        beside.print(f"{compared.name}: {len(files)} changed {noun}", markup=False)
        started = time.monotonic()
        with beside.status(f"Looking at {len(files)} {noun}…"):
            budget = UnlimitedBudget() if language_model else None
            report = review(repository, compared, files, budget)
        if budget and (used := budget.usage):
            beside.print(
                f"{used.model}: {used.input_tokens} tokens read, {used.output_tokens} written, ${used.cost_usd:.4f}",
                markup=False,
            )
        for ignored in repository.config(compared).problems:
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
        elif told := export.as_annotations(report):
            self.stdout.write(told)
