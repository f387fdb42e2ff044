"""Precision and recall, density and coverage, by nearest neighbours of features."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import asdict, frozen

from gankit import Count
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.neighbours import neighbours
from gankit_metrics.metrics.comparing import By, compared, training_features


@frozen
class PrecisionRecall:
    """How much of the samples looks real, and how much of the data is generated.

    Precision and recall are of Kynkäänniemi et al. 2019; density and coverage of Naeem
    et al. 2020. All four depend on how many samples there are, and ``train against
    it`` says what the training data gets.

    Args:
        features: what samples are compared by
        k: neighbours, of precision and recall
        density_k: neighbours, of density and coverage
    """

    features: By | None = None
    k: Count = 3
    density_k: Count = 5

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure all four, and those of the training data."""
        both = compared(evaluation, self.features)
        sizes = {"k": self.k, "density_k": self.density_k}
        found = asdict(neighbours(both.real, both.fake, **sizes))
        best: dict[str, float] = {}
        train = training_features(evaluation, both.features)
        if train is not None:
            best = asdict(neighbours(both.real, train, **sizes))
        for name, value in found.items():
            details = {"train against it": best[name]} if best else {}
            yield Score(name, value, "higher", features=both.by, details=details)
