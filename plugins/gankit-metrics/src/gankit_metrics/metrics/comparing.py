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

    Nothing where nobody asks, or samples are compared with the training data.
    """
    if not evaluation.baselines:
        return {}
    real = evaluation.embedded(evaluation.real(), features)
    train = evaluation.embedded(evaluation.real("train"), features)
    return {"train against it": measure(real, train)}
