"""Sections of what a run has written down: training, curves, scores."""

from __future__ import annotations

from collections.abc import Sequence

from gankit import Samples
from gankit_report import pictures
from gankit_report.charts import colour, curves
from gankit_report.content import Charts, Row, Rows, Section, Titled, Wide
from gankit_report.grouping import grouped, short
from gankit_report.record import Record
from gankit_report.words import duration, number

TRAINING = "Training"

_FILM = 8  # steps of a filmstrip
_CELLS = 6  # that are followed


def filmstrip(record: Record, fixed: Samples | None) -> Section:
    """Show what became of the fixed noise.

    Args:
        record: of the run, with its grids.
        fixed: samples laid out as those grids are; None where nothing can be loaded.
    """
    title, anchor = TRAINING, "training"
    steps = spread_steps(tuple(record.grids), _FILM)
    if not steps:
        said = "No grid of samples has been drawn yet; the first is due at step "
        every = record.train.get("sample_every")
        said += f"{every:,}." if every else "the last."
        return Section(anchor, title, (said,))
    boxes = fixed.cells() if fixed is not None else ()
    if not boxes:
        cells = [
            pictures.read_whole(record.grids[step], f"step {step:,}") for step in steps
        ]
        heads = [f"step {step:,}" for step in steps]
        wide = Wide(tuple(_captioned(cells, heads)))
        return Section(anchor, title, ("The same noise at each step.",), (wide,))
    assert fixed is not None, "it has boxes"
    places = chosen_cells(fixed)
    height, width = fixed.samples.shape[-2:]
    columns = [
        pictures.cut(record.grids[s], [boxes[i] for i in places], (width, height))
        for s in steps
    ]
    labels = [fixed.captions[i] if fixed.captions else "" for i in places]
    rows = tuple(
        Row(label, tuple(column[i] for column in columns))
        for i, label in enumerate(labels)
    )
    line = "In a row the noise and the condition are the same at each step."
    heads = [_stepped(step) for step in steps]
    return Section(anchor, title, (line,), (Rows(rows, tuple(heads)),))


def spread_steps(steps: Sequence[int], count: int) -> list[int]:
    """Choose some steps: the first, the last, and those nearest to a geometric row.

    Much changes early in a training, and little late.

    >>> spread_steps(range(100, 10_001, 100), 5)
    [100, 300, 1000, 3200, 10000]
    """
    if len(steps) <= count:
        return list(steps)
    first, last = steps[0], steps[-1]
    chosen: list[int] = []
    for i in range(count):
        wish = first * (last / first) ** (i / (count - 1))
        left = [step for step in steps if step not in chosen]
        # so many have to be left for the rest of the row
        left = left[: len(left) - (count - 1 - i)]
        left = [step for step in left if not chosen or step > chosen[-1]]
        chosen.append(min(left, key=lambda step, wish=wish: abs(step - wish)))  # type: ignore[misc] # mypy knows no default in a lambda
    return chosen


def chosen_cells(fixed: Samples) -> list[int]:
    """Choose cells to follow: the first of each caption, or the first ones."""
    firsts = {caption: i for i, caption in reversed([*enumerate(fixed.captions)])}
    places = sorted(firsts.values()) or list(range(len(fixed.samples)))
    if len(places) > _CELLS:
        step = len(places) / _CELLS
        places = [places[int(i * step)] for i in range(_CELLS)]
    return places


def measured(record: Record) -> Section:
    """Draw everything that ``metrics.jsonl`` holds."""
    title, anchor = "Measured along the run", "curves"
    groups = grouped(record.series)
    if not groups:
        return Section(anchor, title, ("Nothing has been measured yet.",))
    charts = []
    for group in groups:
        series = [record.series[name] for name in group.names]
        label = f"{group.title} over steps: {', '.join(group.names)}"
        legend = tuple(
            (colour(i), short(name, group.names), number(one.values[-1]))
            for i, (name, one) in enumerate(zip(group.names, series, strict=True))
        )
        chart = curves(series, label)
        charts.append(Titled(group.title, group.text, chart, legend))
    return Section(
        anchor,
        title,
        ("The last value is beside each name.",),
        (Charts(tuple(charts)),),
    )


def facts(record: Record) -> tuple[tuple[str, str, str], ...]:
    """State what a run is at: a title, a value and a remark each."""
    total, step = record.total, record.step
    of = f" of {total:,}" if total else ""
    epochs = record.train.get("epochs")
    share = f"{100 * step / total:.0f} %" if total else f"for {epochs} epochs"
    starts = f"in {record.starts} starts" if record.starts > 1 else ""
    rate = f"{step / record.seconds:.3g} steps/s" if record.seconds else ""
    told = len(record.warnings)
    batch = int(record.train.get("batch_size", 0))
    return (
        ("Steps", f"{step:,}{of}", "finished" if total == step else share),
        ("Time", duration(record.seconds), ", ".join(filter(None, (rate, starts)))),
        ("Batch", f"{batch:,}", f"seed {record.train.get('seed', '?')}"),
        ("Warnings", str(told), "none so far" if not told else "see below"),
    )


def _stepped(step: int) -> str:
    return f"{step / 1000:g}k" if step >= 1000 else str(step)


def _captioned(
    cells: Sequence[pictures.Cell], texts: Sequence[str]
) -> list[pictures.Cell]:
    return [
        pictures.Cell(cell.uri, text, cell.alt, cell.pixelated)
        for cell, text in zip(cells, texts, strict=True)
    ]
