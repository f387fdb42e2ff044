"""How often a number of one set is greater than one of another, ties being half."""

from __future__ import annotations

import torch
from torch import Tensor


def placements(values: Tensor, others: Tensor) -> Tensor:
    """Return for each of ``values`` (N,) the share of ``others`` (M,) below it, (N,).

    One that is equal counts half. Their mean is U/(NM), the Mann–Whitney statistic in
    [0, 1], in the time of a sort.
    """
    values, others = values.double().contiguous(), others.double().sort().values
    below = torch.searchsorted(others, values)
    up_to = torch.searchsorted(others, values, right=True)
    return (below + up_to).double() / (2 * len(others))


def z_score(values: Tensor, others: Tensor) -> float:
    """Return the Mann–Whitney U of ``values`` (N,) over ``others`` (M,), standardised.

    Its mean and deviation are those of two sets of one distribution, corrected for
    ties. It is then normal for N and M over about 20; under 0 where ``values`` are the
    smaller ones, and 0 if all are equal.
    """
    n, m = len(values), len(others)
    total = n + m
    pooled = torch.cat([values, others]).sort().values
    tied = torch.searchsorted(pooled, pooled, right=True).double()
    tied -= torch.searchsorted(pooled, pooled)  # (N + M,) equal ones, itself among them
    ties = (tied.square() - 1).sum().item() / (total**3 - total)
    variance = n * m * (total + 1) / 12 * (1 - ties)
    if variance <= 0:
        return 0.0
    excess = placements(values, others).mean().item() - 0.5
    return float(excess * n * m / variance**0.5)
