"""Inception score: of what a classifier makes of generated samples alone."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.inputs import check_vectors


@frozen
class InceptionScore:
    """The score over splits.

    Attributes:
        mean: over the splits, in [1, K].
        standard_deviation: over the splits, which papers give behind a ±.
    """

    mean: float
    standard_deviation: float


def inception_score(probabilities: Tensor, splits: int = 10) -> InceptionScore:
    """Return exp E KL(p(y|x) ‖ p(y)) of class probabilities (N, K).

    Salimans et al. 2016, "Improved techniques for training GANs", section 4. p(y) is
    the mean of each split, and splits are N/``splits`` rows that follow each other, so
    that samples should lie in random order. It is 1 where all samples are classed
    alike, and K where each is classed with certainty and classes are equally frequent.
    It never sees a real sample: what it knows of these is in the classifier.

    Raises:
        ValueError: rows are no probabilities, or are fewer than the splits.
    """
    check_vectors("probabilities", probabilities)
    if not 1 <= splits <= len(probabilities):
        raise ValueError(
            f"{len(probabilities)} samples do not go into {splits} splits; take fewer "
            f"splits, at least 1, or more samples"
        )
    rows = probabilities.double()
    if rows.min() < 0 or (rows.sum(1) - 1).abs().max() > 1e-3:
        raise ValueError(
            "rows of probabilities are not all of 0 or more with the sum 1; apply a "
            "softmax to logits"
        )
    scores = torch.stack([_score(part) for part in rows.tensor_split(splits)])
    deviation = scores.std(correction=0)
    return InceptionScore(scores.mean().item(), deviation.item())


def _score(rows: Tensor) -> Tensor:
    """Return the exponential of the classes' entropy less the rows' mean entropy."""
    marginal = rows.mean(0)
    gain = torch.xlogy(rows, rows).sum(1).mean() - torch.xlogy(marginal, marginal).sum()
    return gain.exp()
