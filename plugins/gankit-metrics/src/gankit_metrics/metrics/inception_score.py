"""The inception score. Salimans et al. 2016."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from attrs import frozen

from gankit import Count, OfKind
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features import ClassifyingFeatures
from gankit_metrics.measures.inception_score import inception_score
from gankit_metrics.reference import identity


@frozen
class InceptionScore:
    """How sure a classifier is of each sample, and how varied its classes are.

    From 1 to the number of classes (Salimans et al. 2016). It never looks at real
    samples. With ``features.use=inception`` it is the published score.

    Args:
        features: the classifier; by default one that has learnt the data's labels
        splits: parts of the samples, over which the score is averaged
    """

    features: (
        Annotated[Callable[[], ClassifyingFeatures], OfKind("features")] | None
    ) = None
    splits: Count = 10

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the score."""
        features = evaluation.classifier(self.features)
        vectors = evaluation.embedded(evaluation.generated, features)
        found = inception_score(features.classify(vectors), self.splits)
        yield Score(
            "inception-score",
            found.mean,
            "higher",
            features=identity(features),
            details={"deviation over splits": found.standard_deviation},
        )
