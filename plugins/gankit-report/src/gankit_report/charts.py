"""Charts as SVG that takes the colours of the page around it.

matplotlib draws with colours that stand for the page's own: they are replaced by CSS
variables, so that one chart suits light and dark. Text stays text. Titles and legends
are the page's, where they can wrap.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gankit_report.record import Series
from gankit_report.words import counted

_SIZE = (3.4, 1.9)  # inches; of 72 points each, in which fonts are measured
_POINTS = 300  # that a line has at most
_OUTLIERS = 4.0  # a range so many times that of the middle 98 % is cut to this
_DECADES = 100.0  # the highest by the lowest value, from which a scale is logarithmic
_GREY = "#808080"  # readable on white and on black
_SERIES = tuple(f"#0000f{i}" for i in range(6))  # stand for var(--s0) to var(--s5)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gankit",  # else equal charts would differ
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.edgecolor": _GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "grid.color": _GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
}


@frozen
class Chart:
    """A chart for a page, and what its caption has to say of it."""

    svg: str
    notes: tuple[str, ...] = ()


def colour(place: int) -> str:
    """Return the page's colour of a series by its place."""
    return f"var(--s{place % len(_SERIES)})"


def curves(series: Sequence[Series], label: str) -> Chart:
    """Draw measurements over steps, on one scale.

    Long ones are thinned: a line of the means of their pieces, within a band from the
    lowest to the highest value of each. A scale is logarithmic where values span more
    than two decades; rare values far out are cut off, and counted.
    """
    every = numpy.concatenate([numpy.array(s.values) for s in series])
    notes: list[str] = []
    with mpl.rc_context(_STYLE):
        figure, axes = _figure()
        for place, one in enumerate(series):
            thinned = _line(axes, one, _SERIES[place % len(_SERIES)])
            if thinned and not notes:
                notes.append("line: means, band: lowest to highest")
        if _spans_decades(every):
            axes.set_yscale("log")
            notes.append("logarithmic")
        elif outside := _cut(axes, every):
            notes.append(counted(outside, "value lies", "values lie") + " outside")
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        lost = sum(one.not_finite for one in series)
        if lost:
            notes.append(counted(lost, "value was", "values were") + " not finite")
        return Chart(_svg(figure, label), tuple(notes))


def plane(
    clouds: Sequence[tuple[numpy.ndarray, str]],
    paths: Sequence[numpy.ndarray] = (),
    label: str = "",
) -> Chart:
    """Draw points of the plane, (N, 2), and paths through it, (S, 2) each.

    Args:
        clouds: points, each with its colour: ``grey``, or the place of a series.
        paths: drawn above them, from a ring to a dot.
        label: says what is seen, for those who cannot see it.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(size=(3.4, 3.4))
        for points, name in clouds:
            shade = _GREY if name == "grey" else _SERIES[int(name)]
            alpha = 0.35 if name == "grey" else 0.8
            axes.plot(*points.T, ".", color=shade, alpha=alpha, ms=3, mew=0)
        for place, path in enumerate(paths):
            shade = _SERIES[place % len(_SERIES)]
            axes.plot(*path.T, color=shade)
            axes.plot(*path[0], "o", mfc="none", mec=shade, ms=4)
            axes.plot(*path[-1], "o", color=shade, ms=4)
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(visible=True)
        return Chart(_svg(figure, label, "plane"))


def dots(rows: Mapping[str, Sequence[float]], label: str) -> Chart:
    """Draw a row of dots for each name, one a value, and a bar at their mean."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(size=(3.4, 0.35 + 0.24 * len(rows)))
        for place, values in enumerate(rows.values()):
            shade = _SERIES[place % len(_SERIES)]
            axes.plot(values, [place] * len(values), "o", color=shade, alpha=0.7, ms=5)
            mean = float(numpy.mean(values)) if values else numpy.nan
            axes.plot([mean], [place], "|", color=shade, ms=13, mew=2)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [str(i + 1) for i in range(len(rows))])
        axes.grid(visible=True, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return Chart(_svg(figure, label))


def thin(series: Series, points: int = _POINTS) -> tuple[numpy.ndarray, ...]:
    """Cut a long series into pieces of as many values.

    Returns:
        step, mean, lowest and highest value of each, (P,), of at most ``points``.
    """
    steps, values = numpy.array(series.steps), numpy.array(series.values)
    starts = numpy.arange(0, len(values), -(-len(values) // points))
    sizes = numpy.diff([*starts, len(values)])
    return (
        numpy.add.reduceat(steps, starts) / sizes,
        numpy.add.reduceat(values, starts) / sizes,
        numpy.minimum.reduceat(values, starts),
        numpy.maximum.reduceat(values, starts),
    )


def _line(axes: Axes, series: Series, shade: str) -> bool:
    """Draw one series; tell whether it had to be thinned."""
    steps, mean, low, high = thin(series)
    few = len(steps) < 3  # a line of them would not be seen
    axes.plot(steps, mean, "o" if few else "-", color=shade, ms=3)
    thinned = len(steps) < len(series.values)
    if thinned:
        axes.fill_between(steps, low, high, color=shade, alpha=0.18, linewidth=0)
    return thinned


def _spans_decades(values: numpy.ndarray) -> bool:
    """Tell whether positive values span so much that a linear scale would hide most."""
    if values.min() <= 0:
        return False
    low, high = numpy.percentile(values, (2, 98))
    return bool(high > _DECADES * low)


def _cut(axes: Axes, values: numpy.ndarray) -> int:
    """Limit the scale to the middle, where few values lie far out; count those."""
    low, high = numpy.percentile(values, (1, 99))
    middle = high - low
    if middle == 0 or values.max() - values.min() <= _OUTLIERS * middle:
        return 0
    low, high = low - 0.1 * middle, high + 0.1 * middle
    axes.set_ylim(low, high)
    return int(((values < low) | (values > high)).sum())


def _figure(size: tuple[float, float] = _SIZE) -> tuple[Figure, Axes]:
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02)
    figure = Figure(figsize=size, layout=engine)
    axes = figure.add_subplot()
    axes.grid(visible=True, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure, axes


def _thousands(step: float, _: object = None) -> str:
    return f"{step / 1000:g}k" if abs(step) >= 10_000 else f"{step:g}"


def _svg(figure: Figure, label: str, look: str = "") -> str:
    """Write a figure as SVG that can stand in a page among others."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for place, shade in enumerate(_SERIES):
        text = text.replace(shade, f"var(--s{place})")
    # by its content, so that a page has no two ids of one name for different things
    text = _own_ids(text, f"c{hashlib.sha256(text.encode()).hexdigest()[:8]}-")
    size = re.search(r'viewBox="([^"]*)"', text)
    assert size, "matplotlib writes one"
    said = f'role="img" aria-label="{html.escape(label)}"'
    head = f'<svg class="chart {look}" viewBox="{size[1]}" {said}'
    return re.sub(r"<svg[^>]*", head, text, count=1)


def _own_ids(text: str, prefix: str) -> str:
    """Keep the ids that something refers to, each with a prefix; drop the others."""
    used = set(re.findall(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"', text))
    names = {one or other for one, other in used}

    def mark(match: re.Match[str]) -> str:
        return f' id="{prefix}{match[1]}"' if match[1] in names else ""

    text = re.sub(r' id="([^"]+)"', mark, text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    return re.sub(r'xlink:href="#', f'href="#{prefix}', text)
