"""Fréchet distance: of the Gaussians that have the features' means and covariances.

Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions";
Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6. With the
pool features of the Inception network it is FID.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import row_blocks
from gankit_metrics.measures.inputs import check_pair, check_vectors


@frozen(eq=False)
class Moments:
    """The mean and covariance of a set of vectors, in float64.

    Attributes:
        mean: (d,).
        covariance: (d, d), symmetric and positive semidefinite.
    """

    mean: Tensor
    covariance: Tensor

    def __attrs_post_init__(self) -> None:
        size = self.mean.numel()
        if self.mean.ndim != 1 or self.covariance.shape != (size, size):
            raise ValueError(
                f"a mean {tuple(self.mean.shape)} and a covariance "
                f"{tuple(self.covariance.shape)} do not belong together; give (d,) and "
                f"(d, d)"
            )


def moments(features: Tensor) -> Moments:
    """Return the mean and the unbiased covariance, over N − 1, of (N, d), N ≥ 2."""
    check_vectors("features", features, at_least=2)
    mean = features.mean(0, dtype=torch.float64)
    size = len(mean)
    scatter = features.new_zeros((size, size), dtype=torch.float64)
    for rows in row_blocks(len(features), size):
        centred = features[rows] - mean
        scatter.addmm_(centred.T, centred)
    return Moments(mean, scatter / (len(features) - 1))


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return the squared Fréchet distance of features (N, d) and (M, d), 0 or more.

    Orthogonal maps and translations of both leave it as it is. It is biased,
    more so for smaller sets (Bińkowski et al. 2018): compare values of equal N and M.
    Sets smaller than d are no error, but the bias is large there.

    Raises:
        ValueError: fewer than two vectors in a set, numbers that are not finite, or
            vectors of two lengths.
    """
    check_pair("real", real, "fake", fake, at_least=2)
    return frechet_distance_of_moments(moments(real), moments(fake))


def frechet_distance_of_moments(first: Moments, second: Moments) -> float:
    """Return ‖μ₁ − μ₂‖² + Tr Σ₁ + Tr Σ₂ − 2 Tr (Σ₁^½ Σ₂ Σ₁^½)^½.

    With Σᵢ = AᵢAᵢᵀ the eigenvalues of Σ₁^½ Σ₂ Σ₁^½ are the squared singular values of
    A₁ᵀA₂, whose sum is taken. Roots of eigenvalues would know a singular direction to
    1e-8 only, half the digits, and there are many where N < d.

    Raises:
        ValueError: the two are of different d, or a covariance is not one.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"the moments are of {len(first.mean)} and of {len(second.mean)} features; "
            f"compute both in the same way"
        )
    shift = (first.mean.double() - second.mean.double()).square().sum()
    traces = first.covariance.double().trace() + second.covariance.double().trace()
    factors = _factor(first.covariance).T @ _factor(second.covariance)  # (r₁, r₂)
    overlap = torch.linalg.svdvals(factors).sum()
    return max(0.0, float(shift + traces - 2 * overlap))


def _factor(covariance: Tensor) -> Tensor:
    """Return A (d, r) of full rank with AAᵀ the covariance."""
    covariance = covariance.double()
    if not torch.allclose(covariance, covariance.T, rtol=1e-6):
        raise ValueError("a covariance is not symmetric; give that of the features")
    values, vectors = torch.linalg.eigh(covariance)
    rounding = len(values) * torch.finfo(torch.float64).eps * values.abs().max()
    # what was computed in float32 may be off by so much, a covariance is not
    if values[0] < -1e-5 * values.abs().max():
        raise ValueError(
            f"a covariance has the eigenvalue {values[0].item():.3g}, which would be a "
            f"negative variance; give that of the features"
        )
    kept = values > rounding
    factor: Tensor = vectors[:, kept] * values[kept].sqrt()
    return factor
