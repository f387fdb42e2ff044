"""GAN-test: whether samples are of the class that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from attrs import frozen

from gankit import OfKind
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features import ClassifyingFeatures
from gankit_metrics.measures.conditional import class_accuracy
from gankit_metrics.reference import identity


@frozen
class GanTest:
    """How often a classifier of real samples finds the class that was asked for.

    Shmelkov et al. 2018. What it gets on real samples of the same classes is among the
    details, and so is the worst class.

    Args:
        features: the classifier; by default one that has learnt the data's labels
    """

    features: (
        Annotated[Callable[[], ClassifyingFeatures], OfKind("features")] | None
    ) = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the accuracy."""
        evaluation.asked_for("label")
        features = evaluation.classifier(self.features)
        names = evaluation.class_names
        found, real = (
            class_accuracy(
                features.classify(evaluation.embedded(some, features)).argmax(1),
                some.labels(),
                len(names),
            )
            for some in (evaluation.generated, evaluation.real())
        )
        each = {
            name: by.value
            for name, by in zip(names, found.by_class, strict=True)
            if by is not None
        }
        worst = min(each, key=lambda name: each[name])
        yield Score(
            "gan-test",
            found.overall.value,
            "higher",
            error=found.overall.standard_error,
            features=identity(features),
            details={
                f"on {evaluation.split}": real.overall.value,
                "worst class": f"{worst}, {each[worst]:.3f}",
                "chance": found.chance,
            },
        )
