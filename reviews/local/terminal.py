"""Print a report in a terminal: each finding with its location, rule and fix."""

import io
import os
import shutil
import sys
from contextlib import AbstractContextManager

from rich.console import Console
from rich.text import Text

from reviews.findings import Finding, LeftOut, Report, Severity
from reviews.redaction import visible

MAX_LEFT_OUT = 20
_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.MAJOR: "red",
    Severity.MINOR: "yellow",
    Severity.INFO: "blue",
}


class Output:
    """Standard output for the report, standard error for progress and notes. Nothing is wrapped."""

    def __init__(self, *, no_color: bool = False) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # File names may contain what the terminal's encoding does not have.
                stream.reconfigure(errors="backslashreplace")
        # By itself the console takes COLUMNS=0 as it is, and prints nothing.
        width, height = shutil.get_terminal_size()
        self._report, self._notes = (
            _Console(
                stderr=on_stderr, no_color=no_color or None, width=width, height=height, highlight=False, soft_wrap=True
            )
            for on_stderr in (False, True)
        )

    def progress(self, what: str) -> AbstractContextManager[object]:
        """Show what is being done, on a terminal only."""
        return self._notes.status(what)

    def note(self, text: str) -> None:
        """Write a line to standard error."""
        self._notes.print(Text(visible(text)))

    def write(self, document: str) -> None:
        """Write a document to standard output as it is."""
        self._report.out(document)

    def show_report(self, report: Report) -> None:
        """Print a report. Control and invisible characters of the files are escaped."""
        show_report(self._report, report)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on in silence after the reader has left (`| head`): the exit status is that of the review."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def show_report(console: Console, report: Report) -> None:
    """Print a report. Control and invisible characters of the files are escaped."""
    for finding in sorted(report.findings, key=lambda finding: (finding.path, finding.start_line)):
        _show(console, finding)
    for left in report.left_out[:MAX_LEFT_OUT]:
        console.print(_left_out(left))
    if len(report.left_out) > MAX_LEFT_OUT:
        console.print(Text(f"and {len(report.left_out) - MAX_LEFT_OUT} more skipped", style="dim"))
    for path, why in report.not_read[:MAX_LEFT_OUT]:
        if path in report.partially_analysed:
            console.print(Text(f"{visible(path)}: {visible(why)}", style="yellow"))
    for engine, reason in report.engine_failures:
        console.print(Text(f"{engine} failed: {visible(reason)}. Its findings are missing.", style="red"))
    if report.suppressed_by_linters:
        off = f"{report.suppressed_by_linters} finding" + ("" if report.suppressed_by_linters == 1 else "s")
        console.print(
            Text(f"{off} suppressed by the settings or comments of the repository's own linters", style="dim")
        )
    console.print(_summary(report))


def _show(console: Console, finding: Finding) -> None:
    where = f"{visible(finding.path)}:{finding.start_line}"
    head = Text.assemble((where, "bold"), ": ", (finding.severity, _STYLES[finding.severity]), " ")
    head.append(visible(finding.rule), style=f"link {finding.rule_url}" if finding.rule_url else "")
    head.append(f" {visible(' '.join(finding.description.split()))}")
    console.print(head)
    if finding.suggestion is not None:
        for line in (finding.suggestion.text or "").split("\n") if finding.suggestion.text is not None else []:
            console.print(Text(f"    + {visible(line)}", style="green"))
        if finding.suggestion.text is None:
            console.print(Text("    - (remove it)", style="red"))
    elif finding.fix:
        console.print(Text(f"    A fix: {visible(finding.fix)}", style="dim"))


def _left_out(left: LeftOut) -> Text:
    return Text(f"{visible(left.path)} skipped: {left.reason}", style="dim")


def _summary(report: Report) -> Text:
    found = len(report.findings)
    if not report.changed_files:
        return Text("No changes to review.", style="bold")
    if not report.analysed_files:
        why = "all of them were skipped" if report.left_out else "no changed file has lines that an engine reads"
        return Text(f"Nothing to analyse: {why}.", style="bold")
    what = "no findings" if not found else f"{found} finding" + ("" if found == 1 else "s")
    counts = [
        f"{number} {severity}"
        for severity in Severity
        if (number := sum(finding.severity == severity for finding in report.findings))
    ]
    weight = f" ({', '.join(counts)})" if counts else ""
    looked = f"{len(report.analysed_files)} of {report.changed_files} changed file" + (
        "" if report.changed_files == 1 else "s"
    )
    return Text(f"{what}{weight} in {looked}, by {', '.join(report.engines) or 'no engine'}", style="bold")
