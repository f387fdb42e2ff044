"""R-precision: whether a picture is nearer to its own caption than to others.

Xu et al. 2018, "AttnGAN", section 4.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.estimate import share
from gankit_metrics.measures.inputs import check_pair

# numbers in a block of candidates' vectors: 64 MiB in float64
_BLOCK = 2**23

# cosines that differ by less are equal: of equal texts they may be rounded otherwise
_TIE = 1e-12


@frozen
class RPrecision:
    """How often a picture's own caption is the nearest of its candidates.

    Attributes:
        value: the share of pictures, in [0, 1].
        standard_error: of that share, the binomial's.
        chance: the share if pictures had nothing to do with captions, 1/C.
    """

    value: float
    standard_error: float
    chance: float


def r_precision(images: Tensor, texts: Tensor, candidates: Tensor) -> RPrecision:
    """Return R-precision with R = 1 of image embeddings (N, d) made from texts (N, d).

    Row i of ``candidates`` (N, C) are the indices of the texts that picture i is
    compared with by cosine: its own, i, once and C − 1 others, which do not describe
    it. The paper takes 99 at random, so C = 100. A tie of t texts counts 1/t, so that
    embeddings that are all alike come to chance.

    Raises:
        ValueError: a row without its own text, or that has one twice, or an embedding
            that is nought and has no direction.
    """
    check_pair("images", images, "texts", texts)
    _check_candidates(candidates, len(images), len(texts))
    pictures, words = _unit("images", images), _unit("texts", texts)
    size = max(1, _BLOCK // (candidates.shape[1] * images.shape[1]))
    hits = []
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        asked = words[candidates[rows]]  # (B, C, d)
        cosines = (asked @ pictures[rows, :, None])[..., 0]  # (B, C)
        own = (pictures[rows] * words[rows]).sum(1, keepdim=True)
        leads = cosines - own  # (B, C), and nought at the own one
        best = leads.max(1).values <= _TIE
        tied = (leads.abs() <= _TIE).sum(1)
        hits.append(best.double() / tied)
    found = share(torch.cat(hits))
    return RPrecision(found.value, found.standard_error, 1 / candidates.shape[1])


def draw_candidates(count: int, rng: torch.Generator, size: int = 100) -> Tensor:
    """Return for each of ``count`` texts itself and ``size`` − 1 others, (count, size).

    The others are drawn without repetition, all alike, by Floyd's algorithm for all
    rows at once. Its own text comes first. What else describes the same picture has to
    be left out of the texts beforehand. Everything is on ``rng``'s device.

    Raises:
        ValueError: there are fewer texts than candidates.
    """
    if not 2 <= size <= count:
        raise ValueError(
            f"{size} candidates cannot be drawn from {count} texts; take at least 2 "
            f"candidates, and more texts than these"
        )
    device = rng.device
    drawn = torch.full((count, size - 1), -1, device=device)
    for column, last in enumerate(range(count - size, count - 1)):
        pick = torch.randint(last + 1, (count, 1), generator=rng, device=device)
        taken = (drawn == pick).any(1, keepdim=True)
        drawn[:, column] = torch.where(taken, last, pick)[:, 0]
    own = torch.arange(count, device=device)[:, None]
    return torch.cat([own, drawn + (drawn >= own)], 1)


def _check_candidates(candidates: Tensor, images: int, texts: int) -> None:
    if images != texts:
        raise ValueError(
            f"there are {images} images and {texts} texts, but text i is that of "
            f"image i; repeat a text for each of its images"
        )
    if candidates.ndim != 2 or len(candidates) != images or candidates.shape[1] < 2:
        raise ValueError(
            f"candidates have the shape {tuple(candidates.shape)}, but each of "
            f"{images} images needs two or more; give (N, C), as of draw_candidates"
        )
    if candidates.min() < 0 or candidates.max() >= texts:
        raise ValueError(
            f"candidates are not all in 0 to {texts - 1}, the texts' indices; draw "
            f"them with draw_candidates"
        )
    own = candidates == torch.arange(images, device=candidates.device)[:, None]
    ordered = candidates.sort(1).values
    if not own.any(1).all() or (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError(
            "each row of candidates needs the image's own text, and each text once; "
            "draw them with draw_candidates"
        )


def _unit(name: str, embeddings: Tensor) -> Tensor:
    embeddings = embeddings.double()
    norms = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
    if not norms.all():
        raise ValueError(
            f"{name} has an embedding that is nought everywhere and has no direction; "
            f"leave such samples out, or mend what computed them"
        )
    unit: Tensor = embeddings / norms
    return unit
