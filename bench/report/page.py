"""Results to one self-contained HTML page, and to Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.report.names import interval, reading, title
from bench.report.plots import plots
from bench.report.results import Change, Result, Run

__all__ = ["to_html", "to_markdown", "to_markdown_changes"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --paper: #fff; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
td small { white-space: nowrap; } td small, p.made, figcaption { color: var(--dim); }
figure { margin: 1.5rem 0; } figure svg { background: var(--paper); border-radius: 6px; max-width: 100%; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(27rem, 1fr)); gap: 0 1.5rem; }
th:first-child, td:first-child { min-width: 14rem; } .wide { overflow-x: auto; }
details { margin: .5rem 0; } .note { color: #b3541e; }
"""


def to_html(results: Sequence[Result]) -> str:
    """One page with everything in it: no scripts, nothing fetched."""
    sections = "\n".join(_section(result) for result in results)
    contents = "".join(f'<li><a href="#{_anchor(r)}">{escape(r.title)}</a> <small>{r.at}</small></li>' for r in results)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Captions: benchmarks</title><style>{_STYLE}</style></head><body>\n'
        "<h1>Captions: benchmarks</h1>\n<p>Every figure is defined in docs/benchmarks.md. Intervals are 95%, by "
        f"bootstrap.</p>\n<ul>{contents}</ul>\n{sections}\n</body></html>\n"
    )


def _section(result: Result) -> str:
    figures = "".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for caption, svg in plots(result)
    )
    notes = "".join(f'<p class="note">{escape(run.name)}: {escape(n)}</p>' for run in result.runs for n in run.notes)
    return (
        f'<h2 id="{_anchor(result)}">{escape(result.title)}</h2>\n<p class="made">{result.at}</p>\n{notes}\n'
        f'<div class="grid">{figures}</div>\n{_figure_table(result.runs)}\n'
        f"<details><summary>How it was measured</summary>{_pairs(result.settings)}{_pairs(result.machine)}</details>"
    )


def _figure_table(runs: Sequence[Run]) -> str:
    names = _names(runs)
    head = "".join(f"<th>{escape(run.name)}</th>" for run in runs)
    rows = "".join(f"<tr><td>{escape(title(name))}</td>{_cells(runs, name)}</tr>" for name in names)
    table = f"<table><thead><tr><th>figure</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _cells(runs: Sequence[Run], name: str) -> str:
    cells = []
    for run in runs:
        figure = run.figures.get(name)
        spread = f"<br><small>{escape(interval(figure))}</small>" if figure is not None and interval(figure) else ""
        cells.append(f"<td>{'' if figure is None else escape(reading(figure)) + spread}</td>")
    return "".join(cells)


def _pairs(pairs: dict[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(v)}</td></tr>" for name, v in pairs.items()
    )
    return f"<table>{rows}</table>"


def to_markdown(results: Sequence[Result]) -> str:
    """The same tables, without the plots."""
    return "\n".join(_markdown_section(result) for result in results)


def _markdown_section(result: Result) -> str:
    on = result.machine
    lines = [f"## {result.title}", "", f"{result.at}, {on.get('processor', '?')}, {on.get('cores', '?')} cores", ""]
    lines += [f"> {run.name}: {note}" for run in result.runs for note in run.notes]
    lines += [f"| figure | {' | '.join(run.name for run in result.runs)} |", f"| --- |{' --- |' * len(result.runs)}"]
    for name in _names(result.runs):
        cells = []
        for run in result.runs:
            figure = run.figures.get(name)
            cells.append("" if figure is None else f"{reading(figure)} {_in_brackets(interval(figure))}".strip())
        lines.append(f"| {title(name)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def to_markdown_changes(before: Result, after: Result, changes: Sequence[Change]) -> str:
    """What changed from one result to another."""
    lines = [f"## {after.title}: {before.at} to {after.at}", "", "| figure | before | after | ratio | |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for change in changes:
        ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
        name = f"{change.run}: {title(change.figure)}"
        lines.append(f"| {name} | {reading(change.before)} | {reading(change.after)} | {ratio} | {change.verdict} |")
    return "\n".join([*lines, ""])


def _names(runs: Sequence[Run]) -> list[str]:
    """Every figure of any run, in the order of the first that has it."""
    return list(dict.fromkeys(name for run in runs for name in run.figures))


def _in_brackets(text: str) -> str:
    return f"({text})" if text else ""


def _anchor(result: Result) -> str:
    return f"{result.bench}-{result.at}".replace(":", "")
