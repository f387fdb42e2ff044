"""Precision, recall, density and coverage: what lies in whose neighbourhood.

Around each vector of a set lies a ball that reaches to its k-th nearest other one. The
union of a set's balls stands for what its distribution can give.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.inputs import check_pair

_REAL, _FAKE = 0, 1


@frozen
class Neighbours:
    """How two sets of vectors lie in each other's balls.

    Attributes:
        precision: the share of generated vectors in any real one's ball, in [0, 1].
        recall: the share of real vectors in any generated one's ball, in [0, 1].
        density: in how many real balls a generated vector lies, divided by k, 0 or
            more; 1 on average where the distributions are equal.
        coverage: the share of real vectors that have a generated one in their ball, in
            [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbours(
    real: Tensor, fake: Tensor, *, k: int = 3, density_k: int = 5
) -> Neighbours:
    """Return all four of features (N, d) and (M, d).

    Precision and recall are those of Kynkäänniemi et al. 2019, "Improved precision and
    recall metric", equations 1 and 2, with ``k`` = 3 and closed balls as there. Density
    and coverage are those of Naeem et al. 2020, "Reliable fidelity and diversity
    metrics", with ``density_k`` = 5 and open balls as in their code.
    So copies of a real set have a density and a coverage of 1.

    Values depend on k, N and M: compare those of equal ones. None of the four tells a
    copy from a new sample. For equal distributions coverage is on average
    1 − (N − 1)⋯(N − k)/((M + N − 1)⋯(M + N − k)), the chance that one of the k nearest
    of M + N − 1 others is generated: with k = 5 and many of both, 1 − 2⁻⁵.

    Raises:
        ValueError: a set of no more than k vectors, numbers that are not finite, or
            vectors of two lengths.
    """
    if min(k, density_k) < 1:
        raise ValueError(
            f"k is {min(k, density_k)}, but a ball reaches to the 1st neighbour at "
            f"least; take 3 and 5 as the papers do"
        )
    most = max(k, density_k)
    check_pair("real", real, "fake", fake, at_least=most + 1)
    space = Space.of(real, fake)
    real_radii = space.radii(_REAL, most)
    fake_radii = space.radii(_FAKE, k)[:, k - 1]  # (M,)
    closed, open_ = real_radii[:, k - 1, None], real_radii[:, density_k - 1, None]
    tie = space.tie(_REAL, _FAKE)
    within_any = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    counts = {"recalled": 0, "pairs": 0, "covered": 0}
    for rows, squares in space.blocks(_REAL, _FAKE):  # (rows, M)
        within_any |= (squares <= closed[rows] + tie).any(0)
        inside = squares < open_[rows] - tie
        counts["pairs"] += int(inside.sum())
        counts["covered"] += int(inside.any(1).sum())
        counts["recalled"] += int((squares <= fake_radii + tie).any(1).sum())
    return Neighbours(
        precision=within_any.double().mean().item(),
        recall=counts["recalled"] / len(real),
        density=counts["pairs"] / (density_k * len(fake)),
        coverage=counts["covered"] / len(real),
    )
