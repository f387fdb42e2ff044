"""Conditions that samples are asked for: texts or values, turned into tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from gankit.contracts import Conditioner
from gankit.data.columns import as_read, numbered
from gankit.data.facts import Facts
from gankit.errors import UsageError


@frozen(eq=False)
class Asking:
    """Understands what a run can be asked for, by the annotation it is conditioned on.

    Args:
        conditioner: what reads conditions; None for an unconditional run.
        facts: what the data set of the run knew.
        own: conditions to use when none are asked for.
    """

    conditioner: Conditioner | None
    facts: Facts
    own: tuple[Any, ...]

    def in_turn(self, asked: Mapping[str, Any], count: int) -> list[Any]:
        """Repeat the conditions that are asked for, or the run's own; none if none.

        Raises:
            UsageError: the run does not take such a condition.
        """
        return [*islice(cycle(self.each(asked)), count)]

    def each(self, asked: Mapping[str, Any]) -> Sequence[Any]:
        """Return the conditions that are asked for, or the run's own; none if none.

        Raises:
            UsageError: the run does not take such a condition.
        """
        reads = "" if self.conditioner is None else self.conditioner.reads
        has = f"is conditioned on its {reads}" if reads else "is not conditioned"
        for name in asked:
            if name != reads:
                raise UsageError(f"this run {has}: it takes no {name} to sample from")
        if not asked:
            return self.own if reads else ()
        value = asked[reads]
        if isinstance(value, list) and not value:
            raise UsageError(f"{reads}: the list is empty; put a condition into it")
        return value if isinstance(value, list) else [value]

    def two(self, asked: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the two conditions that are asked for, or two of the run's own.

        Raises:
            UsageError: the run does not take such conditions, or there are not two.
        """
        some = self.each(asked)
        if self.conditioner is None:
            raise UsageError(
                "this run is not conditioned: it has no conditions to walk between; "
                "walk between two noises"
            )
        reads = self.conditioner.reads
        if not asked:
            tokens, _ = self.read(some)
            assert tokens is not None, "a conditioner gives tokens"
            other = numbered(tokens.reshape(len(tokens), -1)).nonzero()
            if not len(other):
                raise UsageError(
                    f"the run's own {reads} are all one; ask for two to walk between"
                )
            some = (some[0], some[int(other[0])])
        if len(some) != 2:
            raise UsageError(
                f"{reads}: a walk has two ends; give two to walk between, not "
                f"{len(some)}"
            )
        return some[0], some[1]

    def read(self, conditions: Sequence[Any]) -> tuple[Tensor | None, tuple[str, ...]]:
        """Turn conditions into tokens, each distinct one once, and into texts.

        Raises:
            UsageError: one of them means nothing to the conditioner.
        """
        if self.conditioner is None or not conditions:
            return None, ()
        reads = self.conditioner.reads
        kind = self.facts.annotations[reads]
        distinct = {id(condition): condition for condition in conditions}
        column, texts = kind.column(len(distinct)), []
        try:
            for i, told in enumerate(distinct.values()):
                text = told if isinstance(told, str) else None
                value = told if text is None else self.conditioner.parse(text)
                column[i] = kind.checked(value)
                texts.append(kind.text(column[i]) if text is None else text)
            tokens = self.conditioner.tokens(as_read(column))
        except ValueError as error:
            raise UsageError(f"{reads}: {error}") from error
        place = {key: i for i, key in enumerate(distinct)}
        places = [place[id(condition)] for condition in conditions]
        captions = tuple(texts[i] for i in places) if any(texts) else ()
        return tokens[torch.tensor(places)], captions
