"""The joint embedding of images and texts: its losses, and their batches.

Reed et al. 2016, "Learning deep representations of fine-grained visual descriptions"
(CVPR), section 3, but for the contrastive loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from gankit_conditioners.captions import CaptionTable

MARGIN = 1.0  # Δ between two different classes


def structured_loss(scores: Tensor, also_right: Tensor) -> Tensor:
    """Score image i above the margin with its text, seen from both sides.

    As in the authors' code, the mean over wrong pairs stands for the paper's maximum
    over classes; theirs counts the right pairs into the number that it divides by, ours
    does not. It is 2 where all scores are equal, 0 where all margins hold.

    Args:
        scores: products of image i (rows) and text j (columns), (B, B).
        also_right: pairs off the diagonal where text j is a caption of image i too,
            (B, B); they are left out, as no encoder could tell them from right ones.
    """
    right = scores.diagonal()
    image_side = (MARGIN + scores - right[:, None]).relu()
    text_side = (MARGIN + scores - right[None, :]).relu()
    wrong = ~(also_right | _diagonal(scores))
    total = torch.where(wrong, image_side + text_side, 0.0).sum()
    return total / wrong.sum().clamp(min=1)


def contrastive_loss(scores: Tensor, also_right: Tensor) -> Tensor:
    """Score how surely each image is given its own text, and each text its own image.

    The mean cross-entropy of both choices among a batch (Radford et al. 2021, "Learning
    transferable visual models from natural language supervision", figure 3). It is the
    logarithm of B where all scores are equal. Deviation: scores are products of vectors
    of any length, so that how sharply one is preferred is learnt with them, and no
    temperature is.

    Args:
        scores: as for `structured_loss`.
        also_right: likewise.
    """
    among = scores.masked_fill(also_right & ~_diagonal(scores), float("-inf"))
    own = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(among, own) + F.cross_entropy(among.T, own)) / 2


def retrieval_accuracy(scores: Tensor, also_right: Tensor) -> Tensor:
    """Return the share of images whose own text scores highest; chance is 1/B."""
    rivals = scores.masked_fill(also_right & ~_diagonal(scores), float("-inf"))
    own = torch.arange(len(scores), device=scores.device)
    return (rivals.argmax(dim=1) == own).float().mean()


def _diagonal(scores: Tensor) -> Tensor:
    return torch.eye(len(scores), dtype=torch.bool, device=scores.device)


def pairs(
    table: CaptionTable, labels: Tensor | None, size: int, rng: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Draw endless batches of items with captions, each with one random caption of its.

    Args:
        table: the captions of all items, at least one of which has some.
        labels: the classes of all items, (N,), or None.
        size: items of a batch, B; all where there are fewer.
        rng: the only source of randomness, on the CPU.

    Yields:
        the items, (B,), the places of their captions in ``table.distinct``, (B,), and
        which pairs are right besides the diagonal's, (B, B), for `structured_loss`.
    """
    counts = table.counts
    captioned = counts.nonzero()[:, 0]
    labels = None if labels is None else labels[captioned]
    for items in batches(captioned, labels, size, rng):
        captions = table.ids[items]  # (B, K)
        chosen = below(counts[items], rng)[:, None]
        picked = captions.gather(1, chosen)[:, 0]  # (B,)
        also_right = (captions[:, None, :] == picked[None, :, None]).any(dim=2)
        yield items, picked, also_right


def batches(
    items: Tensor, labels: Tensor | None, size: int, rng: torch.Generator
) -> Iterator[Tensor]:
    """Return an endless stream of batches of items, each of distinct classes.

    Where the data has ``size`` classes or more, a batch is one random item of each of
    ``size`` random classes, as in the paper. Where it has fewer, or none, every item
    is a class of its own, because a batch of few classes has few wrong pairs to learn
    from, and none that tell captions of one class apart.

    Args:
        items: indices of the items to draw from, (N,).
        labels: their classes, (N,), or None.
        size: items of a batch; all N where there are fewer.
        rng: the only source of randomness.
    """
    if labels is not None and int((labels.bincount() > 0).sum()) >= size:
        return _batches_of_classes(items, labels, size, rng)
    return _batches_of_items(items, min(size, len(items)), rng)


def _batches_of_classes(
    items: Tensor, labels: Tensor, size: int, rng: torch.Generator
) -> Iterator[Tensor]:
    by_class = items[labels.argsort(stable=True)]
    counts = labels.bincount()
    counts = counts[counts > 0]
    starts = counts.cumsum(0) - counts
    while True:
        chosen = torch.randperm(len(counts), generator=rng)[:size]
        yield by_class[starts[chosen] + below(counts[chosen], rng)]


def _batches_of_items(
    items: Tensor, size: int, rng: torch.Generator
) -> Iterator[Tensor]:
    while True:
        shuffled = items[torch.randperm(len(items), generator=rng)]
        whole = len(items) // size * size
        yield from shuffled[:whole].view(-1, size)


def below(limits: Tensor, rng: torch.Generator) -> Tensor:
    """Draw for each limit n one of 0 … n - 1, all equally likely."""
    drawn = torch.rand(limits.shape, generator=rng, dtype=torch.float64)
    return (drawn * limits).long()
