"""Tiny parts and games for the tests of the core; no plugin is involved."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import softplus

from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.annotations import Classes
from gankit.data.facts import Facts, Item
from gankit.game.assembly import Assembly
from gankit.game.settings import Train
from gankit.plugins.discovery import discover
from gankit.runs.preparation import prepare
from gankit.runs.run import Run


class Numbers:
    """``count`` items whose sample is their own index, in ``classes`` classes."""

    def __init__(self, count: int = 20, classes: int = 4, broken: tuple[int, ...] = ()):
        self._count, self._classes, self._broken = count, classes, broken
        names = tuple(f"class {i}" for i in range(classes))
        declared = {"label": Classes(names)} if classes else {}
        self.facts = Facts((2,), sample_range=UNBOUNDED, **declared)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Item:
        if index in self._broken:
            from gankit.errors import BrokenItem

            raise BrokenItem(f"item {index}: broken on purpose")
        known = {"label": index % self._classes} if self._classes else {}
        return Item(torch.tensor([float(index), -float(index)]), **known)


class Linear(nn.Module):
    """A generator: one linear layer of noise and condition, with dropout."""

    output_range = UNBOUNDED

    def __init__(self, shapes: Shapes, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Linear(shapes.noise + shapes.condition, *shapes.sample)
        self.norm = nn.BatchNorm1d(*shapes.sample)
        self.dropout = nn.Dropout(dropout)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, n) and (B, c) to (B, 2)."""
        joined = noise if condition is None else torch.cat([noise, condition], 1)
        return self.norm(self.layer(self.dropout(joined)))


class Judge(nn.Module):
    """A discriminator: one linear layer of sample and condition."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.layer = nn.Linear(shapes.sample[0] + shapes.condition, 1)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, 2) and (B, c) to (B,)."""
        joined = samples if condition is None else torch.cat([samples, condition], 1)
        return self.layer(joined).squeeze(1)


class Labels(nn.Module):
    """A conditioner with parameters of its own: an embedding of class labels."""

    reads = "label"
    size = 3

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.table = nn.Embedding(classes, self.size)

    def tokens(self, raw: Any) -> Tensor:
        """Turn labels into (N,)."""
        return torch.tensor(raw)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 3)."""
        return self.table(tokens)

    def parse(self, text: str) -> int:
        """Read a class index."""
        return int(text)


@frozen
class Logistic:
    """The non-saturating loss, written out again for the tests."""

    def discriminator(self, step: Any) -> Tensor:
        """Score real up, fake down."""
        return softplus(-step.real_logits).mean() + softplus(step.fake_logits).mean()

    def generator(self, step: Any) -> Tensor:
        """Score fake up."""
        return softplus(-step.fake_logits).mean()


def make_assembly(
    *,
    train: dict[str, Any] | None = None,
    dataset: Any = None,
    conditioner: Any = None,
    seed: int = 0,
    dropout: float = 0.0,
    **parts: Any,
) -> Assembly:
    """Assemble tiny parts, with the same weights for the same seed."""
    dataset = Numbers() if dataset is None else dataset  # an empty one is false
    torch.manual_seed(seed)
    shapes = Shapes((2,), 3, conditioner.size if conditioner else 0)
    given = {
        "generator": Linear(shapes, dropout),
        "discriminator": Judge(shapes),
        "loss": Logistic(),
    } | parts
    from gankit.game.noise import Noise

    settings = {"steps": 4, "batch_size": 8, "device": "cpu", "workers": 0}
    return Assembly(
        dataset=dataset,
        conditioner=conditioner,
        noise=Noise(size=3),
        train=Train(**(settings | (train or {}))),
        **given,
    )


def make_run(**parts: Any) -> Run:
    """Prepare a run that writes nothing."""
    return prepare(make_assembly(**parts), discover(disable=["*"]).hooks)
