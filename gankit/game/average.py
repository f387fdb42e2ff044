"""The moving average of a generator."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from gankit.game.scheduled import EMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gankit.game.assembly import Assembly


class Average:
    """The exponential moving average of a network, with its buffers.

    The half-life ramps up with 5 % of the samples seen, so that the average forgets the
    first weights (Karras et al. 2020b, training configuration, EMA ramp-up 0.05).

    Args:
        network: what is averaged; the copy is made now.
        half_life: in samples.
        ramp: the half-life is at most this share of the samples seen.
    """

    RAMP = 0.05

    @classmethod
    def of(cls, assembly: Assembly) -> Self | None:
        """Return that of a game; None where there is none. A schedule has no ramp."""
        if not (half_life := assembly.train.ema):
            return None
        ramp = math.inf if EMA in assembly.schedules else cls.RAMP
        return cls(assembly.generator, half_life, ramp=ramp)

    def __init__(
        self, network: nn.Module, half_life: float, *, ramp: float = RAMP
    ) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self.half_life = half_life
        self.ramp = ramp
        self._seen = 0
        self._counter: Tensor | None = None  # of samples, on the device
        self._counting = False  # there, and not here

    def follow(self, scheduled: Mapping[str, float]) -> None:
        """Take the half-life that a schedule has for this step, if it has one."""
        self.half_life = scheduled.get(EMA, self.half_life)

    @property
    def seen(self) -> int:
        """The samples that it has taken up."""
        if self._counting and self._counter is not None:
            self.seen = int(self._counter)
        return self._seen

    @seen.setter
    def seen(self, count: int) -> None:
        self._seen, self._counting = count, False

    def count_on(self, device: torch.device) -> None:
        """Let samples be counted on a device from now on, until somebody asks."""
        if self._counter is None:
            self._counter = torch.zeros((), dtype=torch.float64, device=device)
        if not self._counting:
            self._counter.fill_(self._seen)
            self._counting = True

    def restart(self, network: nn.Module) -> None:
        """Forget all before, as when weights were taken from elsewhere."""
        self.network.load_state_dict(network.state_dict())
        self.seen = 0

    @torch.no_grad()
    def update(self, network: nn.Module, samples: int) -> None:
        """Move towards the network by the share that ``samples`` new samples have."""
        self.seen += samples
        half_life = max(min(self.half_life, self.ramp * self.seen), 1e-8)
        decay = 0.5 ** (samples / half_life)
        live = network.state_dict()
        for name, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(live[name], 1 - decay)
            else:
                mean.copy_(live[name])

    @torch.no_grad()
    def update_unless(self, refused: Tensor, network: nn.Module, samples: int) -> None:
        """Do as :meth:`update`, unless a flag on the device says that nobody moved."""
        assert self._counter is not None, "samples are counted on the device"
        self._counter += torch.where(refused, 0, samples)
        half_life = (self.ramp * self._counter).clamp(1e-8, max(self.half_life, 1e-8))
        share = 1 - 0.5 ** (samples / half_life)
        live = network.state_dict()
        for name, mean in self.network.state_dict().items():
            moved = live[name]
            if mean.is_floating_point():
                moved = torch.lerp(mean, moved, share.to(mean.dtype))
            mean.copy_(torch.where(refused, mean, moved))

    def state_dict(self) -> dict[str, Any]:
        """Return the samples seen; the network is saved with the weights."""
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the samples seen."""
        self.seen = state["seen"]
