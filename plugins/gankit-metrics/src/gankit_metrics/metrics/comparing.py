"""What metrics share that compare two sets of features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from attrs import frozen
from torch import Tensor

from gankit import OfKind
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features import Features
from gankit_metrics.reference import identity

By = Annotated[Callable[[], Features], OfKind("features")]
"""The type of the option that says what samples are compared by."""


@frozen(eq=False)
class Compared:
    """Features of both sides, float32 (N, d) and (M, d), and whose they are."""

    real: Tensor
    fake: Tensor
    features: Features

    @property
    def by(self) -> str:
        """What samples are compared by, with its digest."""
        return identity(self.features)


def compared(evaluation: Evaluation, build: Callable[[], Features] | None) -> Compared:
    """Embed real and generated samples."""
    features = evaluation.extractor(build)
    return Compared(
        evaluation.embedded(evaluation.real(), features),
        evaluation.embedded(evaluation.generated, features),
        features,
    )


def floor(
    evaluation: Evaluation,
    features: Features,
    measure: Callable[[Tensor, Tensor], float],
) -> dict[str, float | str]:
    """Measure training samples in the place of generated ones: what data itself gets.

    Nothing where nobody asks, or there are fewer training items than samples: most
    measures depend on how many there are.
    """
    real = evaluation.embedded(evaluation.real(), features)
    train = training_features(evaluation, features)
    if train is None:
        return {}
    return {"train against it": measure(real, train)}


def training_features(evaluation: Evaluation, features: Features) -> Tensor | None:
    """Embed as many training items as samples; None where that is not to be had."""
    if not evaluation.baselines or len(evaluation.data("train")) < evaluation.count:
        return None
    return evaluation.embedded(evaluation.real("train"), features)
