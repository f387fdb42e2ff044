"""Doubles: small parts of each kind, with which a part under test is assembled.

They do what their contracts say and no more, take any shape and any annotation, and
compute in microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import prod
from typing import Any, Literal

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import softplus

from gankit.contracts import UNBOUNDED, Shapes
from gankit.contracts.limits import Count
from gankit.data.annotations import (
    Annotation,
    Classes,
    Picture,
    Tags,
    Texts,
    Vector,
)
from gankit.data.facts import Facts, Item
from gankit.game.step import Step

_CLASSES = ("circle", "square", "star")
_WORDS = ("red", "green", "blue")
Extra = Literal["classes", "texts", "vector", "tags", "picture"]
_EXTRAS: dict[str, Annotation] = {
    "classes": Classes(_CLASSES),
    "texts": Texts(),
    "vector": Vector(("width", "height")),
    "tags": Tags(_WORDS),
    "picture": Picture((1, 4, 4)),
}


class Items:
    """Random pixels, with a class, a text, and one annotation more if it is asked for.

    Args:
        shape: of a sample.
        items: how many.
        extra: the name of one annotation more; empty for none.
        extra_kind: what that is.
    """

    def __init__(
        self,
        *,
        shape: tuple[Count, ...] = (3, 16, 16),
        items: Count = 24,
        extra: str = "",
        extra_kind: Extra = "vector",
    ) -> None:
        self._count, self._extra = items, extra
        self._kind = _EXTRAS[extra_kind]
        declared: dict[str, Any] = {
            "label": Classes(_CLASSES),
            "captions": Texts(),
        }
        declared |= {extra: self._kind} if extra else {}
        self.facts = Facts(shape, **declared)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self._count:
            raise IndexError(index)
        rng = torch.Generator().manual_seed(index)
        shape = self.facts.sample_shape
        sample = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
        label, word = _CLASSES[index % 3], _WORDS[index // 3 % 3]
        texts = (f"a {word} {label}", f"{label} number {index}")
        known: dict[str, Any] = {"label": index % 3, "captions": texts}
        if self._extra:
            known[self._extra] = value_of(self._kind, index)
        return Item(sample, **known)


def value_of(kind: Annotation, index: int) -> Any:
    """Return a value of an annotation, some for each index."""
    if isinstance(kind, Classes):
        return index % len(kind.names)
    if isinstance(kind, Texts):
        return (f"number {index}",)
    if isinstance(kind, Vector):
        return [float(index % 5 + place) for place in range(len(kind.names))]
    if isinstance(kind, Tags):
        return {index % len(kind.names)}
    pixels = torch.arange(prod(kind.shape)).add(index).remainder(256).view(kind.shape)
    if kind.value_range is None:
        return pixels.to(torch.uint8)
    low, high = kind.value_range
    return pixels / 255 * (high - low) + low


class Codes(nn.Module):
    """Turns any annotation into four numbers, the same ones for the same value.

    Args:
        reads: the annotation's name.
    """

    size = 4

    def __init__(self, facts: Facts, *, reads: str = "label") -> None:
        super().__init__()
        self.reads = reads
        if reads not in facts.annotations:
            raise ValueError(f"the data set has no annotation {reads!r}")
        self._kind = facts.annotations[reads]

    def tokens(self, raw: Sequence[Any], /) -> Tensor:
        """Return float32 (N, 4)."""
        return torch.stack([_code(value) for value in raw])

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what the tokens are."""
        return tokens * 1.0

    def parse(self, text: str, /) -> Any:
        """Read a value as the annotation itself does."""
        return self._kind.parse(text)


def _code(value: Any) -> Tensor:
    told = value.tolist() if isinstance(value, Tensor) else value
    digest = blake2b(repr(told).encode(), digest_size=Codes.size).digest()
    return torch.tensor(list(digest)) / 127.5 - 1


class Affine(nn.Module):
    """A generator of one linear layer, for samples of any shape and range."""

    output_range = UNBOUNDED

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self._sample = shapes.sample
        inputs = shapes.noise + shapes.condition
        self.layer = nn.Linear(inputs, prod(shapes.sample))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Turn (B, n) and (B, c) into (B, *sample)."""
        inputs = noise if condition is None else torch.cat([noise, condition], 1)
        made: Tensor = self.layer(inputs)
        return made.view(-1, *self._sample)


class Bent(nn.Module):
    """A discriminator of two layers, which bends: its slope has a slope."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        inputs = prod(shapes.sample) + shapes.condition
        self.layers = nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Turn (B, *sample) and (B, c) into logits (B,)."""
        inputs = samples.flatten(1)
        if condition is not None:
            inputs = torch.cat([inputs, condition], 1)
        logits: Tensor = self.layers(inputs)
        return logits[:, 0]


@frozen
class Logistic:
    """Both players' logistic loss, the non-saturating one for the generator."""

    def discriminator(self, step: Step) -> Tensor:
        """Draw real logits up and fake ones down."""
        return softplus(-step.real_logits).mean() + softplus(step.fake_logits).mean()

    def generator(self, step: Step) -> Tensor:
        """Draw fake logits up."""
        return softplus(-step.fake_logits).mean()
