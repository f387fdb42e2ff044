"""Samplers whose samples are real ones, spoilt in a way that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from gankit import Classes, Facts, Item, Samples, Texts

CPU = torch.device("cpu")
SIDE, CLASSES = 16, 4


def picture(label: int, rng: torch.Generator) -> Tensor:
    """Draw a bright bar, uint8 (1, 16, 16): its place is its class, all else chance."""
    drawn = torch.rand(3, generator=rng)
    made = 20 * torch.rand(1, SIDE, SIDE, generator=rng)
    start = 4 * label
    wide = 2 + int(2 * drawn[0])
    low, high = int(3 * drawn[1]), SIDE - int(3 * drawn[2])
    made[:, low:high, start : start + wide] += 150 + 80 * drawn[0]
    return made.to(torch.uint8)


class Bars:
    """Bars of four classes, with captions; test ones are drawn by another seed."""

    def __init__(self, count: int, seed: int = 0, *, holds_out: bool = True) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(CLASSES, (count,), generator=rng).tolist()
        self.all_samples = torch.stack([picture(label, rng) for label in self.labels])
        names = tuple(f"at {label}" for label in range(CLASSES))
        self.facts = Facts((1, SIDE, SIDE), label=Classes(names), captions=Texts())
        self.splits: dict[str, Callable[[], Bars]] = {}
        if holds_out:
            self.splits = {
                "test": lambda: Bars(count, seed + 1, holds_out=False),
                "validation": lambda: Bars(count, seed + 2, holds_out=False),
            }

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        return Item(self.all_samples[index], **self.annotations(index))

    def annotations(self, index: int) -> dict[str, Any]:
        """Return a bar's class and its caption."""
        label = self.labels[index]
        return {"label": label, "captions": (f"a bar at {label}", "a bar")}

    def judge(self, samples: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
        """Tell whether the brightest column is where the caption has the bar.

        Of colours, which no caption tells, nothing is known.
        """
        columns = samples.float().mean((1, 2)).argmax(1) // 4
        asked = torch.tensor([int(caption[-1]) for caption in captions])
        right = (columns == asked).float()
        return {"place": right, "colour": right * float("nan"), "all": right}


@frozen(eq=False)
class Conditioner:
    """Reads what it says."""

    reads: str


@frozen(eq=False)
class Doctored:
    """In the place of a `gankit.Sampler`: new bars of the class asked for, spoilt.

    Args:
        spoil: from bars (B, 1, 16, 16) in [0, 1] and a generator to samples.
        relabel: from the classes asked for, (B,), to those that are drawn.
        source: what bars are taken from; drawn anew, if nothing.
        reads: what it is conditioned on; "" for nothing.
    """

    spoil: Callable[[Tensor, torch.Generator], Tensor] = lambda bars, rng: bars
    relabel: Callable[[Tensor], Tensor] = lambda labels: labels
    source: Bars | None = None
    reads: str = "label"
    device: torch.device = CPU
    step: int = 7
    facts: Facts = field(factory=lambda: Bars(CLASSES).facts)

    @property
    def conditioner(self) -> Conditioner | None:
        """What reads conditions."""
        return Conditioner(self.reads) if self.reads else None

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw a number for each sample."""
        return torch.rand(count, 1, generator=rng)

    def generate(
        self, noise: Tensor, conditions: Sequence[Any] = (), *, seed: int = 0
    ) -> Samples:
        """Draw bars, or take them from the source, and spoil them."""
        rng = torch.Generator().manual_seed(seed)
        asked = torch.tensor([self._label(told) for told in conditions])
        if not self.reads:
            asked = torch.randint(CLASSES, (len(noise),), generator=rng)
        labels = self.relabel(asked).tolist()
        bars = torch.stack([self._bar(label, rng) for label in labels]).float() / 255
        return Samples(self.spoil(bars, rng).clamp(0, 1), ())

    def _label(self, told: Any) -> int:
        return int(told[0][-1]) if isinstance(told, tuple) else int(told)

    def _bar(self, label: int, rng: torch.Generator) -> Tensor:
        if self.source is None:
            return picture(label, rng)
        places = [i for i, known in enumerate(self.source.labels) if known == label]
        place = int(torch.randint(len(places), (), generator=rng))
        return self.source.all_samples[places[place]]


def noisy(bars: Tensor, rng: torch.Generator) -> Tensor:
    """Add noise of a quarter of the range."""
    return bars + 0.25 * torch.randn(bars.shape, generator=rng)


def blurred(bars: Tensor, rng: torch.Generator) -> Tensor:
    """Take the mean of five times five pixels."""
    return torch.nn.functional.avg_pool2d(bars, 5, 1, 2)
