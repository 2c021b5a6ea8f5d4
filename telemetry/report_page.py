"""A telemetry report as one HTML page with its charts: no script, nothing loaded from elsewhere, all text escaped."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from telemetry.report import Figures, Period, Report
from telemetry.report_formats import COLUMNS, cells, empty_state, seconds, share, title

WIDTH, HEIGHT = 900, 180
"""Size of a chart's plot, in its own units: it scales with the page."""
_LEFT, _BOTTOM, _TOP = 64, 22, 10
MAX_BARS = 20
"""Groups in the chart of durations, those with most runs."""
_KNOWN = ("success", "partial", "skipped", "superseded", "error", "timeout")
_STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --faint: #59636e; --line: #d1d9e0; --back: #fff;
  --success: #1a7f37; --partial: #bf8700; --skipped: #818b98; --superseded: #b6bfc8; --error: #cf222e;
  --timeout: #82071e; --other: #8250df; --bar: #0969da; }
@media (prefers-color-scheme: dark) { :root { --text: #f0f6fc; --faint: #9198a1; --line: #3d444d; --back: #0d1117;
  --success: #3fb950; --partial: #d29922; --skipped: #656c76; --superseded: #4c535d; --error: #f85149;
  --timeout: #b62324; --other: #a371f7; --bar: #4493f8; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-bottom: 1px solid var(--line); }
tfoot td { font-weight: 600; } svg { width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 12px; }
svg line { stroke: var(--line); }
.legend span { margin-right: 1rem; } .legend i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
""" + "\n".join(f".{name} {{ fill: var(--{name}); background: var(--{name}); }}" for name in (*_KNOWN, "other", "bar"))

Stack = Sequence[tuple[str, float]]
"""The parts of a column from the bottom up: class of its colour, and value."""


def as_html(report: Report) -> str:
    """Return a report as one self-contained HTML page."""
    body = [f"<h1>{escape(title(report))}</h1>"]
    if report.is_empty:
        body = ["<h1>Telemetry</h1>", f"<p>{escape(empty_state(report))}</p>"]
    else:
        body += [_table(report), *_charts(report)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whatever a name in the report might hold, the page can run and load nothing.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title(report))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _table(report: Report) -> str:
    def line(name: str, figures: Figures) -> str:
        return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in (name, *cells(figures))) + "</tr>"

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (report.grouped_by or "", *COLUMNS))
    lines = "".join(line(figures.name, figures) for figures in report.groups)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody>\n'
        f"<tfoot>{line('all', report.total)}</tfoot>\n</table></div>"
    )


def _charts(report: Report) -> Iterable[str]:
    names = [*_KNOWN, *sorted(report.total.conclusions.keys() - set(_KNOWN))]
    shown = [name for name in names if name in report.total.conclusions]

    def colour(name: str) -> str:
        return name if name in _KNOWN else "other"

    def legend(name: str) -> str:
        return f'<span><i class="{colour(name)}"></i>{escape(name)} {report.total.conclusions[name]:,}</span>'

    yield "<h2>Runs by conclusion</h2>"
    yield f'<p class="legend">{"".join(map(legend, shown))}</p>'
    yield _columns(
        "Runs by conclusion",
        report.periods,
        lambda period: [(colour(name), period.conclusions.get(name, 0)) for name in shown],
        lambda value: f"{value:,.0f}",
    )
    yield "<h2>Share of runs degraded by GitHub's limits</h2>"
    yield _columns(
        "Share of degraded runs",
        report.periods,
        lambda period: [("partial", period.degraded / period.events if period.events else 0.0)],
        share,
    )
    if report.total.cost_usd:
        yield "<h2>Cost of the language model</h2>"
        yield _columns(
            "Cost", report.periods, lambda period: [("bar", period.cost_usd)], lambda value: f"${value:,.2f}"
        )
    yield "<h2>Duration: p50 and p95</h2>"
    yield _bars([each for each in report.groups if each.duration_p95_ms is not None][:MAX_BARS] or [report.total])


def _columns(
    name: str, periods: Sequence[Period], stack: Callable[[Period], Stack], label: Callable[[float], str]
) -> str:
    """Draw a column for each period; its title, which browsers show as a tip, shows its value."""
    stacks = [stack(period) for period in periods]
    top = max((sum(value for _, value in parts) for parts in stacks), default=0) or 1
    step = WIDTH / max(len(periods), 1)
    drawn = [_axis(label(top))]
    for index, (period, parts) in enumerate(zip(periods, stacks, strict=True)):
        rects, y = [], float(_TOP + HEIGHT)
        for colour, value in parts:
            if height := value / top * HEIGHT:
                y -= height
                rects.append(
                    f'<rect class="{colour}" x="{_LEFT + index * step + step * 0.1:.1f}" y="{y:.1f}" '
                    f'width="{step * 0.8:.1f}" height="{height:.1f}"/>'
                )
        total = label(sum(value for _, value in parts))
        drawn.append(f"<g><title>{escape(period.name)}: {escape(total)}</title>{''.join(rects)}</g>")
    ends = [(0, "start"), (len(periods) - 1, "end")] if len(periods) > 1 else [(0, "start")]
    for index, anchor in ends if periods else []:
        x = _LEFT + (0 if anchor == "start" else WIDTH)
        drawn.append(
            f'<text x="{x}" y="{_TOP + HEIGHT + 16}" text-anchor="{anchor}">{escape(periods[index].name)}</text>'
        )
    return _svg(name, _TOP + HEIGHT + _BOTTOM, drawn)


def _axis(top: str) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_LEFT + WIDTH}" y1="{_TOP}" y2="{_TOP}"/>'
        f'<line x1="{_LEFT}" x2="{_LEFT + WIDTH}" y1="{_TOP + HEIGHT}" y2="{_TOP + HEIGHT}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{escape(top)}</text>'
        f'<text x="{_LEFT - 6}" y="{_TOP + HEIGHT + 4}" text-anchor="end">0</text>'
    )


def _bars(groups: Sequence[Figures]) -> str:
    """Draw the median of each group over its 95th percentile."""
    top = max((each.duration_p95_ms or 0 for each in groups), default=0) or 1
    drawn, name_width, row = [], 220, 22
    scale = (WIDTH - name_width - 170) / top
    for index, each in enumerate(groups):
        p50, p95 = each.duration_p50_ms or 0, each.duration_p95_ms or 0
        name = each.name if len(each.name) <= 30 else each.name[:29] + "…"
        y = index * row
        drawn.append(
            f'<text x="{name_width - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="superseded" x="{name_width}" y="{y + 3}" width="{p95 * scale:.1f}" height="{row - 6}"/>'
            f'<rect class="bar" x="{name_width}" y="{y + 3}" width="{p50 * scale:.1f}" height="{row - 6}"/>'
            f'<text x="{name_width + p95 * scale + 8:.1f}" y="{y + 15}">{seconds(p50)} / {seconds(p95)}</text>'
        )
    return _svg("Duration: median and 95th percentile", len(groups) * row + 4, drawn)


def _svg(name: str, height: float, drawn: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_LEFT + WIDTH + 8} {height}" role="img" aria-label="{escape(name)}">'
        + "".join(drawn)
        + "</svg>"
    )
