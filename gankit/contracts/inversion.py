"""The contract of an inversion: from pictures back to noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from gankit.runs.sampling import Sampler


class Inversion(Protocol):
    """Finds the noise from which a run's generator would draw given pictures.

    It is given nothing but its options. Called with a loaded run's sampler and pictures
    (N, *sample), of the values that ``sampler.sample`` gives, [0, 1] for pixels, it
    gives noise (N, n) on the sampler's device. What it learns for that may be kept in
    ``folder``, which need not exist, nor be writable; ``progress(done, total, text)``
    reports. It raises ValueError for a generator that it cannot invert.
    """

    def __call__(
        self,
        sampler: Sampler,
        pictures: Tensor,
        /,
        *,
        folder: Path,
        progress: Callable[[int, int, str], None],
    ) -> Tensor:
        """Find the noise of pictures."""
