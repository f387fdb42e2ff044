"""How varied samples of one class are."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.conditional import class_diversity
from gankit_metrics.metrics.comparing import By, compared


@frozen
class ClassDiversity:
    """How far samples of one class lie apart, against real ones: 1 is as far.

    The mean squared distance of two; the mean over classes. Noise raises it too, so
    that it is to be read beside gan-test.

    Args:
        features: what samples are compared by
    """

    features: By | None = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the ratio of each class."""
        evaluation.asked_for("label")
        both = compared(evaluation, self.features)
        each = class_diversity(
            both.real,
            evaluation.real().labels(),
            both.fake,
            evaluation.generated.labels(),
        )
        names = evaluation.class_names
        least = min(range(len(each)), key=each.__getitem__)
        yield Score(
            "class-diversity",
            statistics.fmean(each),
            features=both.by,
            details={"least": f"{names[least]}, {each[least]:.3f}"},
        )
