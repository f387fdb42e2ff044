"""Kernel distances: maximum mean discrepancy, as KID and as CMMD.

Gretton et al. 2012, "A kernel two-sample test". Of a kernel k, the squared distance of
two distributions is E k(x, x′) + E k(y, y′) − 2 E k(x, y).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import row_blocks, squared_norms
from gankit_metrics.measures.estimate import Estimate
from gankit_metrics.measures.inputs import check_pair

# (N, d) and (M, d) in float64 to (N, M), symmetric in its two
Kernel = Callable[[Tensor, Tensor], Tensor]


@frozen
class Polynomial:
    """k(x, y) = (x·y/d + 1)³ (Bińkowski et al. 2018, "Demystifying MMD GANs")."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the kernel of all pairs of (N, d) and (M, d), (N, M)."""
        one = x.new_ones(())
        return torch.addmm(one, x, y.T, alpha=1 / x.shape[1]).pow_(3)


@frozen
class Gaussian:
    """k(x, y) = exp(−‖x − y‖² / 2σ²), σ being ``bandwidth``."""

    bandwidth: float

    def __attrs_post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ValueError(
                f"a kernel's bandwidth is {self.bandwidth}, but a width is over 0; "
                f"give one of the size of the distances"
            )

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the kernel of all pairs of (N, d) and (M, d), (N, M)."""
        squares = torch.addmm(squared_norms(y), x, y.T, alpha=-2)
        squares += squared_norms(x)[:, None]
        return squares.mul_(-1 / (2 * self.bandwidth**2)).exp_()


def kid(real: Tensor, fake: Tensor) -> Estimate:
    """Return the kernel Inception distance of features (N, d) and (M, d).

    Bińkowski et al. 2018, section 4: the unbiased estimate of the squared MMD with
    ``Polynomial``, here over all pairs. Published values are of subsets, as those of
    ``kid_by_subsets``; this has the same mean, and the least variance that N and M
    allow.
    """
    return squared_mmd(real, fake, Polynomial())


def squared_mmd(real: Tensor, fake: Tensor, kernel: Kernel) -> Estimate:
    """Return the unbiased estimate of the squared MMD (Gretton et al., equation 3).

    It is nought on average for two samples of one distribution, so that it may be
    negative. The standard error is the jackknife's for two samples (Arvesen 1969),
    which tends to be too large (Efron & Stein 1981), by up to √2 where the
    distributions are equal.

    Raises:
        ValueError: fewer than three vectors in a set, numbers that are not finite, or
            vectors of two lengths.
    """
    check_pair("real", real, "fake", fake, at_least=3)
    x, y = real.double(), fake.double()
    within_x, _ = _sums_within(x, kernel)  # (N,) over all others
    within_y, _ = _sums_within(y, kernel)  # (M,)
    from_x, from_y = _sums_between(x, y, kernel)  # (N,) over all y, (M,) over all x
    mean_x = within_x.sum() / (len(x) * (len(x) - 1))
    mean_y = within_y.sum() / (len(y) * (len(y) - 1))
    between = from_x.sum() / (len(x) * len(y))
    without_x = _leave_one_out(within_x, from_x, len(y))  # (N,), but for mean_y
    without_y = _leave_one_out(within_y, from_y, len(x))
    variance = _jackknife_variance(without_x) + _jackknife_variance(without_y)
    value = mean_x + mean_y - 2 * between
    return Estimate(value.item(), variance.sqrt().item())


def squared_mmd_biased(real: Tensor, fake: Tensor, kernel: Kernel) -> float:
    """Return the squared MMD of the samples themselves (Gretton et al., equation 5).

    Each pair of a vector with itself counts too, so that it is 0 or more, and 0 for
    equal sets.
    """
    check_pair("real", real, "fake", fake)
    x, y = real.double(), fake.double()
    within_x, self_x = _sums_within(x, kernel)
    within_y, self_y = _sums_within(y, kernel)
    from_x, _ = _sums_between(x, y, kernel)
    mean_x = (within_x.sum() + self_x) / len(x) ** 2
    mean_y = (within_y.sum() + self_y) / len(y) ** 2
    between = from_x.sum() / (len(x) * len(y))
    return max(0.0, (mean_x + mean_y - 2 * between).item())


def cmmd(real: Tensor, fake: Tensor, kernel: Kernel = Gaussian(10.0)) -> float:
    """Return 1000 × the squared MMD of CLIP embeddings (N, d), (M, d), 0 or more.

    Jayasumana et al. 2024, "Rethinking FID". Embeddings are scaled to unit length here.
    The paper derives the unbiased estimate, but the published values are from its
    code, which computes ``squared_mmd_biased``; this follows the code. By the pairs of
    a vector with itself it is too large, by 1000 (1 − E k(x, x′))(1/N + 1/M) for equal
    distributions: compare values of equal N and M.

    Raises:
        ValueError: an embedding is nought, and so has no direction.
    """
    check_pair("real", real, "fake", fake)
    return 1000 * squared_mmd_biased(_unit(real), _unit(fake), kernel)


@frozen
class Subsets:
    """A statistic of random subsets.

    Attributes:
        mean: over the subsets.
        standard_deviation: over the subsets, which papers give behind a ±. It tells of
            the subsets' size. It is no error of ``mean``.
    """

    mean: float
    standard_deviation: float


def kid_by_subsets(
    real: Tensor,
    fake: Tensor,
    rng: torch.Generator,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
) -> Subsets:
    """Return KID as the mean over random subsets of both sets, as it is published.

    Bińkowski et al. 2018, section 4. Each subset has ``subset_size`` vectors of each
    set, without repetition, or all where there are fewer: subsets of both whole sets
    are all the same. ``rng`` is one of the CPU.

    Raises:
        ValueError: as of ``squared_mmd``, or fewer than two subsets.
    """
    if subsets < 2 or subset_size < 3:
        raise ValueError(
            f"{subsets} subsets of {subset_size} do not tell how they vary; take at "
            f"least 2 of 3"
        )
    check_pair("real", real, "fake", fake, at_least=3)
    values = torch.empty(subsets, dtype=torch.float64)
    for i in range(subsets):
        x = real[_draw(len(real), subset_size, rng).to(real.device)]
        y = fake[_draw(len(fake), subset_size, rng).to(fake.device)]
        values[i] = kid(x, y).value
    return Subsets(values.mean().item(), values.std().item())


def _draw(count: int, size: int, rng: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=rng)[:size]


def _unit(embeddings: Tensor) -> Tensor:
    embeddings = embeddings.double()
    norms = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
    if not norms.all():
        raise ValueError(
            "an embedding is nought everywhere and has no direction; leave such "
            "samples out, or mend what computed them"
        )
    unit: Tensor = embeddings / norms
    return unit


def _sums_within(x: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Sum each vector's kernel with all others, (N,), and all with themselves, ().

    Only the upper half of the matrix is computed.
    """
    sums, selves = x.new_zeros(len(x)), x.new_zeros(())
    for rows in row_blocks(len(x), len(x)):
        values = kernel(x[rows], x[rows.start :])
        own = values.diagonal()
        sums[rows] += values.sum(1) - own
        selves += own.sum()
        size = rows.stop - rows.start
        sums[rows.stop :] += values[:, size:].sum(0)
    return sums, selves


def _sums_between(x: Tensor, y: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Sum the kernel of all pairs for each x, (N,), and for each y, (M,)."""
    of_x, of_y = x.new_zeros(len(x)), y.new_zeros(len(y))
    for rows in row_blocks(len(x), len(y)):
        values = kernel(x[rows], y)
        of_x[rows] = values.sum(1)
        of_y += values.sum(0)
    return of_x, of_y


def _leave_one_out(within: Tensor, between: Tensor, others: int) -> Tensor:
    """Return the estimate without each vector in turn, less what does not change."""
    left = len(within) - 1
    own = (within.sum() - 2 * within) / (left * (left - 1))
    return own - 2 * (between.sum() - between) / (left * others)


def _jackknife_variance(estimates: Tensor) -> Tensor:
    count = len(estimates)
    return (count - 1) * estimates.var(correction=0)
