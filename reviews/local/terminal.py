"""Print a report in a terminal: each finding with its location, rule and fix."""

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


def show_report(console: Console, report: Report) -> None:
    """Print a report. Control and invisible characters of the files are escaped."""
    for finding in sorted(report.findings, key=lambda finding: (finding.path, finding.start_line)):
        _show(console, finding)
    for change in report.config_change or ():
        console.print(Text(change, style="yellow"), soft_wrap=True)
    for left in report.left_out[:MAX_LEFT_OUT]:
        console.print(_left_out(left), soft_wrap=True)
    if len(report.left_out) > MAX_LEFT_OUT:
        console.print(Text(f"and {len(report.left_out) - MAX_LEFT_OUT} more skipped", style="dim"))
    for engine, reason in report.engine_failures:
        console.print(
            Text(f"{engine} failed: {visible(reason)}. Its findings are missing.", style="red"), soft_wrap=True
        )
    console.print(_summary(report), soft_wrap=True)


def _show(console: Console, finding: Finding) -> None:
    where = f"{visible(finding.path)}:{finding.start_line}"
    head = Text.assemble((where, "bold"), ": ", (finding.severity, _STYLES[finding.severity]), " ")
    head.append(visible(finding.rule), style=f"link {finding.rule_url}" if finding.rule_url else "")
    head.append(f" {visible(' '.join(finding.message.split()))}")
    console.print(head, soft_wrap=True)
    if finding.suggestion is not None:
        for line in (finding.suggestion.text or "").split("\n") if finding.suggestion.text is not None else []:
            console.print(Text(f"    + {visible(line)}", style="green"), soft_wrap=True)
        if finding.suggestion.text is None:
            console.print(Text("    - (remove it)", style="red"))
    elif finding.fix:
        console.print(Text(f"    A fix: {visible(finding.fix)}", style="dim"), soft_wrap=True)


def _left_out(left: LeftOut) -> Text:
    return Text(f"{visible(left.path)} skipped: {left.reason}", style="dim")


def _summary(report: Report) -> Text:
    found = len(report.findings)
    if not report.analysed_files:
        return Text("Nothing to analyse: no engine reads the changed files.", style="bold")
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
