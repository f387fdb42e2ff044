"""What samples are compared by: extractors of features, one a file.

======================  ======  ==============================================
`efficientnet-lite0`      1280  trained on ImageNet; pictures
`classifier`               128  trained on the data's own labels; any samples
`pixels`                     n  the numbers themselves; any samples
`inception`               2048  the network of the FID; its weights are a download
`dinov2`            384 … 1536  self-supervised; its weights are a download
======================  ======  ==============================================

Pictures are given in [0, 1]. Those of a data set were stored as 8 bits, and generated
ones have to be rounded likewise, by `gankit_metrics.some.kept`:
else the rounding itself tells the two apart (Parmar et al. 2022, "On aliased resizing
and surprising subtleties in GAN evaluation", section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from gankit.contracts import ReadData

Progress = Callable[[int, int, str], None]
DIGITS = 8  # of a digest


class Features(Protocol):
    """A function from samples, (B, C, H, W) in [0, 1], to vectors of ``size`` numbers.

    - calling it gives float32 (B, size), on the device of the samples, which has to be
      its own; B is bounded by the caller. It raises :class:`gankit.errors.UsageError`
      for samples of a shape or a range that it cannot look at. Those that take any
      samples take vectors (B, n) of any range too;
    - ``name`` and ``size`` are as in the table of this module;
    - ``digest`` is 8 hexadecimal digits of all that decides its numbers: weights,
      resizing, normalisation. Scores of different digests cannot be compared;
    - ``to(device)`` moves it.
    """

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def size(self) -> int: ...

    def __call__(self, samples: Tensor, /) -> Tensor: ...

    def to(self, device: torch.device, /) -> Self: ...


@runtime_checkable
class FittedFeatures(Features, Protocol):
    """Features that are fitted to the training data before they are called.

    ``prepare`` fits them, or takes the same fit from the cache, and leaves them on
    ``device``; ``digest`` is of the fitted weights from then on. All randomness is from
    ``seed``; ``progress(done, total, text)`` reports. It raises
    :class:`gankit.errors.DataError` for data that it cannot be fitted to. ``notes`` are
    numbers to be published beside every score, as ``{"accuracy": 0.993}``. Of many
    processes one calls it, and pickles the features for the others.
    """

    @property
    def notes(self) -> Mapping[str, float]: ...

    def prepare(
        self,
        data: ReadData,
        /,
        *,
        device: torch.device,
        seed: int,
        progress: Progress,
        heldout: ReadData | None = None,
    ) -> None: ...


@runtime_checkable
class ClassifyingFeatures(Features, Protocol):
    """Features that a classifier was trained for.

    ``classify(features)`` turns features (B, size) into the probabilities of K classes,
    float32 (B, K), so that what was embedded need not be looked at again;
    ``probabilities(samples)`` is the same from samples.
    """

    def classify(self, features: Tensor, /) -> Tensor: ...

    def probabilities(self, samples: Tensor, /) -> Tensor: ...
