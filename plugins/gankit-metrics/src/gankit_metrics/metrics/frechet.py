"""The Fréchet distance of features. Heusel et al. 2017."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.frechet import frechet_distance
from gankit_metrics.metrics.comparing import By, compared, floor


@frozen
class Frechet:
    """The Fréchet distance of Gaussians fitted to features (Heusel et al. 2017).

    With ``features.use=inception`` it is the FID; its value depends on the number of
    samples.

    Args:
        features: what samples are compared by
    """

    features: By | None = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the distance, and that of the training data."""
        both = compared(evaluation, self.features)
        yield Score(
            "frechet",
            frechet_distance(both.real, both.fake),
            "lower",
            features=both.by,
            details=floor(evaluation, both.features, frechet_distance),
        )
