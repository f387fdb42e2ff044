"""What a metric is given, and what it must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from attrs import field, frozen

if TYPE_CHECKING:  # listing parts must not import torch
    from gankit_metrics.evaluation import Evaluation


@frozen
class Score:
    """One number that a metric gives.

    Attributes:
        name: of what was measured, as ``"precision"``; one metric may give several.
        value: the number.
        better: whether a lower or a higher value is better; "" for neither.
        error: standard error of the value, where the metric knows it.
        features: what samples were compared by, as ``"pixels@1b2c3d4e"``; "" for a
            metric that compares no features.
        details: what else is to be known of the number: the width of a kernel, the
            accuracy of a classifier.
        samples: how many were generated for it, where not as many as were asked for.
        split: what they were compared with, where not with what was asked for.
    """

    name: str
    value: float
    better: Literal["lower", "higher", ""] = ""
    error: float | None = None
    features: str = ""
    details: Mapping[str, float | str] = field(factory=dict)
    samples: int | None = None
    split: str = ""

    @property
    def title(self) -> str:
        """What may be compared: scores of other features have other titles."""
        return f"{self.name}[{self.features}]" if self.features else self.name


class Metric(Protocol):
    """A part of the kind ``metric``: measures a run's samples beside real ones.

    It is called with an :class:`~gankit_metrics.evaluation.Evaluation` and yields
    scores. What it cannot be measured of, as samples without labels, it refuses by
    ``ValueError``, whose text says what is lacking and what to do.
    """

    def __call__(self, evaluation: Evaluation, /) -> Iterable[Score]: ...  # noqa: D102 # told above
