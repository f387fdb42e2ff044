"""Samples in rows: from one noise or condition to another, and noises by conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gankit.errors import UsageError
from gankit.randomness import generator as counted
from gankit.runs.pictures import Samples, in_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gankit.contracts import NoiseSource
    from gankit.runs.asking import Asking


class Walks:
    """What a sampler draws in rows."""

    device: torch.device
    noise: NoiseSource
    generate: Callable[..., Samples]
    _asking: Asking

    @torch.no_grad()
    def interpolate(
        self,
        *,
        rows: int = 8,
        steps: int = 8,
        seed: int = 0,
        **asked: Any,
    ) -> Samples:
        """Walk, in each row, from one noise to another, along a line.

        What a network draws itself, as for dropout, is held along a row too.

        Args:
            rows: walks.
            steps: samples in one walk.
            seed: the same seed gives the same walks.
            asked: the condition, as :meth:`sample` takes it, held along each row; rows
                take turns.

        Raises:
            UsageError: the run does not take such a condition.
        """
        each = self._asking.in_turn(asked, rows)
        ends = self.noise(2 * rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(torch.lerp(ends[::2], ends[1::2], weight), each, seed=seed)
            for weight in torch.linspace(0, 1, steps, device=self.device)
        ]
        return in_rows(columns)

    @torch.no_grad()
    def interpolate_conditions(
        self,
        *,
        rows: int = 8,
        steps: int = 8,
        seed: int = 0,
        **asked: Any,
    ) -> Samples:
        """Walk, in each row, from one condition to another, along a line.

        The line leads from vector to vector of what the conditioner gives, and the
        noise is held along a row (Reed et al. 2016, section 5.4). What a network draws
        itself, as for dropout, is held too. Only the ends of a row have captions.

        Args:
            rows: walks, each with a noise of its own, those of :meth:`sample`.
            steps: samples in one walk; at least 2.
            seed: the same seed gives the same walks.
            asked: the two conditions, as ``captions=["a red circle", "a blue star"]``;
                when left out, two of the run's own.

        Raises:
            UsageError: the run is not conditioned, does not take such conditions, or
                there are not two.
        """
        if steps < 2:
            raise UsageError(f"steps {steps}: a walk has two ends; give 2 or more")
        first, last = ([end] * rows for end in self._asking.two(asked))
        noise = self.noise(rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(noise, first, towards=last, weight=weight, seed=seed)
            for weight in torch.linspace(0, 1, steps).tolist()
        ]
        return in_rows(columns)

    @torch.no_grad()
    def restyle(self, noise: Tensor, *, seed: int = 0, **asked: Any) -> Samples:
        """Draw each noise (N, n) with each condition: a row for each noise.

        With the noise of pictures, which an inversion finds, it is what Reed et al.
        2016, section 4.4, call style transfer.

        Args:
            noise: as the generator takes it.
            seed: of what the networks draw themselves.
            asked: the conditions, as :meth:`sample` takes them.

        Raises:
            UsageError: the run does not take such a condition.
        """
        each = [[told] * len(noise) for told in self._asking.each(asked)] or [[]]
        return in_rows([self.generate(noise, told, seed=seed) for told in each])
