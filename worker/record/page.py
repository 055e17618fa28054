"""A page of HTML for a printer or a browser: it stands alone, without script or network. Pure.

Whatever it shows was written by others, and is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Bars of a plot, the longest ones.
MOST_BARS = 100
_ROW, _NAMES, _BARS, _WORDS = 20, 260, 420, 220  # pixels
#: Of a name, which has room for so many also in a wide font.
_LETTERS = 34
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #111; background: #fff }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 1.6em }
table { border-collapse: collapse; font-size: 11px }
th, td { text-align: left; vertical-align: top; padding: 2px 6px;
  border-bottom: 1px solid #ccc }
td { overflow-wrap: anywhere; min-width: 5em }
.gaps { border: 2px solid #b00020; padding: .2em 1em } .gaps h2 { margin-top: .4em }
svg { max-width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif }
@media print { @page { size: landscape; margin: 1cm } body { margin: 0 } thead {
  display: table-header-group } tr { break-inside: avoid } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Bar:
    """How long something took, of what its bound was; `good` is what nobody has to look at."""

    name: str
    took_s: float
    words: str
    good: bool
    bound_s: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its rows may come one after another."""

    title: str
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


def page(
    title: str,
    facts: Iterable[str],
    gaps: Sequence[str],
    plot: tuple[str, Sequence[Bar]],
    tables: Iterable[Table],
) -> Iterator[str]:
    """Yield the parts of a page; `plot` is the title of its bars, and these."""
    yield (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_escaped(_POLICY)}">'
        f"<title>{_escaped(title)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{_escaped(title)}</h1>\n"
    )
    yield from (f"<p>{_escaped(fact)}</p>\n" for fact in facts)
    if gaps:
        yield '<div class="gaps"><h2>Gaps</h2><ul>\n'
        yield from (f"<li>{_escaped(gap)}</li>\n" for gap in gaps)
        yield "</ul></div>\n"
    else:
        yield "<p>No gaps were found.</p>\n"
    yield from _plot(*plot)
    for table in tables:
        yield from _table(table)
    yield "</body></html>\n"


def _table(table: Table) -> Iterator[str]:
    head = "".join(f"<th>{_escaped(name)}</th>" for name in table.columns)
    yield f"<h2>{_escaped(table.title)}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n"
    for row in table.rows:
        cells = "".join(f"<td>{_escaped(value)}</td>" for value in row)
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table>\n"


def _plot(title: str, bars: Sequence[Bar]) -> Iterator[str]:
    shown = sorted(bars, key=lambda bar: -bar.took_s)[:MOST_BARS]
    if not shown:
        return
    if len(shown) < len(bars):
        title += f", the {len(shown)} longest of {len(bars)}"
    scale = _BARS / max(*(max(bar.took_s, bar.bound_s or 0) for bar in shown), 0.001)
    width, height = _NAMES + _BARS + _WORDS, _ROW * len(shown)
    yield f"<h2>{_escaped(title)}</h2>\n"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{_escaped(title)}">\n'
    )
    for number, bar in enumerate(shown):
        yield _bar(bar, number * _ROW, scale)
    yield "</svg>\n"


def _bar(bar: Bar, top: int, scale: float) -> str:
    length, middle = bar.took_s * scale, top + _ROW - 6
    color = "#2a7f4f" if bar.good else "#b00020"
    name = bar.name if len(bar.name) <= _LETTERS else f"{bar.name[: _LETTERS - 1]}\u2026"
    parts = [
        f'<text x="{_NAMES - 6}" y="{middle}" text-anchor="end">{_escaped(name)}</text>',
        f'<rect x="{_NAMES}" y="{top + 3}" width="{length:.1f}" height="{_ROW - 6}" '
        f'fill="{color}"/>',
    ]
    end = length
    if bar.bound_s is not None:
        at = _NAMES + bar.bound_s * scale
        end = max(end, bar.bound_s * scale)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + _ROW}" stroke="#111" '
            'stroke-width="2"/>'
        )
    said = f"{bar.took_s:.2f} s, {bar.words}"
    parts.append(f'<text x="{_NAMES + end + 6:.1f}" y="{middle}">{_escaped(said)}</text>')
    return "".join(parts) + "\n"


def _escaped(value: object) -> str:
    """Return a value as text of HTML; what does not show, or turns a line around, is marked."""
    text = "" if value is None else str(value)
    seen = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return html.escape(seen, quote=True)
