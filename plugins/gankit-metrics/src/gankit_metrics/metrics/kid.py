"""The kernel Inception distance. Bińkowski et al. 2018."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.kernel import kid
from gankit_metrics.metrics.comparing import By, compared, floor


@frozen
class KID:
    """The squared MMD of features with a cubic kernel (Bińkowski et al. 2018).

    Unbiased: 0 on average for samples of the data's own distribution, whatever their
    number, so that it may be below 0 (a little more so where the real samples' classes
    are balanced more evenly than by chance). All pairs are taken, which has the mean of
    the subsets that papers take, and the least variance.

    Args:
        features: what samples are compared by
    """

    features: By | None = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the distance, and that of the training data."""
        both = compared(evaluation, self.features)
        found = kid(both.real, both.fake)
        yield Score(
            "kid",
            found.value,
            "lower",
            error=found.standard_error,
            features=both.by,
            details=floor(evaluation, both.features, lambda x, y: kid(x, y).value),
        )
