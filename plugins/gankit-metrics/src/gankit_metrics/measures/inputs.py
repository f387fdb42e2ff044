"""What measures ask of their inputs, in one voice."""

from __future__ import annotations

import torch
from torch import Tensor


def check_vectors(name: str, vectors: Tensor, at_least: int = 1) -> None:
    """Refuse what is not (N, d) with finite real numbers and N of ``at_least``.

    Raises:
        ValueError: the message begins with ``name``.
    """
    if vectors.ndim != 2:
        raise ValueError(
            f"{name} has the shape {tuple(vectors.shape)}, but a measure compares "
            f"vectors (N, d); flatten each sample with .flatten(1)"
        )
    if vectors.dtype == torch.bool or vectors.is_complex():
        raise ValueError(
            f"{name} holds {vectors.dtype}, which has no distances; give real numbers"
        )
    if len(vectors) < at_least:
        raise ValueError(
            f"{name} has {len(vectors)} of the {at_least} vectors that this measure "
            f"needs at least; give more samples"
        )
    if not vectors.isfinite().all():
        raise ValueError(
            f"{name} holds NaN or infinite numbers; leave these samples out, or mend "
            f"what computed them"
        )


def check_pair(
    first: str, vectors: Tensor, second: str, others: Tensor, at_least: int = 1
) -> None:
    """Refuse two sets of vectors that cannot be compared with each other."""
    check_vectors(first, vectors, at_least)
    check_vectors(second, others, at_least)
    if vectors.shape[1] != others.shape[1]:
        raise ValueError(
            f"vectors of {first} have {vectors.shape[1]} numbers and those of {second} "
            f"{others.shape[1]}; compute both in the same way"
        )


def check_labels(name: str, labels: Tensor, count: int) -> None:
    """Refuse what is not one whole number of 0 or more for each of ``count`` items."""
    if labels.shape != (count,):
        raise ValueError(
            f"{name} has the shape {tuple(labels.shape)}, but there are {count} items; "
            f"give one class for each"
        )
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name} holds {labels.dtype}, but classes are whole numbers from 0 on; "
            f"convert them with .long()"
        )
    if count and labels.min() < 0:
        raise ValueError(
            f"{name} holds {int(labels.min())}, but classes are numbered from 0 on; "
            f"leave unlabelled items out"
        )
