"""The training items nearest to samples, by their pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor

from gankit.contracts import ReadData

_CHUNK = 256  # items that are compared at a time
_REFERENCE = 64  # training items whose own nearest neighbour is looked for


@frozen(eq=False)
class Neighbours:
    """The nearest of the training items that were looked through.

    Distances are root mean squares of the differences of pixels.
    """

    items: Tensor  # (Q, k, *sample), the nearest first
    distances: Tensor  # (Q, k)
    searched: int
    total: int
    usual: float  # median distance of some training items to the nearest other
    compared: int  # how many these are


def nearest(
    samples: Tensor,
    data: ReadData,
    *,
    count: int = 3,
    searched: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Neighbours:
    """Find the training items nearest to each sample.

    Items are looked through in one random order, and drawn as the training saw them,
    where the data set crops or mirrors them: in one view each.

    Args:
        samples: (Q, *sample), in the range of ``data.samples``.
        data: the data set, read.
        count: how many items for each sample.
        searched: at most so many items are looked through.
        seed: of which, and of their views.
        progress: told how many have been looked through.
    """
    rng = torch.Generator().manual_seed(seed)
    positions = torch.randperm(len(data), generator=rng)[:searched]
    views = torch.Generator().manual_seed(seed)
    real = data.samples(positions[:_REFERENCE], rng=views).cpu()
    queries = torch.cat([samples.flatten(1), real.flatten(1)])  # (Q + R, d)
    own = torch.cat([torch.full((len(samples),), -1), positions[:_REFERENCE]])
    best = torch.full((len(queries), count), torch.inf)
    kept = torch.zeros(len(samples), count, *samples.shape[1:])
    for start in range(0, len(positions), _CHUNK):
        progress(start, len(positions))
        some = positions[start : start + _CHUNK]
        items = data.samples(some, rng=views).cpu()
        distances = torch.cdist(queries, items.flatten(1))  # (Q + R, B)
        distances[own[:, None] == some] = torch.inf
        best, kept = _merged(best, kept, distances, items)
    progress(len(positions), len(positions))
    scale = samples[0].numel() ** -0.5
    apart = (kept - samples[:, None]).flatten(2).norm(dim=2)  # exactly, unlike cdist
    return Neighbours(
        items=kept,
        distances=apart * scale,
        searched=len(positions),
        total=len(data),
        usual=float(best[len(samples) :, 0].median()) * scale,
        compared=len(real),
    )


def _merged(
    best: Tensor, kept: Tensor, distances: Tensor, items: Tensor
) -> tuple[Tensor, Tensor]:
    """Take some more items into account: (Q + R, k) and (Q, k, *sample) again."""
    count = best.shape[1]
    both = torch.cat([best, distances], 1)
    best, places = both.topk(count, largest=False)
    places = places[: len(kept)]
    mine = places < count
    old = kept[torch.arange(len(kept))[:, None], places.clamp(max=count - 1)]
    new = items[(places - count).clamp(min=0)]
    shape = (*mine.shape, *[1] * (items.ndim - 1))
    return best, torch.where(mine.view(shape), old, new)
