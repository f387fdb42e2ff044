"""Sections of what a generator draws: samples, walks, and what is nearest to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gankit import Classes, Sampler, Samples, Texts
from gankit.contracts import ReadData
from gankit_report import pictures
from gankit_report.charts import plane
from gankit_report.content import Block, Charts, Row, Rows, Section, Tiles, Titled, Wide
from gankit_report.neighbours import nearest
from gankit_report.words import number, shortened

SAMPLES, NEIGHBOURS = "Samples", "Nearest training items"
NOISES, CONDITIONS = "Between two noises", "Between two conditions"

_CLASSES = 12  # rows of classes, at most
_ACROSS = 8  # pictures in a row
_CAPTIONED, _PLAIN, _POINTS = 12, 48, 500  # samples of a kind
_WALKS, _STEPS = 4, 8
_FINE = 48  # steps of a walk that is drawn as a path
_QUERIES, _NEAREST = 6, 4


def current(sampler: Sampler, data: ReadData | None, seed: int) -> Section:
    """Show what the generator draws now."""
    step = f"{sampler.step:,}" if sampler.step is not None else "?"
    line = (
        f"Drawn from the checkpoint of step {step} with the seed {seed}; none picked."
    )
    lines, blocks = _current(sampler, data, seed)
    return Section("samples", SAMPLES, (line, *sampler.notes, *lines), blocks)


def _current(
    sampler: Sampler, data: ReadData | None, seed: int
) -> tuple[tuple[str, ...], tuple[Block, ...]]:
    kind = _kind(sampler)
    if _draws_points(sampler):
        return _points(sampler, data, seed)
    if not _draws_pictures(sampler):
        drawn = sampler.sample(_PLAIN, seed=seed)
        said = "Samples are no pictures; each is drawn as a curve of its numbers."
        return (said,), (Wide((pictures.whole(drawn, "samples as curves"),)),)
    if isinstance(kind, Classes):
        return _by_class(sampler, kind, seed)
    if sampler.conditioner is not None:
        drawn = sampler.sample(_CAPTIONED, seed=seed)
        cells = pictures.cells(drawn.samples, drawn.captions, "a sample")
        return (), (Tiles(tuple(cells)),)
    drawn = sampler.sample(_PLAIN, seed=seed)
    return (), (_wall(drawn.samples),)


def _by_class(
    sampler: Sampler, kind: Classes, seed: int
) -> tuple[tuple[str, ...], tuple[Block, ...]]:
    """A row for each class; a column for each noise."""
    chosen = _spread(range(len(kind.names)), _CLASSES)
    noise = _noise(sampler, _ACROSS, seed)
    rows = []
    for index in chosen:
        drawn = sampler.generate(noise, [index] * _ACROSS, seed=seed)
        name = kind.names[index]
        rows.append(Row(name, tuple(pictures.cells(drawn.samples, (), name))))
    lines = ["A row for each class, a column for each noise."]
    if len(chosen) < len(kind.names):
        lines = [
            f"{len(chosen)} of {len(kind.names)} classes; a column for each noise."
        ]
    return tuple(lines), (Rows(tuple(rows)),)


def _points(
    sampler: Sampler, data: ReadData | None, seed: int
) -> tuple[tuple[str, ...], tuple[Block, ...]]:
    """Points of the plane, before those of the data."""
    drawn = sampler.sample(_POINTS, seed=seed).samples.numpy()
    clouds = [(drawn, "0")]
    legend = [("var(--s0)", "generated", number(len(drawn)))]
    lines: tuple[str, ...] = ("Samples are points of the plane.",)
    if data is None:
        lines += ("The data, which would show what is missed, is not read here.",)
    else:
        rng = torch.Generator().manual_seed(seed)
        some = torch.randperm(len(data), generator=rng)[:_POINTS]
        real = data.samples(some, rng=rng).cpu().numpy()
        clouds.insert(0, (real, "grey"))
        legend.append(("#808080", "real", number(len(real))))
    chart = plane(clouds, label="generated and real points")
    return lines, (Charts((Titled("", "", chart, tuple(legend)),)),)


def noise_walks(sampler: Sampler, seed: int) -> Section:
    """Show walks from one noise to another."""
    title, anchor = NOISES, "noises"
    if _draws_points(sampler):
        drawn = sampler.interpolate(rows=_WALKS, steps=_FINE, seed=seed)
        line = "Each path begins at its ring; the condition, if any, is held."
        return Section(anchor, title, (line,), _paths(drawn, title))
    drawn = sampler.interpolate(rows=_WALKS, steps=_STEPS, seed=seed)
    if not _draws_pictures(sampler):
        line = f"{_WALKS} walks of {_STEPS} samples each, in their order."
        return Section(anchor, title, (line,), (Wide((pictures.whole(drawn, title),)),))
    labels = [shortened(c) for c in drawn.captions[::_STEPS]] or [""] * _WALKS
    line = "In a row only the noise moves, along a line."
    return Section(anchor, title, (line,), (_walk_rows(drawn, labels),))


def condition_walks(sampler: Sampler, seed: int) -> Section:
    """Show walks from one condition to another, the noise held."""
    title, anchor = CONDITIONS, "conditions"
    if sampler.conditioner is None:
        said = "The run is not conditioned: there is nothing to walk between."
        return Section(anchor, title, (said,))
    pairs = _pairs(sampler)
    if not pairs:
        said = "All of the run's own conditions are one: there is nothing between."
        return Section(anchor, title, (said,))
    reads = sampler.conditioner.reads
    line = "In a row the noise is held, and the vector of the condition moves along a "
    line += "line (Reed et al. 2016, section 5.4)."
    blocks: list[Block] = []
    for first, last in pairs:
        fine = _draws_points(sampler)
        drawn = sampler.interpolate_conditions(
            rows=_WALKS if fine else 2,
            steps=_FINE if fine else _STEPS,
            seed=seed,
            **{reads: [first, last]},
        )
        ends = [shortened(c) for c in (drawn.captions[:1] + drawn.captions[-1:])]
        label = " → ".join(ends)
        if fine:
            blocks += _paths(drawn, label)
        elif _draws_pictures(sampler):
            blocks.append(_walk_rows(drawn, [label, ""]))
        else:
            blocks.append(Wide((pictures.whole(drawn, label),)))
    return Section(anchor, title, (line,), tuple(blocks))


def neighbours(
    sampler: Sampler,
    data: ReadData,
    *,
    searched: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> Section:
    """Show the training items nearest to some samples."""
    title, anchor = NEIGHBOURS, "neighbours"
    if not _draws_pictures(sampler):
        said = "Samples are no pictures: nearness by pixels is not asked for."
        return Section(anchor, title, (said,))
    drawn = sampler.sample(_QUERIES, seed=seed)
    found = nearest(
        drawn.samples,
        data,
        count=_NEAREST,
        searched=searched,
        seed=seed,
        progress=progress,
    )
    rows = []
    for sample, items, apart in zip(
        drawn.samples, found.items, found.distances, strict=True
    ):
        own = pictures.cells(sample[None], ("sample",))
        real = pictures.cells(items, [f"{float(d):.3f}" for d in apart])
        rows.append(Row("", (*own, *real)))
    looked = f"{found.searched:,} of {found.total:,}"
    every = "all " if found.searched == found.total else ""
    lines = (
        f"Left a sample, then what is nearest to it among {every}{looked} training "
        "items, with the root mean square of the differences of pixels, which are "
        "from 0 to 1.",
        f"For comparison, of {found.compared} training items half have another that "
        f"is as near as {found.usual:.3f}; what is much nearer may be a copy.",
    )
    half = len(rows) // 2
    blocks = (Rows(tuple(rows[:half])), Rows(tuple(rows[half:])))
    return Section(anchor, title, lines, blocks)


def _pairs(sampler: Sampler) -> list[tuple[Any, Any]]:
    """Choose up to three pairs of conditions: far apart in the order of the run's own.

    Of texts, those of the run's grids; of classes, all there are.
    """
    own = list(sampler.conditions)
    if isinstance(_kind(sampler), Texts):
        own = list(dict.fromkeys(own))
    if len(own) < 2:
        return []
    half = len(own) // 2
    firsts = _spread(range(half), 3)
    return [(own[i], own[i + half]) for i in firsts]


def _walk_rows(drawn: Samples, labels: Sequence[str]) -> Rows:
    count = len(labels)
    steps = len(drawn.samples) // count
    made = pictures.cells(drawn.samples, (), "between")
    return Rows(
        tuple(
            Row(label, tuple(made[i * steps : (i + 1) * steps]))
            for i, label in enumerate(labels)
        )
    )


def _paths(drawn: Samples, title: str) -> tuple[Block, ...]:
    walks = drawn.samples.view(_WALKS, -1, 2).numpy()
    chart = plane([], list(walks), label=title)
    return (Charts((Titled(title, "", chart),)),)


def _wall(samples: Tensor) -> Rows:
    made = pictures.cells(samples, (), "a sample")
    starts = range(0, len(made), _ACROSS)
    return Rows(tuple(Row("", tuple(made[i : i + _ACROSS])) for i in starts))


def _noise(sampler: Sampler, count: int, seed: int) -> Tensor:
    rng = torch.Generator(sampler.device).manual_seed(seed)
    return sampler.noise(count, rng)


def _kind(sampler: Sampler) -> Any:
    if sampler.conditioner is None:
        return None
    return sampler.facts.annotations[sampler.conditioner.reads]


def _draws_points(sampler: Sampler) -> bool:
    return tuple(sampler.facts.sample_shape) == (2,)


def _draws_pictures(sampler: Sampler) -> bool:
    shape = sampler.facts.sample_shape
    return len(shape) == 3 and shape[0] in (1, 3, 4)


def _spread(things: Sequence[Any], count: int) -> list[Any]:
    """Choose some of many, from the first to the last, equally far apart."""
    if len(things) <= count:
        return list(things)
    return [things[round(i * (len(things) - 1) / (count - 1))] for i in range(count)]
