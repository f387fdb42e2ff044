"""Class labels as one-hot vectors. Mirza & Osindero 2014, section 4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gankit import Facts
from gankit.errors import listed, nearest

_SHOWN = 20  # as many class names as an error can list and still be read


class Label(nn.Module):
    """One-hot vectors of class indices, as long as there are classes.

    Raises:
        ValueError: the data set has no classes.
    """

    reads: Literal["label"] = "label"

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        if not facts.classes:
            raise ValueError(
                "the data set has no labels, so that the conditioner 'label' has "
                "nothing to read; choose a data set with classes, another conditioner "
                "if the data set has captions, or drop the [conditioner] block"
            )
        self.classes = facts.classes
        self.size = len(facts.classes)

    def tokens(self, raw: Sequence[int], /) -> Tensor:
        """Check class indices and return them as int64, (N,).

        Raises:
            ValueError: a label is missing, not whole, or outside the classes.
        """
        for index, label in enumerate(raw):
            if not isinstance(label, int) or not 0 <= label < self.size:
                raise ValueError(
                    f"item {index} has the label {label!r}, but the data set declares "
                    f"{self.size} classes, numbered 0 to {self.size - 1}; mend its "
                    "labels or its class names"
                )
        return torch.tensor(list(raw), dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn class indices, (B,), into one-hot vectors, (B, classes)."""
        # a comparison never waits for the device; F.one_hot does, to check its input
        classes = torch.arange(self.size, device=tokens.device)
        return (tokens[:, None] == classes).float()

    def parse(self, text: str, /) -> int:
        """Read a class name, in any case, or a class index.

        An index is not understood where the names themselves are numbers, as those
        of digits are: there the text "3" can mean only the class called 3.

        Raises:
            ValueError: no such class.
        """
        wanted = text.strip()
        if wanted in self.classes:
            return self.classes.index(wanted)
        folded = [name.casefold() for name in self.classes]
        if folded.count(wanted.casefold()) == 1:
            return folded.index(wanted.casefold())
        numbered = all(name.isdecimal() for name in self.classes)
        if wanted.isdecimal() and int(wanted) < self.size and not numbered:
            return int(wanted)
        hint = nearest(wanted, self.classes) or nearest(wanted.casefold(), folded)
        raise ValueError(f"no class {wanted!r}{hint}; {self._known(numbered)}")

    def _known(self, numbered: bool) -> str:
        """Say which texts :meth:`parse` understands."""
        names = listed(self.classes[:_SHOWN])
        more = self.size - _SHOWN
        names += f" and {more} more" if more > 0 else ""
        indices = "" if numbered else f", or an index from 0 to {self.size - 1}"
        return f"the classes are {names}{indices}"
